"""Skeletons on pictures.

Shapes: P people, K keypoints; image (H,W,3) uint8 RGB, keypoints (P,K,2) pixels, shown (P,K) bool.
"""

import math

import cv2
import numpy as np

from stereohg.data.people.skeletons import Skeleton

RIGHT, LEFT, MIDDLE = (255, 140, 0), (0, 190, 255), (120, 230, 80)
OUTLINE = (20, 20, 20)
SUBPIXEL = 4  # bits of OpenCV's coordinates behind the point


def draw_keypoints(image: np.ndarray, keypoints: np.ndarray, shown: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """A copy of the image with limbs and keypoints: right orange, left blue, the middle green.

    Lines are as wide as a two-hundredth of the picture's shorter side. What is not shown, not finite, or far outside
    the picture is left out.

    Raises:
        ValueError: shapes differ.
    """
    keypoints, shown = np.asarray(keypoints, np.float64), np.asarray(shown, bool)
    if keypoints.shape != (*shown.shape, 2) or shown.ndim != 2 or shown.shape[1] != len(skeleton):
        raise ValueError(
            f"keypoints are {keypoints.shape} and shown {shown.shape}; (P,{len(skeleton)},2) and (P,{len(skeleton)}) "
            f"are needed for the skeleton {skeleton.name}"
        )
    height, width = image.shape[:2]
    shown = shown & (np.abs(np.nan_to_num(keypoints, nan=np.inf)) < 4 * max(height, width)).all(2)
    thickness = max(1, round(min(height, width) / 200))
    picture = np.ascontiguousarray(image).copy()
    rights, lefts = ({pair[side] for pair in skeleton.flip_pairs} for side in (0, 1))

    def colour(*places: int) -> tuple[int, int, int]:
        return RIGHT if rights & set(places) else LEFT if lefts & set(places) else MIDDLE

    for points, seen in zip(keypoints, shown, strict=True):
        ends = np.where(seen[:, None], np.rint(points * 2**SUBPIXEL), 0).astype(int).tolist()
        for first, second in skeleton.limbs:
            if seen[first] and seen[second]:
                line = (ends[first], ends[second], colour(first, second), thickness, cv2.LINE_AA, SUBPIXEL)
                cv2.line(picture, *line)
        for place in np.flatnonzero(seen):
            for radius, paint in ((1.8, OUTLINE), (1.3, colour(place))):
                size = math.ceil(radius * thickness * 2**SUBPIXEL)
                cv2.circle(picture, ends[place], size, paint, cv2.FILLED, cv2.LINE_AA, SUBPIXEL)
    return picture
