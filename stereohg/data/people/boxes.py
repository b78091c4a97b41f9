"""Boxes of people in pictures, as detectors write them."""

import math
from collections.abc import Iterable
from pathlib import Path, PurePath

from stereohg.data.people.coco import PERSON
from stereohg.data.tables import read_table
from stereohg.files import read_json

COLUMNS = ("image", "x", "y", "width", "height")
LEAST_SCORE = 0.3
"""Of a detector's box; they write down what they hardly believe in, too."""

Box = tuple[float, float, float, float]


def read_boxes(path: Path, least_score: float = LEAST_SCORE) -> dict[str, list[Box]]:
    """Boxes (x, y, width, height), pixels from the picture's corner, by picture; those of lower scores are left out.

    ``.csv`` has the columns image, x, y, width, height, and perhaps score; others are ignored. ``.json`` is a list in
    the form of COCO's results: each has "bbox", either "file_name" or "image_id", and perhaps "score"; of those with a
    "category_id" people (1) are taken. A box without a score counts.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another form, has no people, or a box has no positive width and height; the line or entry
            is named.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"{path} is neither a table (.csv) nor a list (.json) of boxes")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; a file of boxes was expected")
    boxes: dict[str, list[Box]] = {}
    for where, image, values, score in (_table if path.suffix.lower() == ".csv" else _list)(path):
        try:
            x, y, width, height = (float(value) for value in values)
            counts = score in (None, "") or float(score) >= least_score
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}, {where}: {values} of score {score} is no box; x, y, width, height are needed, all in numbers"
            ) from None
        if not str(image).strip():
            raise ValueError(f"{path}, {where}: whose box is it? image, the picture's name, is empty")
        if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
            raise ValueError(f"{path}, {where}: the box is {width:g}x{height:g}; width and height must be positive")
        if counts:
            boxes.setdefault(PurePath(image).as_posix(), []).append((x, y, width, height))
    return boxes


def boxes_of(image: Path, boxes: dict[str, list[Box]]) -> list[Box]:
    """Those of a picture, which the file calls by its path or the end of it, with or without extension.

    Where it does neither, and the name is a number, by that (COCO's have leading zeros).
    """
    return [box for name in names_of(image, boxes) for box in boxes[name]]


def names_of(image: Path, boxes: dict[str, list[Box]]) -> list[str]:
    """What the file calls a picture: see ``boxes_of``."""
    parts = image.absolute().parts
    ends = [PurePath(*parts[start:]) for start in range(len(parts))]
    own = sorted({name.as_posix() for end in ends for name in (end, end.with_suffix(""))} & boxes.keys())
    if not own and image.stem.isdecimal():
        return [name for name in (str(int(image.stem)),) if name in boxes]
    return own


def names_without_picture(boxes: dict[str, list[Box]], images: Iterable[Path]) -> list[str]:
    """What boxes are of, and is none of the pictures."""
    return sorted(boxes.keys() - {name for image in images for name in names_of(image, boxes)})


def _table(path: Path) -> list[tuple[str, str, list[str], str | None]]:
    columns, lines = read_table(path)
    absent = [column for column in COLUMNS if column not in columns]
    if absent:
        raise ValueError(f"{path} has no column {absent[0]}; needed are {', '.join(COLUMNS)}")
    return [
        (f"line {number}", row["image"] or "", [row[column] for column in COLUMNS[1:]], row.get("score"))
        for number, row in lines
    ]


def _list(path: Path) -> list[tuple[str, str, list[float], float | None]]:
    entries = read_json(path)
    try:
        people = [
            (f"entry {number}", str(entry.get("file_name") or entry["image_id"]), entry["bbox"], entry.get("score"))
            for number, entry in enumerate(entries, 1)
            if entry.get("category_id", PERSON) == PERSON
        ]
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no list of boxes in COCO's form ({type(error).__name__}: {error})") from error
    if entries and not people:
        numbers = ", ".join(sorted({str(entry["category_id"]) for entry in entries}))
        raise ValueError(f"{path} has no people (category_id {PERSON}), only {numbers}; mend it or leave it out")
    return people
