"""OpenCV's storage (YAML, XML, JSON) with the names of its sample ``stereo_calib``, which are ours as well.

The sample writes intrinsics.yml (M1 D1 M2 D2) and extrinsics.yml (R T R1 R2 P1 P2 Q); ours is one file with
image_width and image_height beside them. Lengths are in metres unless ``unit`` says how many metres one of them is:
the sample's are in the unit in which its squares were given, which no key of it tells.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stereohg.calibration.cameras import Camera, StereoCalibration, StereoRig
from stereohg.calibration.formats.text import naming, numbers, partner, read_text
from stereohg.files import FilePath, replacing

WIDEST = 10.0  # metres; a longer baseline is in another unit
STARTS = ("%YAML", "<?xml", "<opencv_storage", "{")
WORDS = "intrinsics", "extrinsics"


def recognises(text: str) -> bool:
    return text.lstrip().startswith(STARTS)


def read_calibration(path: Path, other: FilePath | None = None) -> StereoCalibration:
    storage = _Storage(path, other)
    if "P1" not in storage and "M1" in storage:
        raise ValueError(
            f"{path} is of cameras that are not rectified (it has M1 and no P1); `stereohg rectify {path} LEFT RIGHT "
            "-o OUT` rectifies the pictures and writes OUT/calibration.yml for them"
        )
    left, right = (storage.matrix(key, (3, 4)) for key in ("P1", "P2"))
    left[:, 3] *= storage.unit
    right[:, 3] *= storage.unit
    with naming(path):
        calibration = StereoCalibration.from_projections(left, right, storage.size)
    storage.check_baseline(calibration.baseline)
    return calibration


def read_rig(path: Path, other: FilePath | None = None) -> StereoRig:
    storage = _Storage(path, other)
    if "M1" not in storage and "P1" in storage and "R" not in storage:
        raise ValueError(f"{path} is of rectified cameras; to rectify pictures, take the file of `stereohg calibrate`")
    if storage.size is None:
        raise ValueError(f"{path} has no image_width and image_height; add the size of the pictures in two lines")
    cameras = [Camera(storage.matrix(f"M{i}", (3, 3)), storage.matrix(f"D{i}", (-1,)), storage.size) for i in (1, 2)]
    translation = storage.unit * storage.matrix("T", (3,))
    storage.check_baseline(float(np.linalg.norm(translation)))
    return StereoRig(*cameras, storage.matrix("R", (3, 3)), translation)


def write_calibration(path: FilePath, calibration: StereoCalibration) -> None:
    """P1, P2 and Q of rectified cameras, with the pictures' size where it is known."""
    left, right = calibration.projections
    _write(path, {**_size(calibration.size), "unit": 1.0, "P1": left, "P2": right, "Q": calibration.Q})


def write_rig(path: FilePath, rig: StereoRig, facts: dict[str, float] | None = None) -> None:
    """M1, D1, M2, D2, R and T, and ``facts`` for who reads the file."""
    entries = _size(rig.left.size)
    for i, camera in ((1, rig.left), (2, rig.right)):
        entries |= {f"M{i}": camera.matrix, f"D{i}": camera.distortion.reshape(1, -1)}
    _write(path, {**entries, "unit": 1.0, "R": rig.rotation, "T": rig.translation.reshape(3, 1), **(facts or {})})


def _size(size: tuple[int, int] | None) -> dict[str, Any]:
    return {} if size is None else {"image_width": size[0], "image_height": size[1]}


def check_name(path: FilePath) -> None:
    """Raises ValueError where a calibration cannot be written under this name."""
    if Path(path).suffix.lower() not in (".yml", ".yaml"):
        raise ValueError(f"{path} would hold YAML; name it .yml")


def _write(path: FilePath, entries: dict[str, Any]) -> None:
    check_name(path)
    storage = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    for key, value in entries.items():
        storage.write(key, value)
    with replacing(path) as temporary:
        temporary.write_text(storage.releaseAndGetString(), encoding="utf-8")


class _Storage:
    """The entries of a file, and of the one that belongs to it."""

    def __init__(self, path: Path, other: FilePath | None):
        self.path = path
        beside = partner(path, other, WORDS)
        self.files = [_open(file) for file in ([path] if beside is None else [path, beside])]

    def __contains__(self, key: str) -> bool:
        return self._node(key) is not None

    def _node(self, key: str) -> "cv2.FileNode | None":
        nodes = (file.getNode(key) for file in self.files)
        return next((node for node in nodes if not node.empty()), None)

    def matrix(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        node = self._node(key)
        if node is None:
            raise ValueError(
                f"{self.path} has no {key}; of stereo_calib, intrinsics.yml and extrinsics.yml belong together"
            )
        try:
            values = node.mat() if node.isMap() else None
        except cv2.error:  # more or fewer numbers than rows and columns announce
            values = None
        return numbers(self.path, key, () if values is None else values.ravel(), shape)

    def number(self, key: str) -> float | None:
        node = self._node(key)
        if node is None:
            return None
        if not (node.isReal() or node.isInt()):
            raise ValueError(f"{self.path}: {key} must be a number")
        return node.real()

    @property
    def size(self) -> tuple[int, int] | None:
        found = [self.number(f"image_{key}") for key in ("width", "height")]
        return None if None in found else tuple(map(int, found))

    @property
    def unit(self) -> float:
        unit = self.number("unit")
        if unit is not None and not 0 < unit < np.inf:
            raise ValueError(f"{self.path}: unit is {unit}; it must be positive, the metres that one unit is")
        return 1.0 if unit is None else unit

    def check_baseline(self, metres: float) -> None:
        if "unit" not in self and metres > WIDEST:
            raise ValueError(
                f"{self.path}: the cameras would stand {metres:g} m apart; if it is in millimetres, add the line "
                "'unit: 0.001' to the file, and if it is not, 'unit: 1.0'"
            )


def _open(path: Path) -> "cv2.FileStorage":
    text = read_text(path)
    try:
        return cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    except (cv2.error, SystemError) as error:  # the second is how a constructor's error comes through
        raise ValueError(f"{path} is no whole file of OpenCV's storage; copy it again") from error
