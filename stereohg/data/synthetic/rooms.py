"""Synthetic stereo scenes in perspective: rooms and streets with furniture, rods, foliage, and things that float.

A scene is a list of primitives around a pair of cameras one baseline apart. Focal length, depth of the room and
nearness of things are drawn evenly in their logarithm; a quarter of the scenes is hard: walls without texture, patterns
that repeat, glare; in half, boxes fill much of the view, and most have things that one looks through. Index and
seed alone decide a scene.

Shapes: H height, W width; see ``scene.py``. Lengths are in baselines, x right, y down, z forward from the left camera.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from stereohg.data.synthetic.camera import Atlas, StereoCamera
from stereohg.data.synthetic.primitives import BOX, CARD, CYLINDER, ELLIPSOID, ROOM, Primitives
from stereohg.data.synthetic.scene import (
    Cameras,
    Scene,
    as_scenes,
    draw_cameras,
    occlusion,
    photograph,
    vertical_offset,
)
from stereohg.data.synthetic.silhouettes import OPENWORK, SHARES, SILHOUETTES, branches, lattice, wheel
from stereohg.data.synthetic.textures import REPEATING, TILE, load_textures, make_texture

SLOTS = {ROOM: 1, BOX: 40, ELLIPSOID: 8, CYLINDER: 16, CARD: 20}
KINDS = tuple(kind for kind, count in SLOTS.items() for _ in range(count))
MASK, DRAWN = 256, 96  # pixels on the side of a mask; a silhouette is drawn in fewer, its strokes have fixed widths
MASKS_OF_EACH, FOLIAGE, OPENWORK_OF_EACH = 8, 24, 40  # of each silhouette; of branches and lattices; of each openwork
FIRST_FOLIAGE = len(SILHOUETTES) * MASKS_OF_EACH
FIRST_OPENWORK = FIRST_FOLIAGE + FOLIAGE
CROPS, PATTERNS = 6, 40  # tiles of each photograph; of stripes and checks
SMALLEST_SIDE = 24  # pixels on a side
NEAREST = 10  # pixels of disparity: what is nearest in a scene has at least so much
HARD = 0.25  # share of the scenes
BLANK = 0.5  # share of what is painted plain that has no texture at all: only its borders and the light tell of it
LARGE = 0.5  # share of the scenes with one or two boxes that fill much of the view
OPEN = 0.7  # share of the scenes with up to four things that one looks through: photographs are full of them


@dataclass(frozen=True)
class SyntheticRooms:
    """Endless scenes: ``SyntheticRooms()[7]`` is the same pair everywhere, to rounding.

    Args:
        height: of the images, pixels.
        width: of the images, pixels.
        seed: another seed, another world.
        max_disp: hardly anything is nearer than this, pixels.
        asymmetry: of the two cameras, 0 to 1; see ``SyntheticStereo``.

    Raises:
        ValueError: there is no room for things, or they have no range.
    """

    height: int = 256
    width: int = 512
    seed: int = 0
    max_disp: float = 192.0
    asymmetry: float = 1.0

    def __post_init__(self):
        if min(self.height, self.width) < SMALLEST_SIDE or self.max_disp <= NEAREST:
            raise ValueError(
                f"rooms of {self.width}x{self.height} pixels with max_disp {self.max_disp:g} cannot be drawn; give at"
                f" least {SMALLEST_SIDE}x{SMALLEST_SIDE}, and max_disp above {NEAREST}"
            )

    def __getitem__(self, index: int) -> Scene:
        return self.render([self.describe(index)])[0]

    def describe(self, index: int) -> "Description":
        """What there is to see, and with what: a hundredth of the time."""
        random = np.random.default_rng((self.seed, index, 1))
        builder = Builder(random, self.height, self.width, self.max_disp)
        offset = vertical_offset(random, self.asymmetry)
        primitives = builder.build()
        return Description(builder.focal, primitives, draw_cameras(random, offset, self.asymmetry))

    def render(self, described: list["Description"], device: torch.device | str = "cpu") -> list[Scene]:
        """All at once on the device."""
        focal = torch.tensor([own.focal for own in described], device=device)
        cameras = [own.cameras for own in described]
        offset = focal.new_tensor([own.offset for own in cameras])
        pair = StereoCamera(self.height, self.width, focal, offset)
        scenes = stack([own.primitives for own in described], device)
        (left, disparity), (right, right_disparity) = (
            pair.view(scenes, load_atlas(str(device)), is_right) for is_right in (False, True)
        )
        occluded = occlusion(disparity, right_disparity, offset)
        return as_scenes(*photograph(cameras, left, right), disparity, occluded)


@dataclass(frozen=True)
class Description:
    """One scene: focal length in pixels, the primitives of its ``Builder``, and the cameras."""

    focal: float
    primitives: dict[str, np.ndarray]
    cameras: Cameras


@lru_cache
def load_atlas(device: str = "cpu") -> Atlas:
    """Tiles of photographs, made textures, stripes and checks (the last ``PATTERNS``), and masks."""
    if device != "cpu":
        return Atlas(*(x.to(device) for x in (load_atlas().tiles, load_atlas().masks)))
    random = np.random.default_rng(2016)
    tiles = []
    for texture in {id(texture): texture for texture in load_textures()}.values():
        height, width = texture.shape[:2]
        for _ in range(CROPS if max(height, width) > 1.5 * TILE else 1):
            y, x = (int(random.integers(max(n - TILE, 0) + 1)) for n in (height, width))
            tile = texture[y : y + TILE, x : x + TILE]
            tiles.append(np.pad(tile, [(0, TILE - n) for n in tile.shape[:2]] + [(0, 0)], "symmetric"))
    tiles += [make_texture(random, REPEATING) for _ in range(PATTERNS)]
    masks = [draw(random, DRAWN, DRAWN) for draw in SILHOUETTES for _ in range(MASKS_OF_EACH)]
    masks += [(branches if i % 3 else lattice)(random, DRAWN, DRAWN) for i in range(FOLIAGE)]
    masks += [draw(random, MASK, MASK) for draw in OPENWORK for _ in range(OPENWORK_OF_EACH)]
    masks = [cv2.resize(mask, (MASK, MASK)) > 127 for mask in masks]
    return Atlas(torch.from_numpy(np.stack(tiles)), torch.from_numpy(np.stack(masks)))


def stack(scenes: list[dict[str, np.ndarray]], device: torch.device | str = "cpu") -> Primitives:
    """Scenes of one ``Builder`` each as a batch."""
    together = {name: torch.from_numpy(np.stack([scene[name] for scene in scenes])).to(device) for name in scenes[0]}
    whole = {"tile", "mask"}
    return Primitives(KINDS, **{name: x.long() if name in whole else x.float() for name, x in together.items()})


class Builder:
    """Draws one scene.

    Args:
        random: a numpy generator.
        height: of the images, pixels.
        width: of the images, pixels.
        max_disp: pixels.
    """

    def __init__(self, random, height: int, width: int, max_disp: float):
        self.random, self.height, self.width = random, height, width
        self.focal = float(width * np.exp(random.uniform(np.log(0.5), np.log(1.6))))
        nearest = np.exp(random.uniform(np.log(NEAREST), np.log(min(max_disp, 0.45 * width))))
        self.limit = self.focal / max_disp
        self.near = self.focal / nearest
        self.far = self.near * np.exp(random.uniform(np.log(1.8), np.log(15)))
        hard = random.random() < HARD
        self.plain, self.repeats, self.glare = (hard * random.choice([0.0, 1.0]) for _ in range(3))
        self.items: dict[int, list[dict]] = {kind: [] for kind in SLOTS}
        self.pitch = random.normal(0, 0.12)

    def build(self) -> dict[str, np.ndarray]:
        random = self.random
        self._room()
        if random.random() < LARGE:
            for _ in range(random.integers(1, 3)):
                self._large()
        if random.random() < OPEN:
            for _ in range(random.integers(1, 5)):
                self._openwork()
        makers = (self._solid, self._rod, self._table, self._shelf, self._foliage, self._card)
        for _ in range(int(random.integers(8, 26))):
            makers[random.choice(len(makers), p=(0.42, 0.16, 0.12, 0.06, 0.1, 0.14))]()
        return self._arrays()

    # --- the room ---

    def _room(self) -> None:
        random, f = self.random, self.focal
        street = random.random() < 0.3
        self.back = self.far * (20 if street else 1)
        depth = np.log(self.far / self.near)
        sides = [self.near * np.exp(random.uniform(0.2, 1.3) * depth) for _ in range(3)]
        self.floor = max(sides[0] * self.height / (2 * f), 1.1 * self.height / 2 / f * self.limit, 0.3)
        left, right = (max(z * self.width / (2 * f), 1.1 * self.width / 2 / f * self.limit) + 1 for z in sides[1:])
        ceiling = self.floor * random.uniform(0.6, 4) * (100 if street else 1)
        low, high = np.array([-left, -ceiling, -5 * self.far]), np.array([right, self.floor, self.back])
        self.yaw = random.normal(0, 0.25)
        if random.random() < 0.2:
            self.yaw += np.pi / 4
        self.frame = upright(self.yaw)
        self._add(ROOM, self.frame.T @ ((low + high) / 2), (high - low) / 2, self.frame, self.far)

    # --- things ---

    def _solid(self) -> None:
        random = self.random
        kind = random.choice([BOX, ELLIPSOID, CYLINDER], p=[0.6, 0.2, 0.2])
        if random.random() < 0.5:
            place, size = self._resting()
            axes = upright(random.uniform(-np.pi, np.pi))
        else:
            place, size = self._floating()
            axes = any_rotation(random)
        self._add(kind, place, size, axes)

    def _large(self) -> None:
        """A box whose faces are mostly blank, so that its borders alone tell how far it is."""
        random = self.random
        (x, y, z), _ = self._floating()
        pixel = z / self.focal
        half = pixel * self.height * random.uniform(0.12, 0.45, 3)
        axes = any_rotation(random) if random.random() < 0.7 else upright(random.uniform(-np.pi, np.pi))
        paint = self._material(z, plain=0.7)
        self._add(BOX, np.array([0.7 * x, 0.7 * y, z]), half, axes, paint=paint)

    def _rod(self) -> None:
        random = self.random
        place, size = self._floating()
        pixel = place[2] / self.focal
        length = pixel * random.uniform(0.1, 0.7) * self.height
        thickness = pixel * np.exp(random.uniform(np.log(0.7), np.log(4)))
        axes = any_rotation(random) if random.random() < 0.6 else upright(0.0)
        step = axes[0] * pixel * random.uniform(6, 30)
        for i in range(int(random.choice([1, 1, 2, 4]))):
            self._add(CYLINDER, place + i * step, np.array([thickness, length, thickness]), axes)

    def _table(self) -> None:
        """A plate on four legs, with a back it is a chair."""
        random = self.random
        place, size = self._resting()
        size[[0, 2]] = np.maximum(size[[0, 2]], 0.5 * size[1])
        axes = upright(random.uniform(-np.pi, np.pi))
        thickness = size[1] * random.uniform(0.03, 0.12)
        leg = size[1] * random.uniform(0.02, 0.1)
        paint = self._material(place[2])
        self._add(BOX, place - axes[1] * size[1], np.array([size[0], thickness, size[2]]), axes, paint=paint)
        corners = [(sx, sz) for sx in (-1, 1) for sz in (-1, 1)]
        for sx, sz in corners:
            at = place + axes[0] * sx * (size[0] - leg) + axes[2] * sz * (size[2] - leg)
            self._add(BOX, at, np.array([leg, size[1], leg]), axes, paint=paint)
        if random.random() < 0.5:
            slats = int(random.integers(1, 5))
            for i in range(slats):
                high = place - axes[1] * size[1] * (1.4 + 1.4 * i / slats) + axes[2] * size[2]
                self._add(BOX, high, np.array([size[0], 0.5 * size[1] / slats, thickness]), axes, paint=paint)

    def _shelf(self) -> None:
        random = self.random
        place, size = self._resting()
        size[0], size[2] = size[1] * random.uniform(0.4, 1.2), size[1] * random.uniform(0.15, 0.4)
        axes = upright(random.normal(0, 0.5))
        board, boards = 0.03 * size[1], int(random.integers(2, 5))
        paint = self._material(place[2])
        for side in (-1, 1):
            self._add(BOX, place + side * axes[0] * size[0], np.array([board, size[1], size[2]]), axes, paint=paint)
        for i in range(boards):
            high = place + axes[1] * size[1] * (2 * i / (boards - 1) - 1)
            self._add(BOX, high, np.array([size[0], board, size[2]]), axes, paint=paint)
            if random.random() < 0.7:
                thing = np.array([size[0] * random.uniform(0.1, 0.5), size[1] / boards * 0.6, 0.7 * size[2]])
                self._add(BOX, high - axes[1] * (thing[1] + board), thing, axes)

    def _foliage(self) -> None:
        random = self.random
        place, size = self._floating()
        for _ in range(int(random.integers(2, 7))):
            at = place + random.normal(0, 0.6, 3) * size.max()
            axes = upright(random.normal(0, 0.6)) if random.random() < 0.6 else any_rotation(random)
            mask = FIRST_FOLIAGE + random.integers(FOLIAGE)
            self._add(CARD, at, size.max() * np.array([1.0, 1.0, 0.01]), axes, mask=mask)

    def _openwork(self) -> None:
        """Fences, wheels, trusses and tubes, often several one behind the other, as in a machine."""
        random = self.random
        z = self.near * (self.far / self.near) ** random.uniform(0, 0.6)  # something is to lie behind it
        pixel = z / self.focal
        u, v = random.uniform(-0.45, 0.45) * self.width, random.uniform(-0.4, 0.4) * self.height
        place, high = np.array([u, v, self.focal]) * pixel, random.uniform(0.1, 0.5) * self.height * pixel
        axes = upright(random.normal(0, 0.5)) @ any_rotation(random, random.choice([0.0, 0.15]))
        paint = self._material(z)
        for i in range(int(random.choice([1, 1, 2, 3]))):
            kind = random.integers(len(OPENWORK))
            wide = high * (np.exp(random.normal(0, 0.1)) if OPENWORK[kind] is wheel else random.uniform(0.7, 2))
            mask = FIRST_OPENWORK + kind * OPENWORK_OF_EACH + random.integers(OPENWORK_OF_EACH)
            at = place + high * (i * 0.3 * axes[2] + (i > 0) * random.normal(0, 0.5, 3))
            self._add(CARD, at, np.array([wide, high, 0.01 * high]), axes, mask=mask, paint=paint)
            if random.random() < 0.5:
                paint = self._material(z)

    def _card(self) -> None:
        random = self.random
        place, size = self._floating()
        axes = upright(random.normal(0, 0.5)) @ any_rotation(random, 0.3)
        mask = random.choice(len(SILHOUETTES), p=SHARES) * MASKS_OF_EACH + random.integers(MASKS_OF_EACH)
        self._add(CARD, place, size * np.array([1, 1, 0.01]), axes, mask=mask)

    # --- where, and of what ---

    def _depth(self) -> float:
        share = self.random.beta(1.2, 1.2)
        if self.random.random() < 0.5:  # evenly in disparity, else in its logarithm
            return 1 / (1 / self.far + share * (1 / self.near - 1 / self.far))
        return self.far * (self.near / self.far) ** share

    def _floating(self) -> tuple[np.ndarray, np.ndarray]:
        """Place and half extent, anywhere in view."""
        random, z = self.random, self._depth()
        pixel = z / self.focal
        u, v = random.uniform(-0.55, 0.55) * self.width, random.uniform(-0.55, 0.55) * self.height
        half = 0.5 * np.exp(random.uniform(np.log(8), np.log(0.6 * self.height)))
        return np.array([u * pixel, v * pixel, z]), half * pixel * np.exp(random.normal(0, 0.35, 3))

    def _resting(self) -> tuple[np.ndarray, np.ndarray]:
        """Place and half extent of what stands on the floor."""
        random, z = self.random, self._depth()
        pixel = z / self.focal
        u = random.uniform(-0.55, 0.55) * self.width
        top = min(random.uniform(-0.6, 0.5) * self.height * pixel, 0.95 * self.floor)
        half = (self.floor - top) / 2
        widest = 0.3 * self.width * pixel
        sides = np.minimum(half * np.exp(random.normal(0, 0.5, 2)), widest)
        return np.array([u * pixel, self.floor - half, z]), np.array([sides[0], half, sides[1]])

    def _material(self, depth: float, plain: float = 0.1) -> dict:
        """``plain``: how likely it has hardly any texture, in a scene that is not plain anyway."""
        random = self.random
        tiles = load_atlas().tiles
        chance = 0.7 if self.repeats else 0.08
        tile = len(tiles) - 1 - random.integers(PATTERNS) if random.random() < chance else random.integers(len(tiles))
        gain = random.choice([1.0, random.uniform(0.15, 1.0)], p=[0.7, 0.3]) * random.uniform(0.8, 1.4, 3)
        if random.random() < (0.7 if self.plain else plain):
            gain = gain * random.uniform(0, 0.12) * (random.random() >= BLANK)
        mean = random.uniform(30, 250, 3) * 0.35 + random.uniform(30, 250) * 0.65
        glossy = random.random() < (0.5 if self.glare else 0.1)
        return {
            "tile": tile,
            "density": self.focal / depth * np.exp(random.uniform(np.log(0.25), np.log(1.3))),
            "turn": random.choice([0.0, random.uniform(-np.pi, np.pi)]),
            "gain": gain,
            "bias": mean - gain * tile_means()[tile],
            "gloss": glossy * random.uniform(0.2, 0.9),
        }

    def _add(self, kind: int, centre, size, axes, depth: float | None = None, paint: dict | None = None, mask: int = 0):
        if len(self.items[kind]) == SLOTS[kind]:
            return
        depth = depth or float(centre[2])
        if kind != ROOM:
            nearest = centre[2] - np.abs(axes[:, 2] * size).sum()
            if nearest < self.limit:  # too near for the range of disparities
                centre = centre + np.array([0, 0, self.limit - nearest])
        item = {"centre": np.asarray(centre, float), "size": np.maximum(size, 1e-4), "axes": axes, "mask": mask}
        self.items[kind].append(item | (paint or self._material(depth)))

    def _arrays(self) -> dict[str, np.ndarray]:
        """Every slot filled, the empty ones behind the camera; the whole turned by the camera's pitch."""
        random = self.random
        nothing = {"centre": np.array([0.0, 0.0, -1e3]), "size": np.full(3, 1e-3), "axes": np.eye(3), "mask": 0}
        nothing |= {"tile": 0, "density": 1.0, "turn": 0.0, "gain": np.ones(3), "bias": np.zeros(3), "gloss": 0.0}
        slots = [item for kind, count in SLOTS.items() for item in (self.items[kind] + count * [nothing])[:count]]
        arrays = {name: np.stack([np.asarray(slot[name]) for slot in slots]) for name in nothing}
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        arrays["centre"], arrays["axes"] = arrays["centre"] @ tilt.T, arrays["axes"] @ tilt.T
        towards = np.array([random.normal(), -abs(random.normal()) - 0.3, random.normal() - 0.5])
        distance = self.far * np.exp(random.uniform(np.log(0.3), np.log(30)))
        arrays["lamp"] = distance * towards / np.linalg.norm(towards)
        arrays["ambient"] = np.array(random.uniform(0.5, 0.95))
        return arrays


@lru_cache(maxsize=1)
def tile_means() -> np.ndarray:
    """(N,3) mean colours."""
    return load_atlas().tiles.float().mean((1, 2)).numpy()


def upright(yaw: float) -> np.ndarray:
    """Axes (rows) turned about the vertical."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def any_rotation(random, size: float | None = None) -> np.ndarray:
    """A rotation; with ``size``, near none, by about so many radians."""
    skew = random.normal(0, 1.0 if size is None else size, (3, 3))
    q, r = np.linalg.qr(skew if size is None else np.eye(3) + skew)
    return q * np.sign(np.diag(r))
