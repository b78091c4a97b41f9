"""What a prediction of keypoints is, and what becomes of it.

Shapes: P people, K keypoints; keypoints (P,K,2) float32, x and y in pixels of the picture (see
``data/people/crop.py``); scores (P,K) float32; boxes (P,4) float32, x, y, width, height.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stereohg.data.people.coco import PERSON
from stereohg.data.people.skeletons import Skeleton
from stereohg.data.preprocess import Picture, as_rgb
from stereohg.files import FilePath, replacing
from stereohg.pose.overlay import draw_keypoints


@dataclass(frozen=True, eq=False)
class Keypoints:
    """What ``predict_keypoints`` returns, of one picture.

    Attributes:
        keypoints: (P,K,2) pixels.
        scores: (P,K), the height of each keypoint's peak: about 1 for a sure one, 0 for none.
        boxes: (P,4), what was looked at.
        skeleton: the names of the keypoints, and their limbs.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    skeleton: Skeleton

    def __len__(self) -> int:
        return len(self.keypoints)

    def coco_results(self, image_id: int | str) -> list[dict]:
        """A result for each person, as COCO's evaluation reads them; the person's score is the keypoints' mean."""
        return [
            {
                "image_id": image_id,
                "category_id": PERSON,
                "keypoints": np.column_stack([points, scores]).astype(np.float64).round(3).ravel().tolist(),
                "score": float(scores.mean()),
                "bbox": box.astype(np.float64).round(3).tolist(),
            }
            for points, scores, box in zip(self.keypoints, self.scores, self.boxes, strict=True)
        ]

    def draw(self, picture: Picture, least_score: float = 0.0) -> np.ndarray:
        """The picture, a file turned upright, with the skeletons on it, (H,W,3) uint8.

        Keypoints of a score up to ``least_score`` are left out.
        """
        image = np.round(255 * as_rgb(picture, upright=True)).astype(np.uint8)
        return draw_keypoints(image, self.keypoints, self.scores > least_score, self.skeleton)


def save_coco_results(path: FilePath, results: Iterable[tuple[int | str, Keypoints]]) -> None:
    """The people of all pictures, each with its id, as one JSON in the form of COCO's results."""
    document = [result for image_id, found in results for result in found.coco_results(image_id)]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")


def save_csv(path: FilePath, results: Iterable[tuple[str, Keypoints]]) -> None:
    """A line for each person: image, person, the box, and NAME_x, NAME_y, NAME_score of each keypoint."""
    results = list(results)
    names = results[0][1].skeleton.keypoints if results else ()
    columns = [f"{name}_{part}" for name in names for part in ("x", "y", "score")]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "person", "x", "y", "width", "height", *columns])
        for image, found in results:
            for person, (points, scores, box) in enumerate(
                zip(found.keypoints, found.scores, found.boxes, strict=True), 1
            ):
                values = [*box, *np.column_stack([points, scores]).ravel()]
                writer.writerow([image, person, *(f"{value:.3f}" for value in values)])
