"""Disparities of a moving scene: frames read one at a time, and stopped and resumed without loss.

Frames that are done already are passed over, and there is never more than one pair in memory. What is written is a
disparity file a frame, ``000000.png`` and on; a colour video is made out of these when all are there, so that one range
of colours can hold for all of it.

Shapes: H height, W width; pictures (H,W,3) uint8 RGB.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from stereohg.data.videos import ReadPair, Source, VideoWriter
from stereohg.files import clear_leftovers, read_disparity, read_json, replacing, write_json
from stereohg.prediction import PairWarning, Predictor
from stereohg.problems import in_words
from stereohg.visual import STRAY, colour_disparity

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""What a colour video is written as, by its ending; both are in OpenCV's wheels."""
BINS = 16  # of a pixel of disparity, when the colours' range is sought
SETTINGS = "video.json"


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
    if not has_frames(folder):
        remove_frames(folder, format)
    return done


def frame_path(folder: Path, number: int, format: str) -> Path:
    return folder / f"{number:06d}.{format}"


def has_frames(folder: Path) -> bool:
    """Whether a run has come as far as a frame's disparities."""
    return any(folder.glob("[0-9]*.*"))


def _predict_frame(
    predictor: Predictor, read: ReadPair, path: Path, number: int, options: dict, done: Progress
) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PairWarning)  # counted instead
            result = predictor(*read(), **options)
        result.save(path)
    except Exception as error:  # whatever it is, the other frames go on
        done.problems.append(f"frame {number}: {in_words(error)}")
        return
    done.predicted += 1
    for text in result.warnings:
        done.note(number, text)


def _open_folder(folder: Path, settings: dict) -> None:
    """Makes the folder, or makes sure that what is in it is of the same run."""
    path = folder / SETTINGS
    clear_leftovers(folder)
    settings = json.loads(json.dumps(settings, default=str))
    if path.exists() and has_frames(folder):
        before = read_json(path)
        decide = (settings.keys() | before.keys()) - {"rate"}  # no disparity depends on that
        other = sorted(key for key in decide if settings.get(key) != before.get(key))
        if other:
            raise ValueError(
                f"{folder} has frames of another run, which differs in {', '.join(other)}; choose another output, or"
                " remove the folder"
            )
    elif folder.is_dir() and any(own != path for own in folder.iterdir()):
        raise ValueError(
            f"{folder} has other files in it, and no {SETTINGS} of a video's frames; choose another output"
        )
    write_json(path, settings)


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
    with replacing(path) as temporary, VideoWriter(temporary, CODECS[path.suffix.lower()], rate, even) as writer:
        for file in found:
            picture = np.zeros((*size, 3), np.uint8)
            if file is not None:
                picture = colour_disparity(*read_disparity(file), low, high)
            writer.write(cv2.copyMakeBorder(picture, 0, even[0] - height, 0, even[1] - width, cv2.BORDER_REPLICATE))
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
