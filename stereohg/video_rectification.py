"""Rectified videos: frame by frame, so that memory does not grow with their length."""

from collections.abc import Callable
from contextlib import ExitStack

from stereohg.calibration.rectify import Rectifier
from stereohg.data.videos import TwoVideos, UnreadableFrame, VideoWriter
from stereohg.files import FilePath, replacing

CODECS = {".avi": "FFV1", ".mkv": "FFV1", ".mp4": "mp4v", ".mov": "mp4v"}
"""FFV1 loses nothing; MPEG-4, which players want in the others, blurs a little."""
LOSSLESS = ".mkv"  # for kinds of video that are read and not written


def rectify_videos(
    rectifier: Rectifier,
    source: TwoVideos,
    targets: tuple[FilePath, FilePath],
    on_frame: Callable[[], None] = lambda: None,
) -> int:
    """Writes both videos rectified; the targets appear when they are whole.

    They end with the shorter one, or before a damaged frame: ``source.problems`` then says so.

    Returns:
        How many frames there are.

    Raises:
        ValueError: the videos have no frame in common, no known rate or not the cameras' size, or cannot be written.
    """
    if source.rate is None:
        raise ValueError(f"{source.left.path} does not say how many frames a second it has; rectify pictures of it")
    size = rectifier.calibration.size[::-1]
    with ExitStack() as stack:
        temporary = [stack.enter_context(replacing(path)) for path in targets]
        # closed before the files take their names
        writers = [
            stack.enter_context(VideoWriter(path, CODECS[path.suffix.lower()], source.rate, size)) for path in temporary
        ]
        count = 0
        for read in source:
            try:
                pair = read()
            except UnreadableFrame as error:
                source.problems.append(str(error))
                continue
            for writer, picture in zip(writers, rectifier(*pair), strict=True):
                writer.write(picture)
            count += 1
            on_frame()
        if not count:
            raise ValueError(f"{source.left.path} and {source.right.path} have no frame in common")
    return count
