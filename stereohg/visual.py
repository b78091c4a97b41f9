"""Disparities and errors as pictures.

Shapes: H height, W width; disparity, prediction, truth (H,W) pixels, valid (H,W) bool, pictures (H,W,3) uint8 RGB.
"""

from functools import cache

import cv2
import numpy as np

INVALID = (0, 0, 0)
UNKNOWN = (128, 128, 128)  # grey is no colour of the error map
STRAY = 0.5  # percent of the pixels at either end of the colours
ERROR_LIMIT = 5.0  # pixels; what is worse looks the same


def colour_disparity(
    disparity: np.ndarray, valid: np.ndarray | None = None, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Disparity in the Turbo colours, far blue to near red, unknown black: (H,W) -> (H,W,3) uint8 RGB.

    Args:
        disparity: (H,W) pixels; what is not finite is unknown.
        valid: (H,W) bool, where it is known.
        low, high: the disparities at the two ends of the colours, pixels; None is what all but the half percent of
            the known pixels at that end keep to, so that a few stray ones do not take the colours.

    Raises:
        ValueError: the mask has another shape, or ``low`` is above ``high``.
    """
    known = _known(disparity, valid)
    usual_low, usual_high = colour_range(disparity[known])
    low = usual_low if low is None else low
    high = usual_high if high is None else high
    if not low <= high:
        raise ValueError(f"low is {low} and high {high}; low must not be above high")
    return _paint(disparity, known, low, high, cv2.COLORMAP_TURBO, INVALID)


def colour_range(disparity: np.ndarray) -> tuple[float, float]:
    """What all but half a percent of the finite disparities at either end keep to, pixels."""
    values = disparity[np.isfinite(disparity)]
    if not values.size:
        return 0.0, 0.0  # any range will do
    return float(np.percentile(values, STRAY)), float(np.percentile(values, 100 - STRAY))


def error_map(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray, limit: float = ERROR_LIMIT) -> np.ndarray:
    """The absolute error in the Inferno colours, black none to yellow ``limit``: (H,W) -> (H,W,3) uint8 RGB.

    Grey is where there is no truth or no prediction.

    Raises:
        ValueError: the shapes differ, or ``limit`` is not a positive number of pixels.
    """
    if np.shape(prediction) != np.shape(truth):
        raise ValueError(f"prediction is {np.shape(prediction)} and truth {np.shape(truth)}; both must be (H,W)")
    if not 0 < limit < np.inf:
        raise ValueError(f"limit is {limit}; it must be positive, in pixels")
    known = _known(prediction, valid) & np.isfinite(truth)
    error = np.abs(np.where(known, prediction, 0) - np.where(known, truth, 0))
    return _paint(error, known, 0, limit, cv2.COLORMAP_INFERNO, UNKNOWN)


def shade(values: np.ndarray, low: float, high: float, colour_map: int) -> np.ndarray:
    """Known values (H,W) in the colours of one of OpenCV's maps: (H,W,3) uint8 RGB."""
    return _paint(values, np.ones(values.shape, bool), low, high, colour_map, INVALID)


def colour_bar(colour_map: int) -> np.ndarray:
    """All 256 colours of one of OpenCV's maps side by side: (1,256,3) uint8 RGB."""
    return colour_table(colour_map)[None]


def heat(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An image (H,W,3) uint8 RGB with values (H,W) in [0,1] laid over it in the Inferno colours, half by half."""
    return cv2.addWeighted(image, 0.5, shade(values, 0, 1, cv2.COLORMAP_INFERNO), 0.5, 0)


def _known(disparity: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    known = np.isfinite(disparity)
    if valid is None:
        return known
    if np.shape(valid) != known.shape:
        raise ValueError(f"the disparity is {known.shape} and its mask {np.shape(valid)}; both must be (H,W)")
    return known & np.asarray(valid, bool)


def _paint(
    values: np.ndarray, known: np.ndarray, low: float, high: float, colour_map: int, unknown: tuple[int, int, int]
) -> np.ndarray:
    """``low`` to ``high`` as the 256 colours of one of OpenCV's maps, values beyond them as the nearest end."""
    picture = np.full((*known.shape, 3), unknown, np.uint8)
    span = high - low
    share = (values[known] - low) / (span if span > 0 else 1.0)
    picture[known] = colour_table(colour_map)[np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)]
    return picture


@cache
def colour_table(colour_map: int) -> np.ndarray:
    """(256,3) uint8 RGB of one of OpenCV's colour maps."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], colour_map)[:, 0, ::-1]
