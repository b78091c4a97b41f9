"""Disparities (H,W) float32 pixels, and valid (H,W) bool, where they are known."""

import io
from collections.abc import Callable
from numbers import Real
from pathlib import Path

import numpy as np
from PIL import Image

from stereohg.files.pfm import read_pfm, write_pfm
from stereohg.files.pictures import decode
from stereohg.files.whole import FilePath, read_bytes, replacing

PNG_SCALE = 256.0
"""A 16-bit PNG holds the disparity times this, and 0 where it is unknown (KITTI's development kit)."""
PNG_LIMIT = 65535.5 / PNG_SCALE  # pixels; what is not below rounds to more than 16 bits


def read_disparity(path: FilePath, scale: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Disparity (H,W) float32 in pixels, 0 where unknown, and valid (H,W) bool, by the file's extension.

    ``.pfm``, ``.npy``, ``.tif`` and ``.tiff`` hold floats: infinite or NaN is unknown, and a sign stays as it is
    (some releases of SceneFlow store negative disparities). ``.png`` holds 16-bit integers, 256 a pixel of disparity,
    0 unknown (KITTI).

    Args:
        path: of the file.
        scale: stored units for one pixel of disparity; None is 256 for 16-bit PNG and 1 for floats. Other integers,
            as in 8-bit PNG or OpenCV's sixteenths, are only taken with a scale; zero or less is unknown there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the extension is unknown, the file is damaged, not one (H,W) map or a TIFF to be turned, or it
            needs a scale.
    """
    read, _ = _format(path)
    stored = read(path)
    if stored.ndim != 2 or stored.size == 0 or stored.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {stored.shape} {stored.dtype}; a disparity map is (H,W), integer or float")
    if scale is None:
        if stored.dtype.kind == "f":
            scale = 1.0
        elif Path(path).suffix.lower() == ".png" and stored.dtype == np.uint16:
            scale = PNG_SCALE
        else:
            raise ValueError(
                f"{path} holds {8 * stored.dtype.itemsize}-bit integers, whose unit is not known (a PNG of disparities "
                "has 16 bits); give scale=, the stored value of one pixel of disparity"
            )
    elif not isinstance(scale, Real) or not 0 < scale < np.inf:
        raise ValueError(f"scale is {scale!r}; it must be positive, such as 256, the stored value of one pixel")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, hence unknown
        pixels = stored if scale == 1 else np.divide(stored, scale, dtype=np.float64)
        disparity = pixels.astype(np.float32)
    valid = np.isfinite(disparity) if stored.dtype.kind == "f" else stored > 0
    disparity[~valid] = 0
    return disparity, valid


def write_disparity(path: FilePath, disparity: np.ndarray, valid: np.ndarray | None = None) -> None:
    """Writes (H,W) pixels by the extension, so that ``read_disparity`` gives them back; makes the folder if need be.

    ``.pfm`` (unknown = infinite, as Middlebury has it), ``.npy``, ``.tif`` and ``.tiff`` (unknown = NaN) hold float32.
    ``.png`` holds 16 bits, round(256 d) and 0 where unknown; what is known but below 1/512 pixel is stored as 1.

    Args:
        path: of the file.
        disparity: (H,W) pixels.
        valid: (H,W) bool, where it is known; None takes what is finite.

    Raises:
        ValueError: the extension is unknown, shapes differ, a valid value is not finite, or one does not fit a PNG.
    """
    _, write = _format(path)
    with np.errstate(over="ignore"):
        disparity = np.asarray(disparity, np.float32)
    valid = np.isfinite(disparity) if valid is None else np.asarray(valid, bool)
    if disparity.ndim != 2 or disparity.size == 0 or valid.shape != disparity.shape:
        raise ValueError(
            f"the disparity for {path} is {disparity.shape} and its mask {valid.shape}; both must be (H,W) of one size"
        )
    lost = np.count_nonzero(~np.isfinite(disparity[valid]))
    if lost:
        raise ValueError(f"the disparity for {path} is not finite at {lost} pixels that are marked valid; unmark them")
    write(path, disparity, valid)


def _read_picture(path: FilePath) -> np.ndarray:
    image, largest = decode(path, read_bytes(path))
    if image.mode not in ("L", "F", "I") and not image.mode.startswith("I;16"):
        raise ValueError(f"{path} is a picture of Pillow's mode {image.mode!r}; a disparity map has one grey channel")
    stored = np.asarray(image)
    return stored.astype(np.uint16) if largest > 255 else stored  # older versions of Pillow open these as 32-bit


def _read_npy(path: FilePath) -> np.ndarray:
    data = read_bytes(path)
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a damaged header fails as whatever Python parses or allocates
        raise ValueError(f"{path} is not a whole .npy file of numbers ({error})") from error


def _write_pfm_map(path: FilePath, disparity: np.ndarray, valid: np.ndarray) -> None:
    write_pfm(path, np.where(valid, disparity, np.inf))


def write_npy(path: FilePath, disparity: np.ndarray, valid: np.ndarray) -> None:
    """Any (H,W) floats, of which those that are not valid become NaN."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.where(valid, disparity, np.float32(np.nan)))


def _write_tiff(path: FilePath, disparity: np.ndarray, valid: np.ndarray) -> None:
    with replacing(path) as temporary:
        Image.fromarray(np.where(valid, disparity, np.float32(np.nan))).save(temporary, "TIFF")


def _write_png16(path: FilePath, disparity: np.ndarray, valid: np.ndarray) -> None:
    low, high = (disparity[valid].min(), disparity[valid].max()) if valid.any() else (0, 0)
    if low < 0 or high >= PNG_LIMIT:
        raise ValueError(
            f"the disparity for {path} reaches from {low:g} to {high:g} pixels, and a 16-bit PNG holds 0 to "
            f"{PNG_LIMIT:.2f}; write a .pfm instead"
        )
    stored = np.maximum(np.rint(np.where(valid, disparity, 0) * PNG_SCALE), 1)  # 0 would say unknown
    with replacing(path) as temporary:
        Image.fromarray(np.where(valid, stored, 0).astype(np.uint16)).save(temporary, "PNG")


_FORMATS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., None]]] = {
    ".pfm": (read_pfm, _write_pfm_map),
    ".png": (_read_picture, _write_png16),
    ".npy": (_read_npy, write_npy),
    ".tif": (_read_picture, _write_tiff),
    ".tiff": (_read_picture, _write_tiff),
}
DISPARITY_SUFFIXES = tuple(_FORMATS)


def _format(path: FilePath) -> tuple[Callable[..., np.ndarray], Callable[..., None]]:
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"{path} has the extension {suffix!r}; a disparity map has one of {', '.join(_FORMATS)}")
    return _FORMATS[suffix]
