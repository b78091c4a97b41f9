"""What ``stereohg predict`` writes in metres beside the disparities."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stereohg.calibration.cameras import StereoCalibration
from stereohg.calibration.formats import read_calibration
from stereohg.data.preprocess import Picture
from stereohg.disparity import Disparity
from stereohg.files import write_depth, write_points
from stereohg.geometry import crop_depth

logger = logging.getLogger("stereohg")

NEAR, FAR = 0.005, 10.0  # metres that cameras are apart
SAME_SHAPE = 1.0  # pixel by which the calibration's height, scaled by the widths, may miss the picture's


@dataclass(frozen=True)
class MetricOutputs:
    """Depth and points of each pair, in the formats that are named; None is not written."""

    calibration: StereoCalibration | None = None
    depth: str | None = None
    points: str | None = None
    min_depth: float = 0.0
    max_depth: float = float("inf")

    @classmethod
    def chosen(
        cls, path: Path | None, depth: str | None, points: str | None, pages: bool, min_depth: float, max_depth: float
    ) -> "MetricOutputs":
        """As the options say; what they lack is told before anything is predicted.

        Raises:
            ValueError: outputs lack a calibration, a calibration has no outputs to serve, or there is no such range.
            FileNotFoundError: there is no such calibration.
        """
        crop_depth(0.0, min_depth, max_depth)
        wants = depth is not None or points is not None
        if not wants and (min_depth, max_depth) != (0.0, float("inf")):
            raise ValueError("--min_depth and --max_depth limit what --depth and --points write; give one of these")
        if path is None and wants or path is not None and not (wants or pages):
            raise ValueError(
                "--calibration FILE and --depth, --points or --html go together: one says what the others need"
            )
        calibration = None if path is None else read_calibration(path)
        if calibration is not None and not NEAR <= calibration.baseline <= FAR:
            logger.warning(
                f"{path}: the cameras stand {calibration.baseline:g} m apart; if they do not, the file has another unit"
                " than its form (metres, in Middlebury's millimetres), and so have depth and points"
            )
        return cls(calibration, depth, points, min_depth, max_depth)

    def paths(self, target: Path) -> list[Path]:
        """NAME_depth and NAME beside the disparity ``target``, which of them are written."""
        return [path for path in (self._depth_path(target), self._points_path(target)) if path is not None]

    def write(self, result: Disparity, picture: Picture, target: Path) -> None:
        """Them, of a ``picture`` and its disparity."""
        calibration = self.of(result.values.shape)
        limits = {"min_depth": self.min_depth, "max_depth": self.max_depth}
        if (path := self._depth_path(target)) is not None:
            write_depth(path, result.to_depth(calibration, **limits))
        if (path := self._points_path(target)) is not None:
            write_points(path, *result.to_points(calibration, colours=picture, **limits))

    def summary(self, result: Disparity) -> list[str]:
        """The median depth, where there is a calibration."""
        calibration = self.of(result.values.shape)
        if calibration is None:
            return []
        depth = result.to_depth(calibration, min_depth=self.min_depth, max_depth=self.max_depth)
        known = depth[np.isfinite(depth)]
        return [f"{np.median(known):.3g} m" if known.size else "none"]

    def of(self, shape: tuple[int, int]) -> StereoCalibration | None:
        """The calibration for a picture (H,W) that was resized as a whole; others are an error."""
        size = shape[::-1]
        if self.calibration is None or self.calibration.size in (None, size):
            return self.calibration
        width, height = self.calibration.size
        if abs(size[1] - height * size[0] / width) > SAME_SHAPE:
            raise ValueError(
                f"the calibration is of {width}x{height} pictures, and this one is {size[0]}x{size[1]}, which is no "
                "resized form of it; calibrate for pictures of this size"
            )
        return self.calibration.resized(size)

    def _depth_path(self, target: Path) -> Path | None:
        return None if self.depth is None else target.with_name(f"{target.stem}_depth.{self.depth}")

    def _points_path(self, target: Path) -> Path | None:
        return None if self.points is None else target.with_name(f"{target.stem}.{self.points}")
