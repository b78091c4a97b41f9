"""What a prediction is: disparities, how sure they are, which of them to use; and what becomes of them.

Shapes: H height, W width of the picture; disparity (H,W) float32 pixels, positive, left x minus right x; confidence
(H,W) float32 in [0,1]; valid (H,W) bool.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stereohg.data.files import write_disparity
from stereohg.data.preprocess import Picture, as_rgb
from stereohg.geometry import depth_to_points, disparity_to_depth


@dataclass(frozen=True, eq=False)
class Disparity:
    """What ``predict`` returns.

    Attributes:
        values: float32 (H,W) pixels, dense.
        confidence: float32 (H,W), the probability that the network's own distribution gives to the levels around its
            likeliest one.
        valid: bool (H,W), False where a check was asked for and failed.
        warnings: what was seen, in words.
    """

    values: np.ndarray
    confidence: np.ndarray
    valid: np.ndarray
    warnings: tuple[str, ...] = ()

    def save(self, path: str | Path) -> None:
        """By extension: .pfm, .npy, .tiff (float), .png (16 bit, 256 times the pixels, 0 where not valid)."""
        write_disparity(path, self.values, self.valid)

    def to_depth(self, focal: float, baseline: float, doffs: float = 0.0) -> np.ndarray:
        """Metres (H,W) float32, NaN where not valid: focal (pixels) x baseline (metres) / (disparity + doffs).

        ``doffs`` is the right principal point's x less the left one's, pixels.
        """
        return disparity_to_depth(self.values, focal, baseline, doffs, self.valid)

    def to_points(
        self,
        focal: float,
        baseline: float,
        doffs: float = 0.0,
        *,
        colours: Picture | None = None,
        centre: tuple[float, float] | None = None,
        max_depth: float = np.inf,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points (N,3) float32 metres, x right, y down, z forward, and colours (N,3) uint8 (grey when not given).

        ``centre`` is the left principal point (default: the middle of the picture).
        """
        if colours is None:
            rgb = np.full((*self.values.shape, 3), 128, np.uint8)
        else:
            rgb = np.round(255 * as_rgb(colours)).astype(np.uint8)
        return depth_to_points(self.to_depth(focal, baseline, doffs), rgb, focal, centre, max_depth=max_depth)
