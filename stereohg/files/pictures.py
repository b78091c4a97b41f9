"""Pictures: (H,W,3) uint8 or uint16, RGB."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from stereohg.files.pfm import BLANK
from stereohg.files.whole import FilePath, read_bytes, replacing


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
    image, largest = decode(path, data)
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
_PNM_HEADER = re.compile(BLANK.join([rb"P[2356]", rb"\d+", rb"\d+", rb"(?P<largest>\d+)"]))


def decode(path: FilePath, data: bytes) -> tuple[Image.Image, int]:
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
