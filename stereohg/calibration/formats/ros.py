"""ROS: the camera_info of both cameras, in metres; as ``camera_calibration`` saves it, or a printed message.

The saved file has ``camera_matrix: {rows, cols, data}`` and so on, sensor_msgs/CameraInfo K (ROS 2: k) and so on.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stereohg.calibration.cameras import Camera, StereoCalibration, StereoRig
from stereohg.calibration.formats.text import naming, numbers, partner
from stereohg.files import FilePath, read_bytes

NAMES = {"K": "camera_matrix", "D": "distortion_coefficients", "R": "rectification_matrix", "P": "projection_matrix"}
MODELS = ("plumb_bob", "rational_polynomial")  # OpenCV's usual one with 5 and with 8 coefficients


def recognises(text: str) -> bool:
    return re.search(r"^\s*(camera_matrix|projection_matrix|distortion_model)\s*:", text, re.MULTILINE) is not None


def read_calibration(path: Path, other: FilePath | None = None) -> StereoCalibration:
    left, right = _both(path, other)
    with naming(path):
        return StereoCalibration.from_projections(left.numbers("P", (3, 4)), right.numbers("P", (3, 4)), left.size)


def read_rig(path: Path, other: FilePath | None = None) -> StereoRig:
    """R turns each camera into the rectified ones, and P of the right one holds the baseline: so they are placed."""
    infos = _both(path, other)
    turns = [info.numbers("R", (3, 3)) for info in infos]
    with naming(path):
        rectified = StereoCalibration.from_projections(*(info.numbers("P", (3, 4)) for info in infos))
    return StereoRig(
        *(info.camera() for info in infos),
        rotation=turns[1].T @ turns[0],
        translation=turns[1].T @ [-rectified.baseline, 0, 0],
    )


class _Info:
    """One camera's file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.entries: Any = next(yaml.safe_load_all(read_bytes(path)))
        except (yaml.YAMLError, UnicodeDecodeError, StopIteration) as error:
            raise ValueError(f"{path} is no whole YAML file ({error}); copy it again") from error
        if not isinstance(self.entries, dict):
            raise ValueError(f"{path} is no camera_info: it holds no keys")

    def numbers(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        for name in (NAMES[key], key, key.lower()):
            if name in self.entries:
                value = self.entries[name]
                return numbers(self.path, name, value.get("data") if isinstance(value, dict) else value, shape)
        raise ValueError(f"{self.path} has no {NAMES[key]} (or {key}); save the camera_info again")

    @property
    def size(self) -> tuple[int, int]:
        found = [self.entries.get(f"image_{key}", self.entries.get(key)) for key in ("width", "height")]
        return tuple(numbers(self.path, "image_width and image_height", found, (2,)).astype(int).tolist())

    def camera(self) -> Camera:
        model = self.entries.get("distortion_model", MODELS[0])
        if model not in MODELS:
            raise ValueError(f"{self.path}: distortion_model is {model!r}; known are {' and '.join(MODELS)}")
        return Camera(self.numbers("K", (3, 3)), self.numbers("D", (-1,)), self.size)


def _both(path: Path, other: FilePath | None) -> tuple[_Info, _Info]:
    beside = partner(path, other, ("left", "right"))
    if beside is None:
        raise ValueError(
            f"{path} is the camera_info of one camera; name both files alike, with 'left' and 'right' in them, such as "
            "left.yaml and right.yaml"
        )
    is_right = other is None and "left".join(path.name.rsplit("right", 1)) == beside.name
    first, second = (beside, path) if is_right else (path, beside)
    return _Info(first), _Info(second)
