"""Synthetic stereo scenes with exact disparity: photographs and noise on slanted, curved and thin surfaces.

A scene is a pile of surfaces. Each is a function d(x, y) of the left image (a plane, with a bump or ripple on it), a
silhouette and a texture, all in the left image's coordinates, so the left view samples them where they are and the
right view where ``x - d(x, y)`` lands: both views are resampled once from the same source, the disparity is exact to
a fraction of a pixel, and what is hidden in the right view is known. Index and seed alone decide a scene.

Shapes: H height, W width; images (H,W,3) uint8, disparity (H,W) float32 pixels, occluded (H,W) bool.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch

from stereohg.data.synthetic.scene import Scene, as_scenes, draw_cameras, occlusion, photograph, vertical_offset
from stereohg.data.synthetic.silhouettes import SHARES, SILHOUETTES, lattice, poles
from stereohg.data.synthetic.surfaces import Surface, render
from stereohg.data.synthetic.textures import load_textures

MAX_SLOPE = 0.45  # of a surface's disparity along x: below 1, so that a surface never hides itself


@dataclass(frozen=True)
class SyntheticStereo:
    """Endless scenes: ``SyntheticStereo()[7]`` is the same pair everywhere.

    Args:
        height: of the images, pixels.
        width: of the images, pixels.
        seed: another seed, another world.
        max_disp: no surface is nearer than this by more than a pixel, pixels.
        asymmetry: 0 renders two ideal cameras; 1 gives them the full differences of exposure, colour, noise,
            sharpness and vertical offset (up to one pixel) that real pairs have.
    """

    height: int = 256
    width: int = 512
    seed: int = 0
    max_disp: float = 192.0
    asymmetry: float = 1.0

    @cached_property
    def textures(self) -> list[np.ndarray]:
        return load_textures()

    def __getitem__(self, index: int) -> Scene:
        random = np.random.default_rng((self.seed, index))
        surfaces = _compose(random, self.height, self.width, self.max_disp, self.textures)
        offset = vertical_offset(random, self.asymmetry)
        (left, disparity), (right, right_disparity) = (
            (torch.from_numpy(x).unsqueeze(0) for x in render(surfaces, self.height, self.width, is_right, rows))
            for is_right, rows in ((False, 0.0), (True, offset))
        )
        occluded = occlusion(disparity, right_disparity, torch.tensor([offset]))
        cameras = draw_cameras(random, offset, self.asymmetry)
        return as_scenes(*photograph([cameras], left, right), disparity, occluded)[0]


def _compose(random, height: int, width: int, max_disp: float, textures: list[np.ndarray]) -> list[Surface]:
    """A background, perhaps a ground and a side wall, and objects, the farthest first."""
    near = min(max_disp, width * 0.5) * random.uniform(0.25, 1.0) ** 1.3
    far = near * random.uniform(0.0, 0.45)
    canvas = width + int(max_disp) + 1  # the right view sees past the left image's border
    surfaces = [_wall(random, height, width, far, textures)]
    if random.random() < 0.55:
        surfaces.append(_ground(random, height, canvas, far, near, textures))
    if random.random() < 0.3:
        surfaces.append(_side_wall(random, height, canvas, far, near, textures))
    count = int(random.integers(4, 22))
    depths = np.sort(far + (near - far) * random.beta(1.1, 1.5, count))
    objects = [_object(random, height, canvas, base, max_disp, textures) for base in depths]
    return surfaces + objects


def _surface(random, textures, centre, base, slope=(0.0, 0.0), relief=("flat", 0.0, 1.0, 0.0), shape=(None, (0, 0))):
    texture = textures[random.integers(len(textures))]
    scale = np.exp(random.uniform(np.log(0.35), np.log(1.6)))
    angle = random.choice([random.normal(0, 0.15), random.uniform(-np.pi, np.pi)])
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    start = random.uniform(0, 1, 2) * texture.shape[1::-1]
    mapping = np.float32([[cos, -sin, start[0]], [sin, cos, start[1]]])
    gain = random.choice([1.0, random.uniform(0.15, 1.0)], p=[0.6, 0.4]) * random.uniform(0.75, 1.25, 3)
    bias = random.uniform(20, 220, 3) * 0.5 + random.uniform(20, 220) * 0.5
    bias = bias - gain * np.array(cv2.mean(texture)[:3])
    tone = (gain.astype(np.float32), (bias * random.choice([0.3, 1.0])).astype(np.float32))
    return Surface(centre, base, slope, relief, shape[0], shape[1], texture, mapping, tone)


def _wall(random, height, width, far, textures) -> Surface:
    steep = random.random() < 0.4
    slope_x = random.uniform(-1, 1) * far / width if steep else 0.0
    slope_y = random.uniform(-0.5, 0.5) * far / height if steep else 0.0
    relief = ("flat", 0.0, 1.0, 0.0)
    if random.random() < 0.4:
        extent = random.uniform(25, 120)
        relief = ("ripple", min(0.35 * far, 0.2 * extent) * random.random(), extent, random.uniform(0, np.pi))
    return _surface(random, textures, (width / 2, height / 2), far, (slope_x, slope_y), relief)


def _ground(random, height, canvas, far, near, textures) -> Surface:
    horizon = random.uniform(0.25, 0.8) * height
    slope = (near * random.uniform(0.5, 1.0) - far) / (height - horizon)
    silhouette = np.full((height - int(horizon), canvas), 255, np.uint8)
    return _surface(
        random,
        textures,
        (canvas / 2, int(horizon)),
        far,
        (random.normal(0, 0.02), slope),
        shape=(silhouette, (0, int(horizon))),
    )


def _side_wall(random, height, canvas, far, near, textures) -> Surface:
    reach = random.uniform(0.2, 0.6) * canvas
    slope = min((near - far) / reach, MAX_SLOPE)
    silhouette = np.full((height, int(reach)), 255, np.uint8)
    if random.random() < 0.5:
        return _surface(random, textures, (reach, 0.0), far, (-slope, 0.0), shape=(silhouette, (0, 0)))
    start = canvas - int(reach)
    return _surface(random, textures, (start, 0.0), far, (slope, 0.0), shape=(silhouette, (start, 0)))


def _object(random, height, canvas, base, max_disp, textures) -> Surface:
    size = np.exp(random.uniform(np.log(12), np.log(0.6 * height)))
    aspect = np.exp(random.normal(0, 0.5))
    w, h = int(np.clip(size * aspect, 6, canvas * 0.6)), int(np.clip(size / aspect, 6, height * 1.2))
    draw = SILHOUETTES[random.choice(len(SILHOUETTES), p=SHARES)]
    if draw is poles or draw is lattice:
        w, h = max(w, 40), max(h, 60)
    silhouette = draw(random, h, w)
    origin = (int(random.uniform(-0.3 * w, canvas - 0.7 * w)), int(random.uniform(-0.3 * h, height - 0.7 * h)))
    centre = (origin[0] + w / 2, origin[1] + h / 2)
    slope, relief = (0.0, 0.0), ("flat", 0.0, 1.0, 0.0)
    kind = random.random()
    room = 0.9 * min(base, max_disp - base) + 1
    if kind < 0.4:
        limit = np.minimum(MAX_SLOPE, room / np.array([w, h]))
        slope = tuple(random.uniform(-1, 1, 2) * limit)
    elif kind < 0.75:
        extent = 0.6 * max(w, h)
        name = "bump" if kind < 0.6 else "cylinder"
        extent = extent if name == "bump" else 0.55 * w
        relief = (name, min(room, MAX_SLOPE * extent / 2) * random.uniform(-0.4, 1), extent, 0.0)
    elif kind < 0.85:
        extent = random.uniform(8, 60)
        relief = ("ripple", min(room, MAX_SLOPE * extent) * random.uniform(0, 0.6), extent, random.uniform(0, np.pi))
    return _surface(random, textures, centre, float(base), slope, relief, (silhouette, origin))
