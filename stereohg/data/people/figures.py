"""Articulated figures with exact keypoints, so that everything about keypoints can be shown without a download.

A figure faces the camera, leans a little, and moves arms and legs; it wears textures, stands before one, and may be
partly behind others. Its keypoints are MPII's 16. Since it faces the camera, its right is at the picture's left, and a
mirrored picture with exchanged sides is again one of these.

Shapes: image (H,W,3) uint8, keypoints (16,2), mask (H,W) float32 in [0,1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from stereohg.data.people.crop import Window
from stereohg.data.people.mpii import HEAD_SHARE
from stereohg.data.people.samples import KeypointDataset, KeypointSample, People, Person
from stereohg.data.people.skeletons import MPII
from stereohg.data.synthetic.silhouettes import blob, box, polygon
from stereohg.data.synthetic.textures import load_textures

# parts of a body of height 1
SPINE, NECK, HEAD = 0.30, 0.04, 0.15
SHOULDER, HIP = 0.11, 0.065  # half of the widths
UPPER_ARM, FOREARM = 0.17, 0.16
THIGH, SHIN = 0.25, 0.25
WIDTHS = {"thigh": 0.085, "shin": 0.065, "upper_arm": 0.06, "forearm": 0.05}
SUBPIXEL = 4  # bits of OpenCV's coordinates behind the point


class StickFigures(KeypointDataset):
    """A figure a picture, each rendered when it is read, and the same whenever it is.

    ``visible`` is False for a keypoint behind something that stands before the figure; the window is around the
    keypoints, and ``head_size`` 0.6 times the length of the head, as MPII's boxes have it.

    Args:
        length: number of pictures.
        picture: (H,W) of each; the figure is between a half and nine tenths as high.
        seed: of figures and crops; another seed, other figures.
        options: see ``KeypointDataset``.

    Raises:
        ModuleNotFoundError: scikit-image, whose photographs are the textures, is not installed.
    """

    def __init__(self, length: int = 100, picture: tuple[int, int] = (256, 256), seed: int = 0, **options: Any):
        super().__init__(People(_Figures(length, picture, seed)), MPII, seed=seed, **options)

    def read(self, index: int) -> KeypointSample:
        return self.people.rendered(index)


@dataclass(frozen=True)
class _Figures(Sequence[Person]):
    """The people of the set, who are made when they are asked for."""

    length: int
    picture: tuple[int, int]
    seed: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Person:
        if not 0 <= index < self.length:  # which ends an iteration
            raise IndexError(f"there are {self.length} figures, and none of number {index}")
        return self.rendered(index).person

    def rendered(self, index: int) -> KeypointSample:
        image, keypoints, visible = render_figure(np.random.default_rng((self.seed, index)), self.picture)
        person = Person(
            name=f"figure_{index}",
            image=Path(f"figure_{index}"),  # there is no such file
            keypoints=keypoints.astype(np.float32),
            labelled=np.ones(len(MPII), bool),
            visible=visible,
            window=Window.of_points(keypoints),
            head_size=HEAD_SHARE * float(np.linalg.norm(keypoints[9] - keypoints[8])),
            image_id=index,
        )
        return KeypointSample(person, image)


def render_figure(random: Generator, picture: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image (H,W,3), the keypoints (16,2), and which of them nothing stands before (16,)."""
    height, width = picture
    textures = load_textures()
    image = _patch(random, textures, picture)
    points = _pose(random)
    tall = random.uniform(0.5, 0.9) * min(height, width) / np.ptp(points, 0).max()
    points = points * tall
    low, high = points.min(0), points.max(0)
    room = np.maximum(np.array([width, height]) - 1 - (high - low), 0)
    points = points - low + random.uniform(0.05, 0.95, 2) * room

    shirt, trousers = (_patch(random, textures, picture) for _ in range(2))
    skin = _patch(random, textures, picture) // 4 + np.uint8(random.uniform((110, 80, 60), (190, 150, 130)))
    for mask, paint in _parts(points, tall, picture, shirt, trousers, skin):
        image = _over(image, paint, mask)
    hidden = np.zeros(len(MPII), bool)
    for _ in range(random.integers(0, 3)):
        mask = _occluder(random, picture, points[random.integers(len(points))], tall)
        image = _over(image, _patch(random, textures, picture), mask)
        columns, rows = np.clip(np.rint(points).astype(int), 0, [width - 1, height - 1]).T
        hidden |= mask[rows, columns] > 0.5
    return image, points, ~hidden


# --- the body -------------------------------------------------------------------------------------------------------


def _pose(random: Generator) -> np.ndarray:
    """The keypoints (16,2) of a body of height 1, the pelvis in the origin."""
    lean = random.normal(0, 12)
    up, outward = _direction(lean), {-1: _direction(lean - 90), 1: _direction(lean + 90)}  # -1 the right, at the left
    thorax = SPINE * up
    neck = thorax + NECK * up
    points = np.zeros((len(MPII), 2))
    points[7], points[8] = thorax, neck
    points[9] = neck + HEAD * _direction(lean + random.normal(0, 12))
    for side, leg, arm in ((-1, (0, 1, 2), (10, 11, 12)), (1, (5, 4, 3), (15, 14, 13))):
        (ankle, knee, hip), (wrist, elbow, shoulder) = leg, arm
        swing, bend = random.uniform(-10, 45), random.uniform(-50, 15)
        points[hip] = HIP * outward[side]
        points[knee] = points[hip] + THIGH * _direction(lean + 180 - side * swing)
        points[ankle] = points[knee] + SHIN * _direction(lean + 180 - side * (swing + bend))
        swing, bend = random.uniform(-15, 165), random.uniform(-120, 60)
        points[shoulder] = thorax + SHOULDER * outward[side]
        points[elbow] = points[shoulder] + UPPER_ARM * _direction(lean + 180 - side * swing)
        points[wrist] = points[elbow] + FOREARM * _direction(lean + 180 - side * (swing + bend))
    return points


def _direction(degrees: float) -> np.ndarray:
    """The unit vector that is so far from upwards, clockwise; y is down."""
    angle = np.radians(degrees)
    return np.array([np.sin(angle), -np.cos(angle)])


def _parts(points, tall, picture, shirt, trousers, skin):
    """Masks and paints of the parts, from the hindmost: legs, trunk, neck and head, arms."""
    for ankle, knee, hip in ((0, 1, 2), (5, 4, 3)):
        yield _limb(points[[knee, ankle]], tall * WIDTHS["shin"], picture), trousers // 2 + 40
        yield _limb(points[[hip, knee]], tall * WIDTHS["thigh"], picture), trousers
    yield _trunk(points[[12, 13, 3, 2]], tall * 0.08, picture), shirt
    yield _limb(points[[7, 8]], tall * 0.06, picture), skin
    yield _head(points[8], points[9], picture), skin
    for wrist, elbow, shoulder in ((10, 11, 12), (15, 14, 13)):
        yield _limb(points[[shoulder, elbow]], tall * WIDTHS["upper_arm"], picture), shirt // 2 + 60
        yield _limb(points[[elbow, wrist]], tall * WIDTHS["forearm"], picture), skin


# --- drawing --------------------------------------------------------------------------------------------------------


def _limb(ends: np.ndarray, width: float, picture: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(picture, np.uint8)
    cv2.line(mask, *_fixed(ends), 255, max(1, round(width)), cv2.LINE_AA, SUBPIXEL)
    return mask / np.float32(255)


def _trunk(corners: np.ndarray, rounding: float, picture: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(picture, np.uint8)
    outline = np.array(_fixed(corners))
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, SUBPIXEL)
    cv2.polylines(mask, [outline], True, 255, max(1, round(rounding)), cv2.LINE_AA, SUBPIXEL)
    return mask / np.float32(255)


def _head(neck: np.ndarray, top: np.ndarray, picture: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(picture, np.uint8)
    (centre,), along = _fixed([(neck + top) / 2]), top - neck
    half = np.linalg.norm(along) / 2
    axes = tuple(int(v) for v in np.rint(np.array([half, 0.75 * half]) * 2**SUBPIXEL))
    turn = float(np.degrees(np.arctan2(along[1], along[0])))
    cv2.ellipse(mask, centre, axes, turn, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, SUBPIXEL)
    return mask / np.float32(255)


def _occluder(random: Generator, picture: tuple[int, int], near: np.ndarray, tall: float) -> np.ndarray:
    """Something of up to a third of the figure's size, not far from one of its keypoints."""
    height, width = np.maximum(random.uniform(0.1, 0.3, 2) * tall, 4).astype(int)
    shape = (polygon, box, blob)[random.integers(3)](random, height, width)
    left, top = near + random.normal(0, 0.15 * tall, 2) - [width / 2, height / 2]
    move = np.array([[1, 0, left], [0, 1, top]])
    return cv2.warpAffine(shape.astype(np.float32) / 255, move, picture[::-1])


def _patch(random: Generator, textures: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """A part of one of the textures, brought to this size."""
    texture = textures[random.integers(len(textures))]
    share = random.uniform(0.3, 1)
    h, w = (max(2, int(share * side)) for side in texture.shape[:2])
    top, left = random.integers(texture.shape[0] - h + 1), random.integers(texture.shape[1] - w + 1)
    part = np.ascontiguousarray(texture[top : top + h, left : left + w])
    return cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA if h > size[0] else cv2.INTER_LINEAR)


def _over(image: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.rint(image + mask[..., None] * (paint.astype(np.float32) - image)).astype(np.uint8)


def _fixed(points) -> list[tuple[int, int]]:
    """In OpenCV's whole numbers of fractions of a pixel."""
    return [tuple(int(v) for v in np.rint(point * 2**SUBPIXEL)) for point in points]
