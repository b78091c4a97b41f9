"""Middlebury's calib.txt (2014, version 3, 2021), and ETH3D's: lines ``key=value``, the baseline in millimetres."""

import re
from pathlib import Path

from stereohg.calibration.cameras import StereoCalibration, StereoRig
from stereohg.calibration.formats.text import naming, numbers, read_text
from stereohg.files import MILLIMETRES, FilePath


def recognises(text: str) -> bool:
    return re.search(r"^\s*(cam0|doffs|baseline)\s*=", text, re.MULTILINE) is not None


def read_calibration(path: Path, other: FilePath | None = None) -> StereoCalibration:
    text = read_text(path)
    entries = {key.strip(): value.strip(" \t\r[]") for key, _, value in (s.partition("=") for s in text.splitlines())}
    for key in ("cam0", "baseline", "doffs"):
        if key not in entries:
            raise ValueError(f"{path} has no line '{key}='; cam0, baseline and doffs are needed")

    def number(key: str) -> float:
        return float(numbers(path, key, [entries[key]], ()))

    matrix = numbers(path, "cam0", re.split(r"[\s;,]+", entries["cam0"]), (3, 3))
    with naming(path):
        return StereoCalibration(
            focal=float(matrix[0, 0]),
            baseline=number("baseline") / MILLIMETRES,
            centre=(float(matrix[0, 2]), float(matrix[1, 2])),
            doffs=number("doffs"),
            focal_y=float(matrix[1, 1]),
            size=(int(number("width")), int(number("height"))) if {"width", "height"} <= entries.keys() else None,
            ndisp=int(number("ndisp")) if "ndisp" in entries else None,
        )


def read_rig(path: Path, other: FilePath | None = None) -> StereoRig:
    raise ValueError(f"{path} is Middlebury's, whose pictures are rectified as they come; there is nothing to do")
