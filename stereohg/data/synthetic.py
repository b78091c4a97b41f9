"""Synthetic stereo scenes with exact disparity: photographs and noise on slanted, curved and thin surfaces.

A scene is a pile of surfaces. Each is a function d(x, y) of the left image (a plane, with a bump or ripple on it), a
silhouette and a texture, all in the left image's coordinates, so the left view samples them where they are and the
right view where ``x - d(x, y)`` lands: both views are resampled once from the same source, the disparity is exact to
a fraction of a pixel, and what is hidden in the right view is known. Index and seed alone decide a scene.

Shapes: H height, W width; images (H,W,3) uint8, disparity (H,W) float32 pixels, occluded (H,W) bool.
The photographs are those scikit-image ships that are in the public domain or CC0.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Files of scikit-image's ``skimage/data``, public domain or CC0."""

MAX_SLOPE = 0.45  # of a surface's disparity along x: below 1, so that a surface never hides itself
NUM_MADE_TEXTURES = 96
LARGE_PHOTOGRAPH = 800  # pixels on the longer side


@dataclass(frozen=True)
class Scene:
    """One rendered pair. ``disparity`` and ``occluded`` belong to the left image; nothing in it is unknown."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    occluded: np.ndarray


@dataclass(frozen=True)
class SyntheticStereo:
    """Endless scenes: ``SyntheticStereo()[7]`` is the same pair everywhere.

    Args:
        height, width: of the images, pixels.
        seed: another seed, another world.
        max_disp: no surface is nearer than this, pixels.
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
        offset = self.asymmetry * random.choice([0.0, random.uniform(-1, 1)], p=[0.6, 0.4])
        left, disparity = _render(surfaces, self.height, self.width, is_right=False, offset=0.0)
        right, right_disparity = _render(surfaces, self.height, self.width, is_right=True, offset=offset)
        occluded = _occlusion(disparity, right_disparity, offset)
        left, right = _expose(random, left, right, self.asymmetry)
        return Scene(left, right, disparity, occluded)


# --- surfaces -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surface:
    """d(x, y) = base + slope_x (x - x0) + slope_y (y - y0) + relief, where the silhouette covers (x, y)."""

    centre: tuple[float, float]
    base: float
    slope: tuple[float, float]
    relief: tuple[str, float, float, float]  # kind, height in pixels, extent in pixels, direction or phase
    silhouette: np.ndarray | None  # uint8 coverage over ``origin``..; None covers everything
    origin: tuple[int, int]
    texture: np.ndarray
    mapping: np.ndarray  # 2x3, image to texture coordinates
    tone: tuple[np.ndarray, np.ndarray]  # gain and bias of each channel

    def disparity(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d and its derivative along x."""
        u, v = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        d = np.float32(self.base) + np.float32(self.slope[0]) * u + np.float32(self.slope[1]) * v
        dx = np.full_like(d, self.slope[0])
        kind, height, extent, angle = self.relief
        if kind == "bump":
            inside = np.maximum(1 - (u * u + v * v) / np.float32(extent**2), 0)
            d += np.float32(height) * inside
            dx += np.where(inside > 0, np.float32(-2 * height / extent**2) * u, np.float32(0))
        elif kind == "cylinder":
            inside = np.maximum(1 - (u / np.float32(extent)) ** 2, 0)
            d += np.float32(height) * inside
            dx += np.where(inside > 0, np.float32(-2 * height / extent**2) * u, np.float32(0))
        elif kind == "ripple":
            cos, sin = np.float32(np.cos(angle) / extent), np.float32(np.sin(angle) / extent)
            phase = cos * u + sin * v
            d += np.float32(height) * np.sin(phase)
            dx += np.float32(height) * cos * np.cos(phase)
        return d, dx

    def bounds(self, height: int, width: int, is_right: bool) -> tuple[int, int, int, int]:
        """Rows and columns of a view that the surface can reach: y0, y1, x0, x1."""
        if self.silhouette is None:
            return 0, height, 0, width
        h, w = self.silhouette.shape
        x0, y0 = self.origin
        x1, y1 = x0 + w, y0 + h
        if is_right:
            edges_y, edges_x = np.meshgrid(np.linspace(y0, y1, 9), np.linspace(x0, x1, 9), indexing="ij")
            d, _ = self.disparity(edges_x.astype(np.float32), edges_y.astype(np.float32))
            margin = 2 + abs(self.relief[1])
            x0, x1 = int(x0 - d.max() - margin), int(x1 - d.min() + margin)
        return max(y0 - 2, 0), min(y1 + 2, height), max(x0, 0), min(x1, width)


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
    draw = SILHOUETTES[random.choice(len(SILHOUETTES), p=SILHOUETTE_SHARES)]
    if draw is _poles or draw is _lattice:
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


# --- silhouettes: coverage (h,w) uint8, antialiased -----------------------------------------------------------------


def _polygon(random, h, w) -> np.ndarray:
    corners = int(random.integers(3, 9))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radius = random.uniform(0.55, 1.0, corners)
    points = np.stack([w / 2 * (1 + radius * np.cos(angles)), h / 2 * (1 + radius * np.sin(angles))], 1)
    return _fill(h, w, [points])


def _box(random, h, w) -> np.ndarray:
    return np.full((h, w), 255, np.uint8)


def _ellipse(random, h, w) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 64)
    outer = np.stack([w / 2 * (1 + np.cos(angles)), h / 2 * (1 + np.sin(angles))], 1)
    if random.random() < 0.3:  # a ring
        hole = random.uniform(0.5, 0.85)
        return _fill(h, w, [outer, (outer - [w / 2, h / 2]) * hole + [w / 2, h / 2]])
    return _fill(h, w, [outer])


def _blob(random, h, w) -> np.ndarray:
    noise = cv2.resize(random.standard_normal((6, 6)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    inside = 0.9 - np.hypot(x, y) + 0.35 * noise
    return np.clip(inside * min(h, w) * 128 + 128, 0, 255).astype(np.uint8)


def _poles(random, h, w) -> np.ndarray:
    poles = []
    for _ in range(random.integers(1, 5)):
        thickness = random.uniform(1.5, 8)
        start, end = random.uniform(0, w, 2)
        lean = end if random.random() < 0.5 else start
        edge = np.array([[start, 0.0], [lean, float(h)]])
        side = np.array([thickness / 2, 0.0])
        poles.append(np.concatenate([edge - side, edge[::-1] + side]))
    return _join(h, w, poles)


def _lattice(random, h, w) -> np.ndarray:
    step, thickness = random.uniform(10, 40), random.uniform(1.5, 5)
    bars = []
    for x in np.arange(step / 2, w, step):
        bars.append(np.array([[x, 0], [x + thickness, 0], [x + thickness, h], [x, h]]))
    if random.random() < 0.6:
        for y in np.arange(step / 2, h, step):
            bars.append(np.array([[0, y], [w, y], [w, y + thickness], [0, y + thickness]]))
    return _join(h, w, bars)


def _branches(random, h, w) -> np.ndarray:
    canvas = np.zeros((h, w), np.uint8)
    for _ in range(random.integers(4, 14)):
        points = np.cumsum(random.normal(0, [w / 8, h / 8], (6, 2)), 0) + [w / 2, h / 2]
        points = (points * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, int(random.integers(2, 7)), cv2.LINE_AA, 4)
    return canvas


SILHOUETTES = (_polygon, _box, _ellipse, _blob, _poles, _lattice, _branches)
SILHOUETTE_SHARES = (0.24, 0.12, 0.2, 0.18, 0.12, 0.06, 0.08)


def _fill(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    """Even-odd filled polygons of float corners."""
    canvas = np.zeros((h, w), np.uint8)
    cv2.fillPoly(canvas, [np.round(p * 16).astype(np.int32) for p in polygons], 255, cv2.LINE_AA, 4)
    return canvas


def _join(h: int, w: int, polygons: list[np.ndarray]) -> np.ndarray:
    canvas = np.zeros((h, w), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.round(polygon * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas


# --- textures -------------------------------------------------------------------------------------------------------


def photograph_paths() -> list[Path]:
    """Where scikit-image keeps the photographs; a named error where it is not installed."""
    try:
        folder = files("skimage") / "data"
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "synthetic scenes take their photographs from scikit-image: pip install 'stereohg[train]'"
        ) from error
    return [Path(str(folder / name)) for name in PHOTOGRAPHS]


def photograph_hashes() -> dict[str, str]:
    """File name to SHA-256, for a model's card."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in photograph_paths()}


@lru_cache(maxsize=1)
def load_textures() -> list[np.ndarray]:
    """Photographs at two scales (half of the list) and made textures, uint8 (h,w,3)."""
    photographs = []
    for path in photograph_paths():
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if max(image.shape) > LARGE_PHOTOGRAPH:
            image = _shrunk(image, 0.8)
        photographs += [image, _shrunk(image, 0.5)]
    random = np.random.default_rng(2018)
    made = [_made_texture(random) for _ in range(NUM_MADE_TEXTURES)]
    repeats = NUM_MADE_TEXTURES // len(photographs)
    return photographs * repeats + made


def _shrunk(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _made_texture(random) -> np.ndarray:
    """Noise of some roughness, flat paint, stripes, checks, dots or scribble, 256x256."""
    size, kind = 256, random.random()
    if kind < 0.45:
        image = _noise(random, size, random.uniform(0.3, 1.1), first=int(random.integers(1, 6)))
    elif kind < 0.65:  # paint: almost nothing to match
        image = 0.06 * _noise(random, size, 0.6, first=1) + 0.5
    elif kind < 0.78:
        period = random.uniform(6, 48)
        wave = np.sin(np.arange(size) * 2 * np.pi / period)
        image = np.broadcast_to(np.clip(wave * random.uniform(1, 8), -1, 1)[None, :, None], (size, size, 3)) * 0.5 + 0.5
    elif kind < 0.88:
        step = int(random.integers(4, 32))
        y, x = np.mgrid[:size, :size] // step
        image = np.repeat(((x + y) % 2)[..., None].astype(np.float32), 3, 2)
    else:
        canvas = np.full((size, size, 3), 0.9, np.float32)
        for _ in range(150):
            start = random.integers(0, size, 2)
            end = start + random.integers(-14, 15, 2)
            colour, thickness = (random.random(3) * 0.7).tolist(), 1 + int(random.integers(3))
            cv2.line(canvas, start.tolist(), end.tolist(), colour, thickness)
        image = canvas
    colours = random.uniform(0, 255, (2, 3))
    mixed = colours[0] + (colours[1] - colours[0]) * image
    if random.random() < 0.5:
        mixed = mixed + 25 * (_noise(random, size, 0.9, first=16) - 0.5)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _noise(random, size: int, roughness: float, first: int) -> np.ndarray:
    """Octaves of smooth noise from ``first`` cells on, each ``roughness`` times as strong; in [0,1]."""
    image, strength, cells = np.zeros((size, size, 3), np.float32), 1.0, first
    while cells <= size:
        octave = random.standard_normal((cells, cells, 3)).astype(np.float32)
        image += strength * cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
        strength, cells = strength * roughness, cells * 2
    low, high = np.percentile(image, (1, 99))
    return np.clip((image - low) / (high - low), 0, 1)


# --- cameras --------------------------------------------------------------------------------------------------------


def _render(surfaces, height: int, width: int, is_right: bool, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """One view: colours float32 (H,W,3) and disparity (H,W), the nearest surface in front at every pixel.

    ``offset`` rows: the right camera looks that much lower.
    """
    image = np.zeros((height, width, 3), np.float32)
    depth = np.full((height, width), -np.inf, np.float32)
    for surface in surfaces:
        y0, y1, x0, x1 = surface.bounds(height, width, is_right)
        if y0 >= y1 or x0 >= x1:
            continue
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        if is_right:
            y += np.float32(offset)
            x = _left_of(surface, x, y)
        d, _ = surface.disparity(x, y)
        colour, coverage = _sample(surface, x, y)
        here = np.s_[y0:y1, x0:x1]
        in_front = d > depth[here]
        alpha = np.where(in_front, coverage, np.float32(0))
        image[here] += alpha[..., None] * (colour - image[here])
        depth[here] = np.where(alpha > 0.5, d, depth[here])
    return image, np.maximum(depth, 0)


def _left_of(surface: Surface, x_right: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The left x whose surface point lands on ``x_right``: Newton on x - d(x, y) = x_right."""
    x = x_right + np.float32(surface.base)
    flat = surface.relief[0] == "flat"
    for _ in range(1 if flat else 6):
        d, dx = surface.disparity(x, y)
        x = x - (x - d - x_right) / (1 - dx)
    return x


def _sample(surface: Surface, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour (h,w,3) float32 and coverage (h,w) in [0,1] of a surface at left-image positions."""
    m = surface.mapping
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    texture = cv2.remap(surface.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    gain, bias = surface.tone
    colour = np.clip(texture * gain + bias, 0, 255)
    if surface.silhouette is None:
        return colour, np.ones_like(x)
    ox, oy = surface.origin
    coverage = cv2.remap(surface.silhouette, x - ox, y - oy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return colour, coverage.astype(np.float32) / 255


def _occlusion(disparity: np.ndarray, right_disparity: np.ndarray, offset: float) -> np.ndarray:
    """True where the left pixel's point is outside the right view or behind something there.

    Visible means that both right pixels beside the point show a surface within a pixel of its disparity.
    """
    height, width = disparity.shape
    y, x = np.mgrid[:height, :width]
    x_right = x - disparity
    y_right = np.clip(np.round(y - offset).astype(int), 0, height - 1)
    occluded = (x_right < 0) | (x_right > width - 1)
    for side in (np.floor(x_right), np.ceil(x_right)):
        seen = right_disparity[y_right, np.clip(side, 0, width - 1).astype(int)]
        occluded |= np.abs(seen - disparity) > 1
    return occluded


def _expose(random, left: np.ndarray, right: np.ndarray, asymmetry: float) -> tuple[np.ndarray, np.ndarray]:
    """What the two cameras make of it: shared exposure, then each its own gain, gamma, colour, blur and noise."""
    shared_gain, shared_gamma = np.exp(random.normal(0, 0.15)), np.exp(random.normal(0, 0.15))
    noise = random.choice([0.0, random.uniform(0, 6)]) * asymmetry
    views = []
    for view in (left, right):
        gain = shared_gain * np.exp(asymmetry * (random.normal(0, 0.08) + random.normal(0, 0.03, 3)))
        gamma = shared_gamma * np.exp(asymmetry * random.normal(0, 0.08))
        sigma = asymmetry * random.choice([0.0, random.uniform(0.3, 1.0)], p=[0.6, 0.4])
        if asymmetry:
            view = 255 * (np.clip(view * gain.astype(np.float32), 0, 255) / 255) ** np.float32(gamma)
        if sigma > 0:
            view = cv2.GaussianBlur(view, (0, 0), sigma)
        if noise > 0:
            view = view + noise * random.standard_normal(view.shape, dtype=np.float32)
        views.append(np.clip(np.round(view), 0, 255).astype(np.uint8))
    return views[0], views[1]
