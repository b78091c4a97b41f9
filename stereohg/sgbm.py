"""OpenCV's semi-global matching, the alternative that needs no weights (Hirschmueller, PAMI 2008)."""

import cv2
import numpy as np

from stereohg.data.preprocess import Picture, as_rgb

BLOCK = 5
NARROWEST = 3  # pictures that it takes, pixels
FRACTION = 16  # StereoSGBM answers in sixteenths of a pixel


def sgbm_disparity(left: Picture, right: Picture, max_disp: int = 192) -> np.ndarray:
    """Dense disparity (H,W) float32 pixels by StereoSGBM in HH mode.

    The pair is padded on the left by ``max_disp`` (a multiple of 16), so that the left border is matched too, and
    pixels without an answer take the lower of their row's nearest answers: what is hidden is background.

    Raises:
        ValueError: ``max_disp`` is no positive multiple of 16, or the pictures are of two sizes or narrower than 3
            pixels.
    """
    if max_disp < FRACTION or max_disp % FRACTION:
        raise ValueError(f"max_disp is {max_disp}; for StereoSGBM it must be a positive multiple of {FRACTION}")
    left, right = as_rgb(left), as_rgb(right)
    if left.shape != right.shape:
        raise ValueError(
            f"left is {left.shape[1]}x{left.shape[0]} and right {right.shape[1]}x{right.shape[0]} (width x height); a "
            "rectified pair has one size"
        )
    if left.shape[1] < NARROWEST:
        raise ValueError(f"the pictures are {left.shape[1]} pixels wide; StereoSGBM wants {NARROWEST} at least")
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=max_disp,
        blockSize=BLOCK,
        P1=600,
        P2=2400,
        disp12MaxDiff=1,
        preFilterCap=63,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_HH,
    )
    pair = [
        cv2.copyMakeBorder(np.round(255 * picture).astype(np.uint8), 0, 0, max_disp, 0, cv2.BORDER_REPLICATE)
        for picture in (left, right)
    ]
    disparity = matcher.compute(*pair)[:, max_disp:].astype(np.float32) / FRACTION
    return fill_from_background(disparity, disparity >= 0)


def fill_from_background(disparity: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Invalid pixels take the lower of the nearest valid values to their left and right; rows without any, zero."""
    known = np.where(valid, disparity, np.inf)
    from_left = _carried(known)
    from_right = _carried(known[:, ::-1])[:, ::-1]
    filled = np.minimum(from_left, from_right)
    return np.where(np.isfinite(filled), filled, 0).astype(np.float32)


def _carried(known: np.ndarray) -> np.ndarray:
    """Each infinite entry replaced by the last finite one before it in its row."""
    columns = np.where(np.isfinite(known), np.arange(known.shape[1]), 0)
    return np.take_along_axis(known, np.maximum.accumulate(columns, 1), 1)
