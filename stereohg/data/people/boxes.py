"""Boxes of people in pictures, as detectors write them."""

import math
from pathlib import Path

from stereohg.data.files import read_json
from stereohg.data.people.coco import PERSON
from stereohg.data.tables import read_table

COLUMNS = ("image", "x", "y", "width", "height")

Box = tuple[float, float, float, float]


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """Boxes (x, y, width, height), pixels from the picture's corner, by picture.

    ``.csv`` has the columns image, x, y, width, height; others are ignored. ``.json`` is a list in the form of COCO's
    results: each has "bbox" and either "file_name" or "image_id"; of those with a "category_id" people (1) are taken.

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
    for where, image, values in (_table if path.suffix.lower() == ".csv" else _list)(path):
        try:
            x, y, width, height = (float(value) for value in values)
        except (TypeError, ValueError):
            raise ValueError(f"{path}, {where}: {values} is no box; x, y, width, height are needed") from None
        if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
            raise ValueError(f"{path}, {where}: the box is {width:g}x{height:g}; width and height must be positive")
        boxes.setdefault(image, []).append((x, y, width, height))
    return boxes


def boxes_of(image: Path, boxes: dict[str, list[Box]]) -> list[Box]:
    """Those of a picture, which the file may call by its name, with or without extension or leading zeros, or path."""
    names = {str(image), image.name, image.stem, image.stem.lstrip("0") or "0"}
    return [box for name, own in boxes.items() if name in names for box in own]


def _table(path: Path) -> list[tuple[str, str, list[str]]]:
    columns, lines = read_table(path)
    absent = [column for column in COLUMNS if column not in columns]
    if absent:
        raise ValueError(f"{path} has no column {absent[0]}; needed are {', '.join(COLUMNS)}")
    return [(f"line {number}", row["image"], [row[c] for c in COLUMNS[1:]]) for number, row in lines]


def _list(path: Path) -> list[tuple[str, str, list[float]]]:
    entries = read_json(path)
    try:
        people = [
            (f"entry {number}", str(entry["file_name"] if "file_name" in entry else entry["image_id"]), entry["bbox"])
            for number, entry in enumerate(entries, 1)
            if entry.get("category_id", PERSON) == PERSON
        ]
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no list of boxes in COCO's form ({type(error).__name__}: {error})") from error
    if entries and not people:
        numbers = ", ".join(sorted({str(entry["category_id"]) for entry in entries}))
        raise ValueError(f"{path} has no people (category_id {PERSON}), only {numbers}; mend it or leave it out")
    return people
