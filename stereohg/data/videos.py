"""Pairs of pictures one after the other: of two videos, of one with both side by side, of two folders; and a writer.

A source gives, in order, a function for each frame, which reads it: frames that nobody wants are passed over, and there
is never more than one pair in memory.

Shapes: pictures (H,W,3) uint8 RGB.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from stereohg.data.pairs import Pair
from stereohg.files import read_image

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
RATE_TOLERANCE = 1e-3  # share by which the rates of two videos may differ
SOUND = 1.0  # seconds by which a file's sound, and with it the number of frames that its head states, may be longer

Pictures = tuple[np.ndarray, np.ndarray]
ReadPair = Callable[[], Pictures]


class Source(Protocol):
    """Where pairs come from: ``count`` of them at about ``rate`` a second (None where it cannot be known)."""

    rate: float | None
    count: int | None
    problems: list[str]

    def __iter__(self) -> Iterator[ReadPair]: ...

    def describe(self) -> dict: ...


class VideoFile:
    """The frames of one file, as they are stored: a rotation that the file asks for would turn epipolar lines upright.

    A frame that cannot be read has its number all the same, and fails when it is asked for. When the file ends well
    before its head says so, ``problems`` get a line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole video.
    """

    def __init__(self, path: Path, problems: list[str]):
        self.path, self.problems = Path(path), problems
        capture = self._open()
        rate, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.rate = rate if 0 < rate < np.inf else None
        self.count = int(frames) if frames > 0 else None

    def __iter__(self) -> Iterator[Callable[[], np.ndarray]]:
        capture, next_one = self._open(), 0
        for number in count():
            if capture.grab():
                for lost in range(next_one, number):
                    yield partial(self._fail, lost)
                yield partial(self._picture, capture, number)
                next_one = number + 1
            elif self.count is None or number >= self.count:
                break
        missing = (self.count or 0) - next_one
        if missing > SOUND * (self.rate or 0):
            self.problems.append(f"{self.path} ends {missing} frames before it should; was it copied whole?")

    def _open(self) -> cv2.VideoCapture:
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: no such video")
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise ValueError(f"{self.path} is no whole video that OpenCV can read; play it elsewhere, or copy it again")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        return capture

    def _picture(self, capture: cv2.VideoCapture, number: int) -> np.ndarray:
        read, picture = capture.retrieve()
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if read else self._fail(number)

    def _fail(self, number: int):
        raise UnreadableFrame(f"{self.path}: frame {number} of {self.count} cannot be read")


class UnreadableFrame(ValueError):
    """A frame of a video is damaged."""


class SideBySide:
    """One video whose left half is the left picture."""

    def __init__(self, path: Path):
        self.problems: list[str] = []
        self.video = VideoFile(path, self.problems)
        self.rate, self.count = self.video.rate, self.video.count

    def __iter__(self) -> Iterator[ReadPair]:
        for read in self.video:
            yield lambda read=read: self._halves(read())

    def _halves(self, both: np.ndarray) -> Pictures:
        width = both.shape[1]
        if width % 2:
            raise ValueError(f"{self.video.path} is {width} pixels wide, which has no two halves; give two videos")
        return both[:, : width // 2], both[:, width // 2 :]

    def describe(self) -> dict:
        return _described(self.video.path)


class TwoVideos:
    """The left and the right camera's video, whose frames belong together by their number.

    They end with the shorter one, and at a frame that cannot be read, behind which they may be out of step.

    Raises:
        ValueError: their rates differ.
    """

    def __init__(self, left: Path, right: Path):
        self.problems: list[str] = []
        self.left, self.right = (VideoFile(path, self.problems) for path in (left, right))
        rates, counts = (self.left.rate, self.right.rate), (self.left.count, self.right.count)
        if None not in rates and abs(rates[0] - rates[1]) > RATE_TOLERANCE * max(rates):
            raise ValueError(
                f"{left} has {rates[0]:g} frames a second and {right} {rates[1]:g}; their frames do not belong together"
            )
        self.rate = rates[0] or rates[1]
        self.count = None if None in counts else min(counts)
        if None not in counts and counts[0] != counts[1]:
            self.problems.append(f"{left} has {counts[0]} frames and {right} {counts[1]}; what is over is left out")

    def __iter__(self) -> Iterator[ReadPair]:
        for number, (left, right) in enumerate(zip(self.left, self.right, strict=False)):
            damaged = []
            yield lambda left=left, right=right, damaged=damaged: (_noting(left, damaged), _noting(right, damaged))
            if damaged:
                self.problems.append(f"stopped behind frame {number}, as the two may be out of step; repair the video")
                return

    def describe(self) -> dict:
        return {"left": _described(self.left.path), "right": _described(self.right.path)}


class PictureFolders:
    """Two folders of a camera's pictures, in the order of their names."""

    def __init__(self, pairs: list[Pair], problems: list[str], rate: float | None):
        self.pairs, self.problems, self.rate, self.count = pairs, problems, rate, len(pairs)

    def __iter__(self) -> Iterator[ReadPair]:
        for pair in self.pairs:
            yield lambda pair=pair: (read_image(pair.left), read_image(pair.right))

    def describe(self) -> dict:
        return {"pairs": [[_described(pair.left), _described(pair.right)] for pair in self.pairs]}


def _noting(read: Callable[[], np.ndarray], damaged: list[bool]) -> np.ndarray:
    try:
        return read()
    except UnreadableFrame:
        damaged.append(True)
        raise


def _described(path: Path) -> dict:
    state = path.stat()
    return {"path": str(path.resolve()), "bytes": state.st_size, "modified": state.st_mtime_ns}


class VideoWriter:
    """Writes pictures into a video; a context manager, at whose end the file is whole.

    Args:
        path: whose ending decides the container.
        codec: four letters.
        rate: frames a second.
        size: H, W.

    Raises:
        ValueError: this OpenCV cannot write that, or a size is odd; or, at the end, not all of it is there.
    """

    def __init__(self, path: Path, codec: str, rate: float, size: tuple[int, int]):
        if size[0] % 2 or size[1] % 2:
            raise ValueError(
                f"a video of {size[1]}x{size[0]} pixels would lose a column or row, as codecs want even sizes; take"
                " pictures instead"
            )
        self._path, self._written = path, 0
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size[::-1])
        if not self._writer.isOpened():
            height, width = size
            raise ValueError(
                f"this OpenCV cannot write {path.suffix} of {width}x{height} pixels at {rate:g} a second with the codec"
                f" {codec}; use pictures"
            )

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        self._writer.release()
        if kind is None and VideoFile(self._path, []).count != self._written:
            raise ValueError(f"not all of {self._written} frames of the video were written; is the disk full?")

    def write(self, picture: np.ndarray) -> None:
        self._written += 1
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
