"""Portable float maps (PFM), the format of Scene Flow's and Middlebury's disparities: (H,W) or (H,W,3) float32."""

import math
import re

import numpy as np

from stereohg.files.whole import FilePath, read_bytes, replacing

BLANK = rb"(?:\s|#[^\n]*\n)+"
_SCALE = rb"(?P<scale>[-+]?(?=[0.]*[1-9])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?=\s)"  # any number but zero
_PFM_HEADER = re.compile(BLANK.join([rb"(?P<kind>P[Ff])", rb"(?P<width>\d{1,9})", rb"(?P<height>\d{1,9})", _SCALE]))
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
