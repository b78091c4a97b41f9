"""Does this pair look like a rectified left and right picture? What was seen, in words.

Pictures are RGB float32 (H,W,3) in [0,1].
"""

from collections.abc import Callable

import cv2
import numpy as np

DARK = 0.07  # of white: the brightest value of 12 bits taken for 16 is 0.0625
LONG_SIDE = 800  # pixels at which features are matched
NUM_FEATURES = 1000
RATIO = 0.75  # of the best to the second-best match (Lowe 2004, section 7.1)
MIN_MATCHES = 30
MAX_VERTICAL_OFFSET = 1.5  # pixels, median over the matches
MEASURABLE = 0.75  # pixels of the shrunk pictures: what rectified pairs may show there
SWAP_SIDE = 512  # pixels of the pair on which the swap is tried
DOUBTFUL = 0.6  # mean confidence below which the swap is tried at all
SWAP_MARGIN = 0.1  # by which the mean confidence of the swapped pair must be higher


def check_pictures(left: np.ndarray, right: np.ndarray) -> list[str]:
    """What speaks against the pair before any network has seen it."""
    if np.array_equal(left, right):
        return ["left and right are the same picture: there is no disparity to find; give the right camera's picture"]
    brightest = max(left.max(), right.max())
    if brightest < DARK:
        return [
            f"the pictures are nearly black: their brightest value is {brightest:.3f} of 1; 10- or 12-bit values in 16"
            " bits are to be multiplied by 64 or 16 first"
        ]
    offset = vertical_offset(left, right)
    if offset is not None and offset > max(MAX_VERTICAL_OFFSET, MEASURABLE / _shrink(left)):
        return [
            f"the pictures do not look rectified: matching points lie {offset:.1f} rows apart (median);"
            " rectify the pair with the cameras' calibration first"
        ]
    return []


def vertical_offset(left: np.ndarray, right: np.ndarray) -> float | None:
    """Median |difference of rows| of SIFT matches, in pixels; None where too few match to say."""
    shrink = _shrink(left)
    size = tuple(max(1, round(shrink * n)) for n in left.shape[1::-1])
    detector = cv2.SIFT_create(NUM_FEATURES)
    features = []
    for image in (left, right):
        grey = cv2.cvtColor(np.round(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        features.append(detector.detectAndCompute(grey, None))
    (points, descriptors), (other_points, other_descriptors) = features
    if descriptors is None or other_descriptors is None or len(other_descriptors) < 2:
        return None
    pairs = cv2.BFMatcher().knnMatch(descriptors, other_descriptors, k=2)
    rows = [
        points[best.queryIdx].pt[1] - other_points[best.trainIdx].pt[1]
        for best, second in pairs
        if best.distance < RATIO * second.distance
    ]
    return float(np.median(np.abs(rows))) / shrink if len(rows) >= MIN_MATCHES else None


def _shrink(image: np.ndarray) -> float:
    return min(1.0, LONG_SIDE / max(image.shape[:2]))


def likely_swapped(
    mean_confidence: Callable[[np.ndarray, np.ndarray, float], float],
    left: np.ndarray,
    right: np.ndarray,
    confidence: np.ndarray,
) -> bool:
    """True where the network is clearly surer of (right, left) than of (left, right).

    Both ways are run on a small copy, through ``mean_confidence(left, right, scale)``, and only when the answer's
    ``confidence`` (H,W) is doubtful as a whole.
    """
    if confidence.mean() > DOUBTFUL:
        return False
    scale = min(1.0, SWAP_SIDE / max(left.shape[:2]))
    return mean_confidence(right, left, scale) > mean_confidence(left, right, scale) + SWAP_MARGIN
