"""What a prediction is: disparities, how sure they are, which of them to use; and what becomes of them.

Shapes: H height, W width of the picture; disparity (H,W) float32 pixels, positive, left x minus right x; confidence
(H,W) float32 in [0,1]; valid (H,W) bool.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from stereohg.calibration.cameras import StereoCalibration
from stereohg.data.preprocess import Picture, as_rgb
from stereohg.files import write_disparity
from stereohg.geometry import crop_depth, depth_to_points, disparity_to_depth


@dataclass(frozen=True, eq=False)
class Disparity:
    """What ``predict`` returns.

    Attributes:
        values: float32 (H,W) pixels, dense.
        confidence: float32 (H,W), the probability that the network's own distribution gives to the levels around its
            likeliest one.
        valid: bool (H,W), False where a check was asked for and failed.
        warnings: what was seen, in words.
        side: of the picture that it belongs to.
    """

    values: np.ndarray
    confidence: np.ndarray
    valid: np.ndarray
    warnings: tuple[str, ...] = ()
    side: Literal["left", "right"] = "left"

    def save(self, path: str | Path) -> None:
        """By extension: .pfm, .npy, .tiff (float), .png (16 bit, 256 times the pixels, 0 where not valid)."""
        write_disparity(path, self.values, self.valid)

    def confident(self, least: float) -> "Disparity":
        """The same, with what has less than this confidence marked as not valid."""
        check_confidence(least)
        return replace(self, valid=self.valid & (self.confidence >= least))

    def to_depth(
        self,
        focal: float | StereoCalibration,
        baseline: float | None = None,
        doffs: float = 0.0,
        *,
        min_depth: float = 0.0,
        max_depth: float = np.inf,
    ) -> np.ndarray:
        """Metres (H,W) float32, NaN where not valid: focal (pixels) x baseline (metres) / (disparity + doffs).

        Instead of the three numbers takes a ``StereoCalibration``, of pictures as large as this one. ``doffs`` is the
        right principal point's x less the left one's, pixels. What is nearer than ``min_depth`` or farther than
        ``max_depth``, metres, is NaN.

        Raises:
            ValueError: a length is not positive, or the calibration is of pictures of another size.
        """
        calibration = self._calibration(focal, baseline, doffs)
        depth = disparity_to_depth(self.values, calibration.focal, calibration.baseline, calibration.doffs, self.valid)
        return crop_depth(depth, min_depth, max_depth)

    def to_points(
        self,
        focal: float | StereoCalibration,
        baseline: float | None = None,
        doffs: float = 0.0,
        *,
        colours: Picture | None = None,
        centre: tuple[float, float] | None = None,
        min_depth: float = 0.0,
        max_depth: float = np.inf,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points (N,3) float32 metres, x right, y down, z forward, and colours (N,3) uint8 (grey when not given).

        They are seen from the camera of this ``side``, whose picture has the ``colours``. ``centre`` is its principal
        point (default: the calibration's, or the left picture's middle); the others are those of ``to_depth``.
        """
        if colours is None:
            rgb = np.full((*self.values.shape, 3), 128, np.uint8)
        else:
            rgb = np.round(255 * as_rgb(colours)).astype(np.uint8)
        calibration = self._calibration(focal, baseline, doffs)
        depth = self.to_depth(calibration, min_depth=min_depth, max_depth=max_depth)
        if centre is None:
            centre = calibration.centre if self.side == "left" else calibration.centre_of_right
        return depth_to_points(depth, rgb, calibration.focal, centre, focal_y=calibration.focal_y)

    def _calibration(self, focal: float | StereoCalibration, baseline: float | None, doffs: float) -> StereoCalibration:
        height, width = self.values.shape
        if isinstance(focal, StereoCalibration):
            if baseline is not None or doffs:
                raise ValueError("give a StereoCalibration alone, or focal, baseline and doffs; not both")
            focal.check_size((width, height))
            return focal
        if baseline is None:
            raise ValueError("baseline is missing: the distance of the cameras in metres (or give a StereoCalibration)")
        return StereoCalibration(focal, baseline, ((width - 1) / 2, (height - 1) / 2), doffs)


def check_confidence(least: float) -> None:
    """Raises ValueError where no confidence could be compared with it."""
    if not 0 <= least <= 1:
        raise ValueError(f"the least confidence is {least}; it must lie in [0,1]")
