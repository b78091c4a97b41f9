"""What every source of synthetic scenes gives, and what two real cameras would have made of it.

Shapes: H height, W width; images (H,W,3), disparity (H,W) float32 pixels, occluded (H,W) bool.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Scene:
    """One rendered pair. ``disparity`` and ``occluded`` belong to the left image; nothing in it is unknown."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    occluded: np.ndarray


def vertical_offset(random, asymmetry: float) -> float:
    """Rows by which the right camera looks lower: none more often than not."""
    return asymmetry * random.choice([0.0, random.uniform(-1, 1)], p=[0.6, 0.4])


def expose(random, left: np.ndarray, right: np.ndarray, asymmetry: float) -> tuple[np.ndarray, np.ndarray]:
    """Two uint8 pictures: a shared exposure, then each with its own gain, gamma, colour, blur and noise."""
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


def occlusion(disparity: np.ndarray, right_disparity: np.ndarray, offset: float) -> np.ndarray:
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
