"""Two cameras: as they are built (``StereoRig``), and as rectification leaves them (``StereoCalibration``).

Units: pixels, the first pixel's middle being (0, 0), and metres; x right, y down, z forward. Shapes: camera matrix K
(3,3), distortion D (N,) in OpenCV's order k1 k2 p1 p2 k3 ..., rotation R (3,3), translation T (3,), projection P (3,4).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from stereohg.geometry import check_positive

Size = tuple[int, int]  # width, height

SAME_ROWS = 1.0  # pixel by which two rectified principal points may differ along y
SAME_FOCAL = 1e-3  # the same of focal lengths, relative
COEFFICIENTS = (0, 4, 5, 8, 12, 14)  # of distortion, in OpenCV's models


@dataclass(frozen=True)
class StereoCalibration:
    """Two rectified cameras: what turns the disparity of the left picture into depth.

    Attributes:
        focal: length in pixels along x, of both cameras.
        baseline: distance of the cameras in metres.
        centre: principal point (x, y) of the left camera, pixels.
        doffs: principal point of the right camera less that of the left one, along x, pixels (Middlebury's name).
        focal_y: focal length along y, pixels; None is that along x.
        size: (width, height) of the pictures, where it is known.
        ndisp: a bound on the disparities, where it is known (Middlebury).

    Raises:
        ValueError: a length or size is not positive, or a number not finite.
    """

    focal: float
    baseline: float
    centre: tuple[float, float]
    doffs: float = 0.0
    focal_y: float | None = None
    size: Size | None = None
    ndisp: int | None = None

    def __post_init__(self):
        if self.focal_y is None:
            object.__setattr__(self, "focal_y", self.focal)
        check_positive(focal=self.focal, baseline=self.baseline, focal_y=self.focal_y)
        if not np.isfinite([*self.centre, self.doffs]).all():
            raise ValueError(f"centre is {self.centre} and doffs {self.doffs}; they must be numbers of pixels")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size is {self.size}; it must be (width, height) in pixels")

    @classmethod
    def from_projections(cls, left: np.ndarray, right: np.ndarray, size: Size | None = None) -> "StereoCalibration":
        """From the projections of both rectified cameras, in metres.

        Raises:
            ValueError: they are not (3,4), or not of a left and a right camera that look the same way along equal rows.
        """
        left, right = np.asarray(left, float), np.asarray(right, float)
        if left.shape != (3, 4) or right.shape != (3, 4) or not np.isfinite([left, right]).all():
            raise ValueError(f"the projections are {left.shape} and {right.shape}; both must be (3,4) and finite")
        if min(left[0, 0], left[1, 1], right[0, 0]) <= 0:
            raise ValueError(
                "the projections hold a focal length that is not positive; these cameras are not rectified"
            )
        focal_differs = abs(left[0, 0] - right[0, 0]) > SAME_FOCAL * left[0, 0]
        if focal_differs or abs(left[1, 2] - right[1, 2]) > SAME_ROWS:
            raise ValueError(
                f"the focal lengths are {left[0, 0]:g} and {right[0, 0]:g} px and the principal points lie in rows "
                f"{left[1, 2]:g} and {right[1, 2]:g}; of rectified cameras both agree"
            )
        x, y, _ = np.linalg.solve(left[:, :3], left[:, 3]) - np.linalg.solve(right[:, :3], right[:, 3])
        check_side_by_side(x, y)
        return cls(
            focal=float(left[0, 0]),
            baseline=float(x),
            centre=(float(left[0, 2]), float(left[1, 2])),
            doffs=float(right[0, 2] - left[0, 2]),
            focal_y=float(left[1, 1]),
            size=size,
        )

    @property
    def projections(self) -> tuple[np.ndarray, np.ndarray]:
        """P (3,4) of the left and of the right camera, seen from the left one, in metres."""
        x, y = self.centre
        left = np.array([[self.focal, 0, x, 0], [0, self.focal_y, y, 0], [0, 0, 1, 0]])
        right = left + [[0, 0, self.doffs, -self.focal * self.baseline], [0] * 4, [0] * 4]
        return left, right

    @property
    def Q(self) -> np.ndarray:
        """(4,4), with which (x, y, disparity, 1) becomes a homogeneous point; of ``cv2.reprojectImageTo3D``."""
        (x, y), stretch = self.centre, self.focal / self.focal_y
        return np.array(
            [
                [1, 0, 0, -x],
                [0, stretch, 0, -y * stretch],
                [0, 0, 0, self.focal],
                [0, 0, 1 / self.baseline, self.doffs / self.baseline],
            ]
        )

    def scaled(self, factor: float) -> "StereoCalibration":
        """That of the pictures resized by ``factor``; a known size is rounded to whole pixels, and decides."""
        check_positive(factor=factor)
        if self.size is not None:
            return self.resized((max(1, round(factor * self.size[0])), max(1, round(factor * self.size[1]))))
        return self._stretched(factor, factor)

    def resized(self, size: Size) -> "StereoCalibration":
        """That of the pictures resized to (width, height), as ``cv2.resize`` does it.

        Raises:
            ValueError: the size of the calibration's own pictures is not known.
        """
        if self.size is None:
            raise ValueError("this calibration does not say of what size its pictures are; use scaled(factor)")
        return replace(self._stretched(size[0] / self.size[0], size[1] / self.size[1]), size=tuple(size))

    @property
    def centre_of_right(self) -> tuple[float, float]:
        """The right camera's principal point; all else of it is as the left one's."""
        return self.centre[0] + self.doffs, self.centre[1]

    def cropped(self, x: int, y: int, size: Size) -> "StereoCalibration":
        """That of the part of both pictures that begins at pixel (x, y) and is (width, height)."""
        return replace(self, centre=(self.centre[0] - x, self.centre[1] - y), size=tuple(size))

    def check_size(self, size: Size) -> None:
        """ValueError where pictures of (width, height) are not those of this calibration."""
        if self.size is not None and tuple(size) != tuple(self.size):
            raise ValueError(
                f"the calibration is of {self.size[0]}x{self.size[1]} pictures, and this one is {size[0]}x{size[1]}; "
                f"if it was resized, use calibration.resized(({size[0]}, {size[1]}))"
            )

    def _stretched(self, x: float, y: float) -> "StereoCalibration":
        return replace(
            self,
            focal=x * self.focal,
            focal_y=y * self.focal_y,
            centre=(x * (self.centre[0] + 0.5) - 0.5, y * (self.centre[1] + 0.5) - 0.5),  # a picture begins at -1/2
            doffs=x * self.doffs,
            ndisp=None if self.ndisp is None else math.ceil(x * self.ndisp),
        )


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera as it is: K (3,3) in pixels, D (N,), and the (width, height) of its pictures.

    Raises:
        ValueError: OpenCV has no model of so many distortion coefficients.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    size: Size

    def __post_init__(self):
        if len(self.distortion) not in COEFFICIENTS:
            known = ", ".join(map(str, COEFFICIENTS))
            raise ValueError(f"there are {len(self.distortion)} distortion coefficients; there can be {known}")


@dataclass(frozen=True, eq=False)
class StereoRig:
    """Two cameras as they are; a point x of the left is ``rotation @ x + translation`` (metres) of the right."""

    left: Camera
    right: Camera
    rotation: np.ndarray
    translation: np.ndarray


def check_side_by_side(x: float, y: float) -> None:
    """ValueError unless the right camera stands x metres to the right of the left one, rather than y metres below."""
    if abs(y) > abs(x):
        raise ValueError(f"the cameras stand one above the other ({y:g} m); turn the pictures by 90 degrees first")
    if not x > 0:
        raise ValueError(f"the right camera stands {-x:g} m to the left of the left one; exchange left and right")
