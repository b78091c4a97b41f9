"""Rectified videos: frame by frame, so that memory does not grow with their length."""

from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import cv2

from stereohg.calibration.rectify import Rectifier
from stereohg.data.files import FilePath, replacing

CODECS = {".avi": "FFV1", ".mkv": "FFV1", ".mp4": "mp4v", ".mov": "mp4v"}
"""FFV1 loses nothing; MPEG-4, which players want in the others, blurs a little."""
VIDEO_SUFFIXES = tuple(CODECS)


def rectify_videos(
    rectifier: Rectifier,
    sources: tuple[FilePath, FilePath],
    targets: tuple[FilePath, FilePath],
    on_frame: Callable[[], None] = lambda: None,
) -> int:
    """Writes both videos rectified, as long as the shorter one; the targets appear when they are whole.

    Returns:
        How many frames there are.

    Raises:
        FileNotFoundError: a source is not there.
        ValueError: one cannot be read or written, has no frame, or the two run at different rates.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(opened(path)) for path in sources]
        rates = [reader.get(cv2.CAP_PROP_FPS) for reader in readers]
        if abs(rates[0] - rates[1]) > 0.01 * rates[0]:
            raise ValueError(
                f"{sources[0]} has {rates[0]:g} frames a second and {sources[1]} {rates[1]:g}; one rate is needed"
            )
        temporary = [stack.enter_context(replacing(path)) for path in targets]
        # closed before the files take their names
        writers = [stack.enter_context(closing(_Writer(path, rates[0], rectifier))) for path in temporary]
        count = 0
        while True:
            frames = [reader.read() for reader in readers]
            if not all(there for there, _ in frames):
                break
            for writer, frame in zip(writers, rectifier(*(frame for _, frame in frames)), strict=True):
                writer.write(frame)
            count += 1
            on_frame()
        if not count:
            raise ValueError(f"{sources[0]} and {sources[1]} have no frame in common")
    return count


@contextmanager
def opened(path: FilePath):
    """The video's frames, (H,W,3) uint8 BGR, to read."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such video")
    reader = cv2.VideoCapture(str(path))
    try:
        if not reader.isOpened():
            raise ValueError(f"{path} is no video that OpenCV can read; convert it to MP4 or AVI")
        yield reader
    finally:
        reader.release()


class _Writer:
    def __init__(self, path: Path, rate: float, rectifier: Rectifier):
        codec = CODECS[path.suffix.lower()]
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, rectifier.calibration.size)
        if not self._writer.isOpened():
            raise ValueError(f"this OpenCV cannot write {path.suffix} with the codec {codec}; use pictures")
        self.write = self._writer.write

    def close(self) -> None:
        self._writer.release()
