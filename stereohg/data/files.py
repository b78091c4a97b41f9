"""Images, disparities, depths and points on disk: each read is checked, each error names its file.

Shapes: H height, W width; image (H,W,3) uint8 or uint16 RGB, disparity (H,W) float32 pixels, valid (H,W) bool.
Writers put a temporary file beside the target and move it there when it is whole, so that none is ever half-written.
"""

import io
import json
import math
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

FilePath = str | PathLike[str]

PNG_SCALE = 256.0
"""A 16-bit PNG holds the disparity times this, and 0 where it is unknown (KITTI's development kit)."""
PNG_LIMIT = 65535.5 / PNG_SCALE  # pixels; what is not below rounds to more than 16 bits
MILLIMETRES = 1000  # in a metre
DEPTH_SUFFIXES = ".npy", ".png"
POINT_SUFFIXES = ".ply", ".npz"


# --- images ---------------------------------------------------------------------------------------------------------


def read_image(path: FilePath, upright: bool = False) -> np.ndarray:
    """Any usual picture as RGB (H,W,3), uint8, or uint16 where the file has 16 bits a channel.

    Grey is replicated, palettes are looked up, alpha is dropped, and 9 to 15 bits become 16. The pixels are taken as
    stored: an EXIF orientation is not applied, since it would turn epipolar lines upright. ``upright`` applies it, as
    phones' photographs of people want it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no picture, is cut short, has neither 8 nor 16 bits a channel, or is a TIFF to be turned.
    """
    data = read_bytes(path)
    image, largest = _decode(path, data)
    pixels = _pixels(path, data, image, largest)
    return _turned(pixels, _orientation(image)) if upright else pixels


def _pixels(path: FilePath, data: bytes, image: Image.Image, largest: int) -> np.ndarray:
    if largest > 255:  # of these Pillow would drop the lower byte
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if deep is None:
            raise ValueError(f"{path} is not a whole picture; open it elsewhere, or copy it again")
        if deep.dtype == np.uint16:  # a bitmap's 16 may be those of three channels together
            deep = np.rint(deep * (65535 / largest)).astype(np.uint16) if largest < 65535 else deep
            return cv2.cvtColor(deep, cv2.COLOR_GRAY2RGB) if deep.ndim == 2 else deep[..., 2::-1].copy()
    if image.mode[0] in "IF":
        raise ValueError(f"{path} has pixels of Pillow's mode {image.mode!r}; a picture has 8 or 16 bits a channel")
    return np.array(image.convert("RGB"))


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As EXIF's number says: from 5 on rows and columns change places, and then either may run backwards."""
    pixels = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    down, across = (-1 if orientation in backwards else 1 for backwards in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.ascontiguousarray(pixels[::down, ::across])


def write_png(path: FilePath, image: np.ndarray) -> None:
    """RGB (H,W,3) uint8 or uint16 to a PNG of as many bits; ValueError for anything else."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path} would hold a PNG; name it .png")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the image for {path} is {image.shape} {image.dtype}; it must be (H,W,3) uint8 or uint16")
    with replacing(path) as temporary:
        if image.dtype == np.uint8:
            Image.fromarray(image).save(temporary, "PNG")
        else:  # which Pillow does not write
            temporary.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


# --- PFM ------------------------------------------------------------------------------------------------------------

_BLANK = rb"(?:\s|#[^\n]*\n)+"
_SCALE = rb"(?P<scale>[-+]?(?=[0.]*[1-9])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?=\s)"  # any number but zero
_PFM_HEADER = re.compile(_BLANK.join([rb"(?P<kind>P[Ff])", rb"(?P<width>\d{1,9})", rb"(?P<height>\d{1,9})", _SCALE]))
_PFM_LINE_END = re.compile(rb"[ \t]*\r?\n")


def read_pfm(path: FilePath) -> np.ndarray:
    """A PFM file as float32, (H,W) for ``Pf`` or (H,W,3) for ``PF``, the top row first (the file is bottom-up).

    Header tokens may be separated by any whitespace and comment lines. The file's size tells whether the header ends
    in one whitespace byte, as the format demands, or in a line end with blanks or a carriage return before it. Of the
    scale only the sign counts, negative = little-endian: Middlebury writes the reciprocal of the largest disparity
    there, which is no factor. The array is native-endian, contiguous and writable.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header is malformed, or more or fewer bytes follow it than it announces.
    """
    data = read_bytes(path)
    header = _PFM_HEADER.match(data)
    if header is None:
        raise ValueError(
            f"{path} does not begin with a PFM header ('Pf' or 'PF', width, height and a scale that is not zero), "
            f"but with {data[:32]!r}"
        )
    height, width = int(header["height"]), int(header["width"])
    shape = (height, width) if header["kind"] == b"Pf" else (height, width, 3)
    if 0 in shape:
        raise ValueError(f"{path} is a PFM of {width}x{height} pixels; it must have at least one")
    expected = 4 * math.prod(shape)
    start = _pfm_start(data, header.end(), expected)
    if len(data) - start != expected:
        fault = "is cut short" if len(data) - start < expected else "holds more than its picture"
        raise ValueError(
            f"{path} {fault}: its header announces {width}x{height} pixels, {expected} bytes, and "
            f"{len(data) - start} follow; copy or download it again"
        )
    order = "<f4" if header["scale"].startswith(b"-") else ">f4"
    return np.array(np.frombuffer(data, order, offset=start).reshape(shape)[::-1], np.float32, order="C")


def _pfm_start(data: bytes, scale_end: int, expected: int) -> int:
    """Where the floats begin: after the line's end, or after the one blank that a header on one line may end in."""
    line = _PFM_LINE_END.match(data, scale_end)
    if line is None:
        return scale_end + 1
    one_blank = data[scale_end] != ord("\r") and len(data) - (scale_end + 1) == expected
    return scale_end + 1 if one_blank else line.end()


def write_pfm(path: FilePath, array: np.ndarray) -> None:
    """Floats (H,W) or (H,W,3), the top row first, to a little-endian PFM of scale -1; ValueError for other shapes."""
    array = np.asarray(array, "<f4")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or array.size == 0:
        raise ValueError(f"the array for {path} is {array.shape}; a PFM holds (H,W) or (H,W,3), of one pixel or more")
    height, width = array.shape[:2]
    kind = "Pf" if array.ndim == 2 else "PF"
    with replacing(path) as temporary:
        temporary.write_bytes(f"{kind}\n{width} {height}\n-1.0\n".encode() + array[::-1].tobytes())


# --- disparities ----------------------------------------------------------------------------------------------------


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
    image, largest = _decode(path, read_bytes(path))
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


def _write_npy(path: FilePath, disparity: np.ndarray, valid: np.ndarray) -> None:
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
    ".npy": (_read_npy, _write_npy),
    ".tif": (_read_picture, _write_tiff),
    ".tiff": (_read_picture, _write_tiff),
}
DISPARITY_SUFFIXES = tuple(_FORMATS)


def _format(path: FilePath) -> tuple[Callable[..., np.ndarray], Callable[..., None]]:
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"{path} has the extension {suffix!r}; a disparity map has one of {', '.join(_FORMATS)}")
    return _FORMATS[suffix]


# --- depth and points -----------------------------------------------------------------------------------------------


def write_depth(path: FilePath, depth: np.ndarray) -> None:
    """Metres (H,W), unknown NaN, to ``.npy`` (float32, the same), or ``.png`` (16-bit millimetres, unknown 0).

    Raises:
        ValueError: the extension is another, the array not (H,W), or a depth does not fit the PNG.
    """
    depth = np.asarray(depth, np.float32)
    suffix = Path(path).suffix.lower()
    if suffix not in DEPTH_SUFFIXES or depth.ndim != 2:
        raise ValueError(
            f"{path} would hold {depth.shape}; a depth map is (H,W), in one of {', '.join(DEPTH_SUFFIXES)}"
        )
    known = np.isfinite(depth)
    if suffix == ".npy":
        return _write_npy(path, depth, known)
    millimetres = np.where(known, np.rint(depth.astype(np.float64) * MILLIMETRES), 0)
    if millimetres.max(initial=0) > np.iinfo(np.uint16).max or millimetres.min(initial=0) < 0:
        raise ValueError(
            f"the depth for {path} reaches to {depth[known].max():g} m, and 16-bit millimetres to 65.535; leave out "
            "what is farther (max_depth), or write a .npy"
        )
    with replacing(path) as temporary:
        Image.fromarray(millimetres.astype(np.uint16)).save(temporary, "PNG")


def write_points(path: FilePath, points: np.ndarray, colours: np.ndarray) -> None:
    """Points (N,3) metres and colours (N,3) uint8 RGB to a binary ``.ply``, or to a ``.npz`` of both arrays.

    Raises:
        ValueError: the extension is another, the arrays are not (N,3) both, or the colours not uint8.
    """
    points, colours = np.asarray(points, np.float32), np.asarray(colours)
    if points.ndim != 2 or points.shape[1] != 3 or colours.shape != points.shape or colours.dtype != np.uint8:
        raise ValueError(
            f"points are {points.shape} and colours {colours.shape} {colours.dtype}; they must be (N,3) and (N,3) uint8"
        )
    suffix = Path(path).suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise ValueError(f"{path} has the extension {suffix!r}; points have one of {', '.join(POINT_SUFFIXES)}")
    with replacing(path) as temporary:
        if suffix == ".npz":
            with temporary.open("wb") as file:  # of a path numpy would change the ending .NPZ
                np.savez_compressed(file, points=points, colours=colours)
        else:
            from trimesh import PointCloud  # takes a second to import

            temporary.write_bytes(PointCloud(points, colours).export(file_type="ply"))


# --- common to all --------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path: FilePath) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same extension, that takes its place when the block ends well.

    The folder is made if need be; when the block raises, what it wrote is removed and ``path`` is as before.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Removes what ``replacing`` was writing into a folder when its process was killed."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}(\.\w+)?")


def write_json(path: FilePath, document: Any) -> None:
    """Strict JSON, which has no NaN."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: FilePath) -> Any:
    """What a JSON holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path} is no whole JSON ({error}); copy or download it again") from error


def read_bytes(path: FilePath) -> bytes:
    """All of a file; FileNotFoundError where there is none."""
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; a file was expected (the working folder is {Path.cwd()})")
    return path.read_bytes()


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Pillow's limit of 179 megapixels is for pictures of strangers; these are the user's own."""
    with _PILLOWS_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


_PILLOWS_LIMIT = threading.Lock()
_PNM_HEADER = re.compile(_BLANK.join([rb"P[2356]", rb"\d+", rb"\d+", rb"(?P<largest>\d+)"]))


def _decode(path: FilePath, data: bytes) -> tuple[Image.Image, int]:
    """The picture and the largest value that it could have; by Pillow, which, unlike OpenCV, tells of a file cut short.

    A PNM says itself what its largest value is, of a camera with 12 bits 4095. TIFFs with an orientation are refused:
    Pillow and OpenCV turn them while they read, though not all alike.
    """
    try:
        with _of_any_size():
            image = Image.open(io.BytesIO(data))
        is_16_bit = ";16" in str(image.tile)  # the stored form, which load() forgets
        pnm = _PNM_HEADER.match(data)
        largest = int(pnm["largest"]) if pnm else 65535 if is_16_bit else 255
        orientation = _orientation(image) if image.format == "TIFF" else 1
        image.load()
    except Exception as error:  # each of Pillow's decoders has its own ways to fail
        why = "no known format" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"{path} is not a whole picture ({why}); open it elsewhere, or copy it again") from error
    if orientation != 1:
        raise ValueError(
            f"{path} is a TIFF that is to be turned or mirrored (its orientation is {orientation}); save its pixels in "
            "the order that is meant, with orientation 1"
        )
    return image, largest


def _orientation(image: Image.Image) -> int:
    """EXIF's, 2 to 8, by which a picture is to be turned or mirrored; 1 where there is none, or EXIF is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as of the picture's own data
        return 1
    return orientation if orientation in range(2, 9) else 1
