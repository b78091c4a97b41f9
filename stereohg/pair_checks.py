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
SAME_ROW = 2.0  # pixels of the shrunk pictures: matches further apart are none
BACKWARD, MAX_BACKWARD = 1.5, 0.08  # pixels of the shrunk pictures; share of the matches (of real pairs up to 0.03)
NEARLY_ALL = 0.9  # of the matches: then the pictures may be exchanged
UNSURE = 0.3  # mean confidence; real pairs come to 0.75 and more, pictures of two scenes to 0.15
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
    apart = displacements(left, right)
    if apart is None:
        return []
    shrink = _shrink(left)
    offset = vertical_offset(apart)
    if offset > max(MAX_VERTICAL_OFFSET, MEASURABLE / shrink):
        return [
            f"the pictures do not look rectified: matching points lie {offset:.1f} rows apart (median);"
            " rectify the pair with the cameras' calibration first"
        ]
    backward = backward_disparities(apart, SAME_ROW / shrink, BACKWARD / shrink)
    share = len(backward) / len(apart)
    if share <= MAX_BACKWARD:
        return []
    seen = (
        f"{100 * share:.0f} % of the matching points lie farther right in the right picture, by up to"
        f" {np.percentile(backward, 95):.0f} px"
    )
    otherwise = (
        "the cameras converge, or the pictures were cropped differently; rectify the pair, or move the right picture by"
        " so much to the left"
    )
    if share > NEARLY_ALL:
        return [f"left and right look swapped: {seen}; exchange the two. If they are not, {otherwise}"]
    return [f"{seen}, where no rectified pair has any: {otherwise}"]


def displacements(left: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Left x and y minus right x and y of SIFT matches, in pixels: (N,2); None where too few match to say."""
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
    apart = [
        np.subtract(points[best.queryIdx].pt, other_points[best.trainIdx].pt)
        for best, second in pairs
        if best.distance < RATIO * second.distance
    ]
    return np.array(apart) / shrink if len(apart) >= MIN_MATCHES else None


def vertical_offset(apart: np.ndarray) -> float:
    """Median |difference of rows| of matches (N,2)."""
    return float(np.median(np.abs(apart[:, 1])))


def backward_disparities(apart: np.ndarray, same_row: float, least: float) -> np.ndarray:
    """By how much matches (N,2) on one row lie the wrong way, where that is more than ``least`` pixels."""
    backward = -apart[np.abs(apart[:, 1]) <= same_row, 0]
    return backward[backward > least]


def _shrink(image: np.ndarray) -> float:
    return min(1.0, LONG_SIDE / max(image.shape[:2]))


def check_answer(
    mean_confidence: Callable[[np.ndarray, np.ndarray, float], float],
    left: np.ndarray,
    right: np.ndarray,
    confidence: np.ndarray,
) -> list[str]:
    """What speaks against the pair once a network has answered with ``confidence`` (H,W); see ``likely_swapped``."""
    if likely_swapped(mean_confidence, left, right, confidence):
        return ["left and right look swapped: the network is surer of the pair the other way round; exchange the two"]
    if confidence.mean() < UNSURE:
        return [
            f"the network is sure of next to nothing (mean confidence {confidence.mean():.2f}): check that the pictures"
            " show one scene, upright, and are rectified"
        ]
    return []


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
