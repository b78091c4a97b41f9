"""What of a picture the keypoint network sees, and the way there and back.

Shapes: points (...,2), x to the right and y down, in pixels; image (H,W,3).

One convention holds in the whole package. The centre of the pixel in column i and row j is (i, j), so that a picture
reaches from -1/2 to W - 1/2: a point is where an array's index would be. Hence a picture that is resized by s takes x
to s (x + 1/2) - 1/2, and a heatmap's cell i, at a quarter of the crop, is at 4 i + 3/2 of the crop. Boxes are (x, y,
width, height) as COCO has them, measured from the picture's upper left corner: the whole picture is (0, 0, W, H), and
a box's left edge is the point x - 1/2. Sets that count pixels from one (MPII, LSP) are brought to this when read.

pytorch-pose (bearpaw) computes in whole pixels; ``PublishedCrop`` does so as well, for its weights and figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

PERSON_HEIGHT = 200
"""Pixels that a person of scale 1 is high (MPII)."""
MARGIN = 1.25
"""The window's side beside the person's box; pytorch-pose widens MPII's scale by as much."""
STRIDE = 4
"""Pixels of the crop a cell of the heatmaps; the network's."""


@dataclass(frozen=True)
class Window:
    """The square of the picture that a crop must show: its centre, a point, and its side, pixels.

    Raises:
        ValueError: the side is not positive, or a value is not finite.
    """

    x: float
    y: float
    side: float

    def __post_init__(self):
        if not (math.isfinite(self.x) and math.isfinite(self.y) and 0 < self.side < math.inf):
            raise ValueError(f"the window is {self}; centre and side must be finite, and the side positive")

    @classmethod
    def of_scale(cls, x: float, y: float, scale: float) -> "Window":
        """Around a person that is 200 x scale pixels high."""
        return cls(x, y, PERSON_HEIGHT * scale)

    @classmethod
    def of_box(cls, box: Sequence[float], margin: float = MARGIN) -> "Window":
        """Around a box (x, y, width, height), the side ``margin`` times the longer of its own."""
        x, y, width, height = (float(value) for value in box)
        return cls(x + width / 2 - 0.5, y + height / 2 - 0.5, margin * max(width, height))

    @classmethod
    def of_points(cls, points: np.ndarray, margin: float = MARGIN) -> "Window | None":
        """Around the box that points (N,2) span; None where there are not two apart."""
        if len(points) < 2 or not np.ptp(points, 0).any():
            return None
        low, high = points.min(0), points.max(0)
        return cls.of_box((*(low + 0.5), *(high - low)), margin)


@dataclass(frozen=True)
class Crop:
    """A window brought to the network's size by one affine map, turned and mirrored where training asks for it.

    The window is seen whole, in the middle of the crop; what is beyond the picture is black.

    Args:
        window: what to show.
        size: (H,W) of the crop.
        rotation: degrees by which the person turns, anticlockwise as seen.
        mirrored: left and right are exchanged, before the turn.
    """

    window: Window
    size: tuple[int, int]
    rotation: float = 0.0
    mirrored: bool = False

    @cached_property
    def matrix(self) -> np.ndarray:
        """(3,3) float64, points of the picture to points of the crop."""
        height, width = self.size
        factor = min(self.size) / self.window.side
        centre = ((width - 1) / 2, (height - 1) / 2)
        return (
            _turn(self.rotation, centre)
            @ _shift(*centre)
            @ np.diag([-factor if self.mirrored else factor, factor, 1.0])
            @ _shift(-self.window.x, -self.window.y)
        )

    @property
    def picture_matrix(self) -> np.ndarray:
        """(3,3) float64, the map by which pixels move; it differs from that of points only in the published code."""
        return self.matrix

    def warp(self, image: np.ndarray) -> np.ndarray:
        """The crop of an image, float32 (H,W,3) in [0,1], in one bilinear resampling.

        Where the picture shrinks, it is smoothed first, as its pixels would alias else.
        """
        matrix = self.picture_matrix
        shrink = 1 / math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
        if shrink > 1:
            deviation = math.sqrt(shrink**2 - 1) / 2  # of a pixel as wide as the crop's, less the picture's own
            height, width = self.size
            corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
            reach = math.ceil(4 * deviation) + 1
            image, start = _cut_out(image, _apply(np.linalg.inv(matrix), corners), reach)
            if 0 in image.shape:
                return np.zeros((*self.size, 3), np.float32)
            image = cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
            matrix = matrix @ _shift(*start)
        return cv2.warpAffine(np.ascontiguousarray(image), matrix[:2], self.size[::-1], flags=cv2.INTER_LINEAR)

    def to_heatmap(self, points: np.ndarray, stride: int = STRIDE) -> np.ndarray:
        """Points of the picture to points of the heatmaps, float64."""
        return _apply(_resize(1 / stride, 1 / stride) @ self.matrix, points)

    def from_heatmap(self, points: np.ndarray, stride: int = STRIDE) -> np.ndarray:
        """Points of the heatmaps to points of the picture, float64: ``to_heatmap`` undone."""
        return _apply(np.linalg.inv(_resize(1 / stride, 1 / stride) @ self.matrix), points)


@dataclass(frozen=True)
class PublishedCrop(Crop):
    """The crop as pytorch-pose makes it, to the same whole pixels; the resampling alone is ours, one in place of three.

    Against ``Crop``: points are cut off to whole cells and, on the way back, to whole pixels, which puts them half a
    pixel too far right and down in the mean; the corners of the window are whole pixels, so that picture and keypoints
    part by a pixel or so; where the picture shrinks by two or more, the corners are whole pixels of the shrunken one;
    and a mirrored picture is shifted by a pixel against its keypoints.

    Args:
        window, size, rotation, mirrored: as in ``Crop``; the size is square.
        picture: (H,W) of the whole picture.
    """

    picture: tuple[int, int] = (0, 0)

    @cached_property
    def picture_matrix(self) -> np.ndarray:
        (height, width), side, size = self.picture, self.window.side, self.size[0]
        centre = np.array([self.window.x, self.window.y]) + 1  # counted from one, and taken for counted from zero
        matrix = np.eye(3)
        if self.mirrored:
            centre[0] = width - centre[0]
            matrix = _shift(width - 1, 0) @ np.diag([-1.0, 1.0, 1.0])
        shrink = side / size
        if shrink >= 2:
            narrow, low = max(1, int(width / shrink)), max(1, int(height / shrink))
            matrix = _resize(narrow / width, low / height) @ matrix
            centre, side = centre / shrink, side / shrink
        first, last = (np.trunc(centre + (end - size / 2) * side / size) + 1 for end in (-1, size - 1))
        pad = 0
        if self.rotation:
            pad = int(np.linalg.norm(last - first) / 2 - (last - first)[1] / 2)
        matrix = _shift(*(pad - first)) @ matrix
        inner = last - first
        matrix = _turn(self.rotation, tuple((inner + 2 * pad) // 2)) @ matrix
        return _resize(*(size / inner)) @ _shift(-pad, -pad) @ matrix

    def to_heatmap(self, points: np.ndarray, stride: int = STRIDE) -> np.ndarray:
        return np.trunc(super().to_heatmap(points, stride) + 0.5)

    def from_heatmap(self, points: np.ndarray, stride: int = STRIDE) -> np.ndarray:
        return np.trunc(super().from_heatmap(points, stride) + 1)


# --- affine maps ----------------------------------------------------------------------------------------------------


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points, np.float64) @ matrix[:2, :2].T + matrix[:2, 2]


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _resize(x: float, y: float) -> np.ndarray:
    """A picture's points once it is resized by these factors."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _turn(degrees: float, about: tuple[float, float]) -> np.ndarray:
    """Anticlockwise as seen, y being down."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    return _shift(*about) @ turn @ _shift(-about[0], -about[1])


def _cut_out(image: np.ndarray, corners: np.ndarray, reach: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the image that the corners and ``reach`` pixels around them span, and its first column and row."""
    limits = image.shape[1::-1]
    left, top = (int(v) for v in np.clip(np.floor(corners.min(0)) - reach, 0, limits))
    right, bottom = (int(v) for v in np.clip(np.ceil(corners.max(0)) + reach + 1, 0, limits))
    return image[top:bottom, left:right], (left, top)
