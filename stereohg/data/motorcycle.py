"""The Motorcycle pair that scikit-image ships: a real scene with ground truth on every machine.

A quarter of the full size of Middlebury 2014's (D. Scharstein et al., *High-resolution stereo datasets with
subpixel-accurate ground truth*, GCPR 2014).
"""

from pathlib import Path

import numpy as np

from stereohg.calibration.cameras import StereoCalibration
from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, StereoDataset, StereoFiles, StereoSample, Transform

CALIBRATION = StereoCalibration(
    focal=994.978, baseline=0.193001, centre=(311.193, 254.877), doffs=31.086, size=(741, 500), ndisp=80
)
"""As scikit-image's documentation states it; ``ndisp`` is the scene's 60 levels and some room."""


def motorcycle() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Left and right (500,741,3) uint8 RGB, disparity (500,741) float32 pixels, and where it is known, bool.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    try:
        from skimage.data import stereo_motorcycle
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the Motorcycle comes with scikit-image: pip install 'stereohg[demo]'") from error
    left, right, truth = stereo_motorcycle()
    known = np.isfinite(truth)
    return left, right, np.where(known, truth, 0).astype(np.float32), known


class Motorcycle(StereoDataset):
    """The pair as a set of one."""

    def __init__(self, transform: Transform | None = None, seed: int = 0, on_error: OnError = "raise"):
        super().__init__(Listing([StereoFiles("motorcycle", Path("left"), Path("right"))]), transform, seed, on_error)

    def read(self, index: int) -> StereoSample:
        return StereoSample(*motorcycle(), name=self.files[index].name)

    def calibration(self, index: int) -> StereoCalibration:
        return CALIBRATION
