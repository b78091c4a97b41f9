"""What the keypoint network is to answer: a map for each keypoint, with a peak where it is.

Shapes: K keypoints, h, w height and width of the heatmaps; keypoints (K,2) points of the heatmaps (see ``crop.py``),
labelled (K,) bool, heatmaps (K,h,w) float32, weight (K,) float32.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

CUT = 3
"""Deviations from the peak, along x or y, beyond which the map is zero; published."""


@dataclass(frozen=True)
class Targets:
    """Draws heatmaps.

    Args:
        sigma: width of the peak, cells.
        shape: "gaussian", exp(-d^2 / (2 sigma^2)), of height 1; or "cauchy", sigma / (d^2 + sigma^2)^(3/2), of height
            1 / sigma^2.
        subpixel: the peak is where the keypoint is; else in the middle of its cell, as published.
        partial: a keypoint beyond the map counts as long as its peak reaches in, as published; else it counts only
            if its cell is in the map.

    Raises:
        ValueError: sigma is not positive, or there is no such shape.
    """

    sigma: float = 1.0
    shape: Literal["gaussian", "cauchy"] = "gaussian"
    subpixel: bool = True
    partial: bool = False

    def __post_init__(self):
        if not 0 < self.sigma < np.inf:
            raise ValueError(f"sigma is {self.sigma}; it must be a positive number of cells")
        if self.shape not in ("gaussian", "cauchy"):
            raise ValueError(f"shape is {self.shape!r}; it is 'gaussian' or 'cauchy'")

    def __call__(
        self, keypoints: np.ndarray, labelled: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heatmaps, and 1 for each keypoint that counts, 0 and an empty map for one that is not labelled or outside."""
        cells = np.floor(np.asarray(keypoints, np.float64) + 0.5)
        first, last = np.zeros(2), np.array(size[::-1]) - 1
        if self.partial:  # at the near sides the published code goes a cell farther, from where nothing reaches in
            first, last = first - CUT * self.sigma - 1, last + CUT * self.sigma
        inside = (cells >= first) & (cells <= last)
        counts = np.asarray(labelled, bool) & inside.all(1)

        x, y = (keypoints if self.subpixel else cells).T
        dx = np.arange(size[1]) - x[:, None]
        dy = np.arange(size[0]) - y[:, None]
        near = (np.abs(dx) <= CUT * self.sigma)[:, None] & (np.abs(dy) <= CUT * self.sigma)[..., None]
        squared = dx[:, None] ** 2 + dy[..., None] ** 2
        if self.shape == "gaussian":
            peaks = np.exp(-squared / (2 * self.sigma**2))
        else:
            peaks = self.sigma / (squared + self.sigma**2) ** 1.5
        heatmaps = np.where(near & counts[:, None, None], peaks, 0)
        return heatmaps.astype(np.float32), counts.astype(np.float32)


PUBLISHED_TARGETS = Targets(subpixel=False, partial=True)
"""pytorch-pose's, at its default sigma."""
