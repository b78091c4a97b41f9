"""Disparities of a moving scene: frames read one at a time, and stopped and resumed without loss.

A source gives, in order, a function for each frame, which reads it: frames that are done already are passed over, and
there is never more than one pair in memory. What is written is a disparity file a frame, ``000000.png`` and on; a
colour video is made out of these when all are there, so that one range of colours can hold for all of it.

Shapes: H height, W width; pictures (H,W,3) uint8 RGB.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from stereohg.data.files import clear_leftovers, read_disparity, read_image, replacing
from stereohg.data.pairs import Pair
from stereohg.prediction import PairWarning, Predictor
from stereohg.visual import STRAY, colour_disparity

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""What a colour video is written as, by its ending; both are in OpenCV's wheels."""
VIDEO_SUFFIXES = (*CODECS, ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
BINS = 16  # of a pixel of disparity, when the colours' range is sought
RATE_TOLERANCE = 1e-3  # share by which the rates of two videos may differ
SOUND = 1.0  # seconds by which a file's sound, and with it the number of frames that its head states, may be longer
SETTINGS = "video.json"

Pictures = tuple[np.ndarray, np.ndarray]
ReadPair = Callable[[], Pictures]


# --- sources --------------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where pairs come from: ``count`` of them at about ``rate`` a second (None where it cannot be known)."""

    rate: float | None
    count: int | None
    problems: list[str]

    def __iter__(self) -> Iterator[ReadPair]: ...

    def describe(self) -> dict: ...


class _VideoFile:
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
        self.video = _VideoFile(path, self.problems)
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
        self.left, self.right = (_VideoFile(path, self.problems) for path in (left, right))
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
        return {"pairs": [[str(pair.left), str(pair.right)] for pair in self.pairs]}


def _noting(read: Callable[[], np.ndarray], damaged: list[bool]) -> np.ndarray:
    try:
        return read()
    except UnreadableFrame:
        damaged.append(True)
        raise


def _described(path: Path) -> dict:
    return {"path": str(path.resolve()), "bytes": path.stat().st_size}


# --- disparities of all frames --------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What became of the frames: how many were predicted now, were there already, and failed (in words).

    ``notes`` counts the warnings by what they say, but for its numbers; ``first`` has the frame that first gave each.
    """

    predicted: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, number: int, text: str) -> None:
        kind = re.sub(r"\d[\d.]*", "#", text)
        self.notes[kind] += 1
        self.first.setdefault(kind, f"frame {number}: {text}")


def predict_frames(
    predictor: Predictor,
    source: Source,
    folder: Path,
    settings: dict,
    *,
    format: str = "png",
    on_frame: Callable[[], None] = lambda: None,
    **options,
) -> Progress:
    """Writes the disparity of each frame into a folder; frames whose file is there are not predicted again.

    Args:
        predictor: made once, for all frames.
        source: of the pairs.
        folder: for ``000000.png`` and on, and ``video.json``, which has the frame rate and the settings.
        settings: whatever else decides the disparities, kept in ``video.json``.
        format: png (16 bit), pfm, npy or tiff.
        on_frame: called after each frame.
        options: of ``Predictor.__call__``.

    Raises:
        ValueError: the folder has frames of another source or other settings.
    """
    _open_folder(folder, {"source": source.describe(), "rate": source.rate, "format": format, **settings, **options})
    done = Progress()
    for number, read in enumerate(source):
        path = frame_path(folder, number, format)
        if path.exists():
            done.kept += 1
        else:
            _predict_frame(predictor, read, path, number, options, done)
        on_frame()
    done.problems += source.problems
    return done


def frame_path(folder: Path, number: int, format: str) -> Path:
    return folder / f"{number:06d}.{format}"


def _predict_frame(
    predictor: Predictor, read: ReadPair, path: Path, number: int, options: dict, done: Progress
) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PairWarning)  # counted instead
            result = predictor(*read(), **options)
        result.save(path)
    except Exception as error:  # whatever it is, the other frames go on
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        done.problems.append(f"frame {number}: {kind}{error}")
        return
    done.predicted += 1
    for text in result.warnings:
        done.note(number, text)


def _open_folder(folder: Path, settings: dict) -> None:
    """Makes the folder, or makes sure that what is in it is of the same run."""
    path = folder / SETTINGS
    settings = json.loads(json.dumps(settings, default=str))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        decide = (settings.keys() | before.keys()) - {"rate"}  # no disparity depends on that
        other = sorted(key for key in decide if settings.get(key) != before.get(key))
        if other:
            raise ValueError(
                f"{folder} has frames of another run, which differs in {', '.join(other)}; choose another output, or"
                " remove the folder"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} has other files in it, and no {SETTINGS} of a video's frames; choose another output"
        )
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    clear_leftovers(folder)


# --- colour video ---------------------------------------------------------------------------------------------------


def write_colour_video(path: Path, folder: Path, format: str, count: int, rate: float) -> tuple[float, float]:
    """A video of ``count`` frames in the Turbo colours, out of a folder of disparities.

    The colours span all but half a percent of all the video's disparities at either end; a frame without file is
    black. A picture of odd width or height is widened by its last column or row, since the codecs want even ones.

    Returns:
        The disparities at the two ends of the colours, pixels.

    Raises:
        ValueError: there is no frame at all, or the video cannot be written.
    """
    found = [frame_path(folder, number, format) for number in range(count)]
    found = [file if file.exists() else None for file in found]
    low, high, size = _range_and_size([file for file in found if file is not None], folder)
    height, width = size
    even = (height + height % 2, width + width % 2)
    with replacing(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*CODECS[path.suffix.lower()]), rate, even[::-1])
        if not writer.isOpened():
            raise ValueError(f"{path}: OpenCV cannot write {even[1]}x{even[0]} pixels at {rate:g} a second")
        for file in found:
            picture = np.zeros((*size, 3), np.uint8)
            if file is not None:
                picture = colour_disparity(*read_disparity(file), low, high)
            picture = cv2.copyMakeBorder(picture, 0, even[0] - height, 0, even[1] - width, cv2.BORDER_REPLICATE)
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        written = _VideoFile(temporary, []).count
        if written != count:
            raise ValueError(f"{path}: of {count} frames {written} were written; is the disk full?")
    return low, high


def remove_frames(folder: Path, format: str) -> None:
    """Removes the disparities that ``predict_frames`` wrote, and the folder when nothing else is in it."""
    for path in folder.glob(f"[0-9]*.{format}"):
        path.unlink()
    (folder / SETTINGS).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _range_and_size(files: list[Path], folder: Path) -> tuple[float, float, tuple[int, int]]:
    if not files:
        raise ValueError(f"{folder} has no frame, so that there is no video to make")
    counts, sizes = np.zeros(1, np.int64), Counter()
    for file in files:
        disparity, valid = read_disparity(file)
        sizes[disparity.shape] += 1
        own = np.bincount(np.rint(BINS * np.clip(disparity[valid], 0, None)).astype(np.int64))
        counts = np.pad(counts, (0, max(0, len(own) - len(counts))))
        counts[: len(own)] += own
    if len(sizes) > 1:
        raise ValueError(f"{folder} has frames of {len(sizes)} sizes, and a video has one: {dict(sizes)}")
    shares = np.cumsum(counts) / max(1, counts.sum())
    low, high = (np.searchsorted(shares, share / 100) / BINS for share in (STRAY, 100 - STRAY))
    return float(low), float(high), next(iter(sizes))
