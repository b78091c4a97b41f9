"""KITTI's calibrations: lines ``key: numbers``, in metres.

``calib_cam_to_cam.txt`` (raw recordings, stereo 2015) has S, K, D, R, T of each camera as it is and S_rect, R_rect,
P_rect of the rectified one; ``calib.txt`` and ``000000.txt`` (odometry, object, stereo 2012) have P0 to P3 alone, of
rectified pictures whose size they do not say. Cameras 0 and 1 are grey, 2 and 3 in colour (Geiger et al., IJRR 2013,
and the development kits).
"""

import re
from pathlib import Path

import numpy as np

from stereohg.calibration.cameras import Camera, StereoCalibration, StereoRig
from stereohg.calibration.formats.text import naming, numbers, read_text
from stereohg.files import FilePath

COLOUR = 2, 3


def recognises(text: str) -> bool:
    return re.search(r"^(P_rect_\d\d|P[0-3]|K_\d\d):", text, re.MULTILINE) is not None


def read_calibration(path: Path, other: FilePath | None = None) -> StereoCalibration:
    """Of the colour cameras."""
    entries = _Entries(path)
    form = "P_rect_{:02}" if any(key.startswith("P_rect_") for key in entries) else "P{}"
    left, right = (entries.numbers(form.format(number), (3, 4)) for number in COLOUR)
    size_key = f"S_rect_{COLOUR[0]:02}"
    size = tuple(entries.numbers(size_key, (2,)).astype(int).tolist()) if size_key in entries else None
    with naming(path):
        return StereoCalibration.from_projections(left, right, size)


def read_rig(path: Path, other: FilePath | None = None) -> StereoRig:
    """Of pictures that were not rectified yet, as the raw recordings have them beside the rectified ones."""
    entries = _Entries(path)
    built, turns, moves = [], [], []
    for number in COLOUR:
        matrix, distortion = (entries.numbers(f"{key}_{number:02}", shape) for key, shape in (("K", (3, 3)), ("D", -1)))
        size = entries.numbers(f"S_{number:02}", (2,))
        built.append(Camera(matrix, distortion, tuple(size.astype(int).tolist())))
        turns.append(entries.numbers(f"R_{number:02}", (3, 3)))  # from camera 0 to this one
        moves.append(entries.numbers(f"T_{number:02}", (3,)))
    rotation = turns[1] @ turns[0].T
    return StereoRig(*built, rotation, moves[1] - rotation @ moves[0])


class _Entries(dict):
    """The file's lines by key."""

    def __init__(self, path: Path):
        self.path = path
        text = read_text(path)
        super().__init__((key.strip(), value) for key, _, value in (line.partition(":") for line in text.splitlines()))

    def numbers(self, key: str, shape: tuple[int, ...] | int) -> np.ndarray:
        if key not in self:
            raise ValueError(f"{self.path} has no line '{key}:'; take the calibration file that came with the pictures")
        return numbers(self.path, key, self[key].split(), shape if isinstance(shape, tuple) else (shape,))
