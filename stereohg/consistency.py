"""Which pixels both views see: the left-right check (Egnal & Wildes, PAMI 2002, section 3), and uniqueness with it.

A network that takes too much for a foreground does so in both views, and those few pixels agree; hence what is beside a
pixel that disagrees counts as disagreeing, too.

Disparities are float32 (H,W), of the left pixel x and of the right pixel x - d, the same positive number.
"""

import cv2
import numpy as np

TOLERANCE = 1.0  # pixels by which the two views' disparities may differ
NEARER = 0.5  # pixels from which on what lands on the same pixel hides the other
UNKNOWN = 1e9  # pixels, with which nothing agrees
NEIGHBOURS = np.ones((3, 3), np.uint8)


def seen_by_both(disparity: np.ndarray, right_disparity: np.ndarray) -> np.ndarray:
    """True (H,W) where the right picture shows the left one's pixel: inside, agreed upon around it, behind nothing.

    What is not finite agrees with nothing.
    """
    known = np.isfinite(disparity)
    disparity, right_disparity = np.where(known, disparity, 0), np.nan_to_num(right_disparity, nan=UNKNOWN)
    width = disparity.shape[1]
    landed = np.arange(width, dtype=np.float32) - disparity
    low = np.clip(np.floor(landed), 0, width - 1).astype(int)
    at_low, at_high = (np.take_along_axis(right_disparity, at, 1) for at in (low, np.minimum(low + 1, width - 1)))
    seen = at_low + np.clip(landed - low, 0, 1) * (at_high - at_low)
    is_inside = landed >= 0
    differs = is_inside & (~known | (np.abs(seen - disparity) > TOLERANCE) | is_behind(disparity))
    return is_inside & (cv2.dilate(differs.astype(np.uint8), NEIGHBOURS) == 0)


def is_behind(disparity: np.ndarray) -> np.ndarray:
    """True (H,W) where something nearer, by over half a pixel, lands on the same pixel of the right picture."""
    height, width = disparity.shape
    y, x = np.mgrid[:height, :width]
    nearest = np.full((height, width), -np.inf, disparity.dtype)
    for landed in (np.floor(x - disparity).astype(int), np.ceil(x - disparity).astype(int)):
        is_inside = (landed >= 0) & (landed < width)
        np.maximum.at(nearest, (y[is_inside], landed[is_inside]), disparity[is_inside])
    landed = np.clip(np.round(x - disparity).astype(int), 0, width - 1)
    return nearest[y, landed] > disparity + NEARER
