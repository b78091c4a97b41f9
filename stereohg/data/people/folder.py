"""Anyone's own keypoints: a table beside the pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from stereohg.data.people.crop import Window
from stereohg.data.people.samples import KeypointDataset, People, Person
from stereohg.data.people.skeletons import SKELETONS, Skeleton
from stereohg.data.tables import read_table

BOX = ("x", "y", "width", "height")
TABLE = "keypoints.csv"


class KeypointFolder(KeypointDataset):
    """People that a table lists, a line each::

        ROOT
          keypoints.csv
            image,x,y,width,height,nose_x,nose_y,nose_visible,left_knee_x,left_knee_y
            a.jpg,10,20,100,200,61.5,30.25,1,80,150
            sub/b.jpg,,,,,61.5,30.25,0,,
          a.jpg
          sub/b.jpg

    The columns NAME_x and NAME_y name the keypoints and give their order; an empty cell is a keypoint that is not
    labelled, NAME_visible, where it is there, 0 for one that is hidden. x, y, width, height are the person's box;
    without one the keypoints' own box is taken, or, where that has no extent (of one keypoint), the whole picture. Only
    image and the keypoints are needed. Points count from the middle of the first pixel, boxes from its corner; see
    ``crop.py``.

    Args:
        source: the table (.csv), or the folder that has a keypoints.csv. Pictures are relative to its folder.
        skeleton: of the keypoints; None is a known one with the same names in the same order, or else a new one whose
            flip pairs are read off the names (left_knee and right_knee), without limbs.
        options: see ``KeypointDataset``.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: a line is malformed, or the skeleton's keypoints are not the table's.
    """

    def __init__(self, source: str | Path, skeleton: Skeleton | None = None, **options: Any):
        path = Path(source)
        path = path / TABLE if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there; a table of keypoints was expected")
        columns, lines = read_table(path)
        names = _keypoint_names(path, columns)
        if skeleton is None:
            known = (known for known in SKELETONS if known.keypoints == names)
            skeleton = next(known, None) or Skeleton.from_names(path.stem, names)
        if skeleton.keypoints != names:
            raise ValueError(f"{path} has the keypoints {', '.join(names)}; skeleton {skeleton.name} has others")
        people = People()
        for number, row in lines:
            try:
                people.add(_person(path.parent, f"line {number}", row, names))
            except ValueError as error:
                people.problems.append(f"{path}, line {number}: {error}")
        super().__init__(people, skeleton, **options)


def _keypoint_names(path: Path, columns: list[str]) -> tuple[str, ...]:
    names = tuple(column[:-2] for column in columns if column.endswith("_x"))
    if "image" not in columns or not names or any(f"{name}_y" not in columns for name in names):
        raise ValueError(
            f"{path} begins with the columns {', '.join(columns)}; needed are image and, for each keypoint, NAME_x and "
            "NAME_y"
        )
    return names


def _person(folder: Path, name: str, row: dict[str, str], names: tuple[str, ...]) -> Person:
    def number(column: str) -> float:
        """NaN for an empty cell or an absent column."""
        text = (row.get(column) or "").strip()
        value = float(text or "nan")
        if text and not np.isfinite(value):
            raise ValueError(f"{column} is {text}; a number was expected, or nothing")
        return value

    if not row["image"]:
        raise ValueError("a line has an image")
    points = np.array([[number(f"{name}_x"), number(f"{name}_y")] for name in names])
    half = np.flatnonzero(np.isnan(points).sum(1) == 1)
    if half.size:
        raise ValueError(f"{names[half[0]]} has one of x and y; a keypoint has both, or neither")
    labelled = ~np.isnan(points).any(1)
    visible = labelled & np.array([number(f"{name}_visible") != 0 for name in names])
    box = np.array([number(column) for column in BOX])
    absent = np.isnan(box)
    if absent.all():
        window = Window.of_points(points[labelled])
    elif absent.any():
        raise ValueError(f"the box has no {BOX[absent.argmax()]}; it has x, y, width and height, or none of them")
    elif (box[2:] <= 0).any():
        raise ValueError(f"the box is {row['width']}x{row['height']} pixels; width and height must be positive")
    else:
        window = Window.of_box(box)
    points = np.where(labelled[:, None], points, 0).astype(np.float32)
    image = folder / row["image"]
    return Person(f"{image.stem}, {name}", image, points, labelled, visible, window, image_id=row["image"])
