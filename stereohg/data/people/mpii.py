"""MPII Human Pose (Andriluka et al., CVPR 2014): 25 000 people with 16 keypoints, and the boxes of their heads.

The validation set is that of Tompson et al. (CVPR 2015), 2958 people; the others in their pictures are in neither part,
as in the widely used JSON. Files count pixels from one; here they are counted from zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stereohg.data.people.crop import MARGIN, Window
from stereohg.data.people.matlab import as_list, read_mat
from stereohg.data.people.samples import KeypointDataset, People, Person
from stereohg.data.people.skeletons import MPII
from stereohg.files import read_json

OFFICIAL = "mpii_human_pose_v1_u12_1.mat"
JSON = "mpii_annotations.json"
VALIDATION = "detections.mat"
HEADS = "detections_our_format.mat"

MEAN = (0.44044283, 0.44402671, 0.43268284)
LOWERED = 15  # pixels of a person of scale 1 by which the window's centre is below the annotated one; published
HEAD_SHARE = 0.6  # of the head box's diagonal: PCKh's unit (MPII's evaluation)


class Mpii(KeypointDataset):
    """MPII, from the official annotations or from the widely used JSON::

        ROOT
          images/015601864.jpg
          mpii_human_pose_v1_u12_1.mat    official: struct RELEASE, with head boxes
            detections.mat                  who is in the validation set: RELEASE_img_index, RELEASE_person_index
          mpii_annotations.json           or the JSON: a list of people with joint_self, objpos, scale_provided, ...
            detections_our_format.mat       their head boxes: headboxes_src, in the JSON's order

    The indented two are Tompson's, and optional: without the first the official annotations have no split, without the
    second the JSON has no PCKh. Where both annotations are, the official ones are read.

    Args:
        root: the folder.
        split: "train", "validation", or "trainval", everyone who is annotated.
        annotations: the ``.mat`` or ``.json``, if not in the root under its name.
        options: see ``KeypointDataset``.

    Raises:
        FileNotFoundError: the annotations, or what the split needs, is not there.
        ValueError: a file is damaged or of another form.
    """

    mean = MEAN
    upright = False  # the official tools are of MATLAB, which turns none

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "validation", "trainval"] = "train",
        annotations: str | Path | None = None,
        **options: Any,
    ):
        if split not in ("train", "validation", "trainval"):
            raise ValueError(f"split is {split!r}; known are train, validation, trainval")
        root = Path(root)
        path = _annotations(root) if annotations is None else Path(annotations)
        read = _read_list if path.suffix.lower() == ".json" else _read_official
        people = People()
        for entry in read(path, split):
            _add(people, entry, root / "images")
        super().__init__(people, MPII, **options)


@dataclass(frozen=True)
class _Entry:
    """A person as either file has them, in pixels from one; keypoints (16,3) are x, y, visible, or zeros for none."""

    image: str
    number: int  # in the picture
    keypoints: np.ndarray
    centre: tuple[float, float] | None
    scale: float
    head_box: np.ndarray | None = None  # x1, y1, x2, y2


def _add(people: People, entry: _Entry, images: Path) -> None:
    if entry.centre is None:
        people.left_out["no position or scale"] += 1
        return
    points, visible = entry.keypoints[:, :2], entry.keypoints[:, 2] > 0
    labelled = (points != 0).any(1)
    (x, y), scale = entry.centre, entry.scale
    head = np.nan
    if entry.head_box is not None:
        head = HEAD_SHARE * float(np.linalg.norm(entry.head_box[2:] - entry.head_box[:2])) or np.nan
    stem = Path(entry.image).stem
    people.add(
        Person(
            name=f"{stem}_{entry.number}",
            image=images / entry.image,
            keypoints=np.where(labelled[:, None], points - 1, 0).astype(np.float32),
            labelled=labelled,
            visible=labelled & visible,
            window=Window.of_scale(x - 1, y - 1 + LOWERED * scale, MARGIN * scale),
            head_size=head,
            image_id=stem,
        )
    )


def _annotations(root: Path) -> Path:
    for name in (OFFICIAL, JSON):
        if (root / name).is_file():
            return root / name
    what = f"has neither {OFFICIAL} nor {JSON}" if root.is_dir() else "is no folder"
    raise FileNotFoundError(f"{root} {what}; MPII's annotations were expected")


# --- JSON -----------------------------------------------------------------------------------------------------------


def _read_list(path: Path, split: str) -> Iterator[_Entry]:
    entries = read_json(path)
    try:
        validation = [bool(entry["isValidation"]) for entry in entries]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} is not MPII's list of people ({type(error).__name__}: {error})") from error
    heads = iter(_head_boxes(path.with_name(HEADS), sum(validation)))
    for number, (entry, validates) in enumerate(zip(entries, validation, strict=True)):
        head_box = next(heads) if validates else None
        if split != "trainval" and validates != (split == "validation"):
            continue
        try:
            keypoints = np.array(entry["joint_self"], np.float64).reshape(len(MPII), 3)
            x, y = entry["objpos"]
            yield _Entry(
                entry["img_paths"],
                int(entry["people_index"]),
                keypoints,
                (x, y) if entry["scale_provided"] > 0 else None,
                entry["scale_provided"],
                head_box,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: person {number} is malformed ({type(error).__name__}: {error})") from error


def _head_boxes(path: Path, count: int) -> list[np.ndarray | None]:
    """Of the people of the validation set, in order."""
    if not path.is_file():
        return [None] * count
    (boxes,) = read_mat(path, "headboxes_src")  # (2,2,N): the corners, x and y, people
    boxes = np.asarray(boxes, np.float64).reshape(4, -1).T
    if len(boxes) != count:
        raise ValueError(f"{path} has {len(boxes)} head boxes, and the validation set {count} people; they must match")
    return list(boxes)


# --- official -------------------------------------------------------------------------------------------------------


def _read_official(path: Path, split: str) -> Iterator[_Entry]:
    (release,) = read_mat(path, "RELEASE")
    validation = None if split == "trainval" else _validation(path.with_name(VALIDATION))
    try:
        pictures, trains = as_list(release.annolist), as_list(release.img_train)
    except AttributeError as error:
        raise ValueError(f"{path} is not MPII's RELEASE: {error}") from error
    for index, (picture, is_annotated) in enumerate(zip(pictures, trains, strict=True), 1):
        if not is_annotated:
            continue
        for number, person in enumerate(as_list(picture.annorect), 1):
            validates = validation is not None and number in validation.get(index, ())
            if split == "validation" and not validates:
                continue
            if split == "train" and index in validation:
                continue
            yield _official_entry(picture.image.name, number, person)


def _official_entry(image: str, number: int, person: Any) -> _Entry:
    """Fields that MATLAB's structs of this person lack are absent or empty, as the file has both."""
    keypoints = np.zeros((len(MPII), 3))
    for point in as_list(getattr(_field(person, "annopoints"), "point", ())):
        visible = _field(point, "is_visible")
        hidden = visible is not None and str(visible) in ("0", "0.0")  # numbers, texts, or nothing
        keypoints[int(point.id)] = point.x, point.y, not hidden
    position, scale = _field(person, "objpos"), _field(person, "scale")
    corners = [_field(person, name) for name in ("x1", "y1", "x2", "y2")]
    return _Entry(
        str(image),
        number,
        keypoints,
        None if position is None or scale is None else (float(position.x), float(position.y)),
        0.0 if scale is None else float(scale),
        None if None in corners else np.array(corners, np.float64),
    )


def _field(struct: Any, name: str) -> Any:
    value = getattr(struct, name, None)
    return None if value is None or np.size(value) == 0 else value


def _validation(path: Path) -> dict[int, set[int]]:
    """People by picture, both counted from one."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: the official annotations have no validation set of their own, and this file says "
            "who is in Tompson's; put it there, or take split='trainval'"
        )
    pictures, numbers = read_mat(path, "RELEASE_img_index", "RELEASE_person_index")
    people: dict[int, set[int]] = {}
    for picture, number in zip(np.ravel(pictures), np.ravel(numbers), strict=True):
        people.setdefault(int(picture), set()).add(int(number))
    return people
