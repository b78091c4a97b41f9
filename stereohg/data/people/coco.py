"""COCO's keypoints (Lin et al., ECCV 2014): 17 keypoints of many people a picture, each cropped by the annotated box.

pytorch-pose crops by a scale out of limb lengths instead, and mirrors with MPII's pairs, which are not COCO's; here
they are COCO's. Crowds and people without keypoints are left out, as there.
"""

from pathlib import Path
from typing import Any

import numpy as np

from stereohg.data.people.crop import Window
from stereohg.data.people.samples import KeypointDataset, People, Person
from stereohg.data.people.skeletons import COCO, Skeleton
from stereohg.files import read_json

MEAN = (0.45660767, 0.43688232, 0.40614182)
PERSON = 1
"""The category's number in the official annotations."""


class CocoKeypoints(KeypointDataset):
    """COCO's keypoints, or a set of one's own in their form::

        ROOT
          annotations/person_keypoints_val2017.json    images, annotations, categories
          val2017/000000000139.jpg

    A category with other keypoints than COCO's gives its own skeleton, whose flip pairs are read off the names.

    Args:
        root: the folder.
        split: of the files' names, such as "val2017" or "train2017".
        annotations: the JSON, if it lies elsewhere.
        options: see ``KeypointDataset``.

    Raises:
        FileNotFoundError: the annotations are not there.
        ValueError: they are damaged or of another form.
    """

    mean = MEAN

    def __init__(
        self,
        root: str | Path,
        split: str = "val2017",
        annotations: str | Path | None = None,
        **options: Any,
    ):
        root = Path(root)
        self.annotations = root / "annotations" / f"person_keypoints_{split}.json"
        if annotations is not None:
            self.annotations = Path(annotations)
        document = read_json(self.annotations)
        try:
            self.category, skeleton = _category(document)
            people = _people(document, self.category, skeleton, root / split)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            name = type(error).__name__
            raise ValueError(f"{self.annotations} is not in COCO's form for keypoints ({name}: {error})") from error
        super().__init__(people, skeleton, **options)


def _category(document: dict) -> tuple[int, Skeleton]:
    """The number and the skeleton of the one category that has keypoints."""
    named = [category for category in document.get("categories", []) if category.get("keypoints")]
    if not named:
        return PERSON, COCO
    category = named[0]
    if tuple(category["keypoints"]) == COCO.keypoints:
        return category["id"], COCO
    limbs = [(first - 1, second - 1) for first, second in category.get("skeleton", [])]  # counted from one
    return category["id"], Skeleton.from_names(category["name"], category["keypoints"], limbs)


def _people(document: dict, category: int, skeleton: Skeleton, images: Path) -> People:
    people = People()
    pictures = {picture["id"]: picture for picture in document["images"]}
    for annotation in document["annotations"]:
        if annotation.get("category_id", category) != category:
            people.left_out["another category"] += 1
        elif annotation.get("iscrowd"):
            people.left_out["a crowd"] += 1
        elif not annotation.get("num_keypoints", 1):
            people.left_out["no keypoint labelled"] += 1
        else:
            name = f"{annotation['image_id']}_{annotation['id']}"
            picture = pictures.get(annotation["image_id"])
            if picture is None:
                people.problems.append(f"annotation {annotation['id']} is of image {annotation['image_id']}, not there")
                continue
            absent = [key for key in ("bbox", "keypoints") if annotation.get(key) is None]
            if absent:
                people.problems.append(f"annotation {annotation['id']} of {picture['file_name']} has no {absent[0]}")
                continue
            box = annotation["bbox"]
            keypoints = np.array(annotation["keypoints"], np.float32)
            fault = _fault(keypoints, box, picture, skeleton)
            if fault:
                people.problems.append(f"annotation {annotation['id']} of {picture['file_name']} {fault}")
                continue
            x, y, flag = keypoints.reshape(len(skeleton), 3).T  # 0 not labelled, 1 hidden, 2 visible
            labelled = flag > 0
            points = np.where(labelled[:, None], np.stack([x, y], 1), 0)
            image = images / picture["file_name"]
            window = Window.of_box(box)
            people.add(Person(name, image, points, labelled, flag > 1, window, image_id=annotation["image_id"]))
    return people


def _fault(keypoints: np.ndarray, box: list[float], picture: dict, skeleton: Skeleton) -> str:
    """What is wrong with an annotation, in words."""
    if keypoints.size != 3 * len(skeleton):
        return f"has {keypoints.size} numbers for {len(skeleton)} keypoints of three"
    x, y, width, height = box
    if not (np.isfinite(box).all() and width > 0 and height > 0):
        return f"has the box {box}; width and height must be positive"
    if x >= picture["width"] or y >= picture["height"] or x + width <= 0 or y + height <= 0:
        return f"has the box {box} outside the picture of {picture['width']}x{picture['height']}"
    return ""
