"""``stereohg video``: two videos, one with both pictures side by side, or two folders of a camera."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from stereohg.commands.outputs import check_outputs
from stereohg.commands.progress import progress_bar
from stereohg.commands.telling import make_console, tell_some
from stereohg.data.pairs import find_pairs
from stereohg.data.videos import PictureFolders, SideBySide, Source, TwoVideos
from stereohg.devices import Precision
from stereohg.models.weights import fingerprint, load_model
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.video import CODECS, Progress, frame_path, predict_frames, remove_frames, write_colour_video


def video(
    left: Path,
    right: Path | None = None,
    *,
    output: Path,
    model: str = DEFAULT_MODEL,
    format: Literal["png", "pfm", "npy", "tiff"] = "png",
    keep_frames: bool = False,
    rate: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    scale: float | None = None,
    max_disp: int | None = None,
    left_right_check: bool = False,
    check: bool = True,
) -> int:
    """Predicts the disparity of every frame, to a colour video or a folder of 16-bit PNGs.

    A run that was stopped goes on where it was, by the same command: the disparities of the frames are files, in the
    folder OUTPUT, or for a video in OUTPUT.frames, which is removed when all frames are there.

    Args:
        left: the left camera's video, or a video with both pictures side by side, or a folder of pictures.
        right: the right camera's video or folder; none for side by side.
        output: a video (.mp4, .avi) in colours of one range, or a folder for 000000.png and on.
        model: a bundled name or the path of a weights file, ours or published.
        format: of the frames' disparities; png is 16 bit, 256 times the disparity.
        keep_frames: also keep the disparities that a colour video is made of.
        rate: frames a second, where the source has none (folders) or a wrong one.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.
        scale: resize the pictures by this before matching, instead of by the model's own scale.
        max_disp: largest disparity looked for, pixels.
        left_right_check: mark what the right view contradicts as not valid.
        check: look in each frame for pictures that are the same, of two scenes, unrectified or swapped.

    Returns:
        The exit status: 1 when a frame failed or has no partner.
    """
    check_outputs([output], [left] if right is None else [left, right])
    source = open_source(left, right, rate)
    in_colour = output.suffix.lower() in CODECS and not output.is_dir()
    if not in_colour and output.suffix and not output.is_dir():
        raise ValueError(f"{output} is neither a folder nor a video with one of the endings {', '.join(CODECS)}")
    if in_colour and source.rate is None:
        raise ValueError(f"{left} does not say how many frames a second it has; give --rate")
    frames = output.with_name(f"{output.name}.frames") if in_colour else output
    network = load_model(model)
    predictor = Predictor(network, device, precision)
    predictor.check_options(scale=scale, max_disp=max_disp)
    options = {"scale": scale, "max_disp": max_disp, "left_right_check": left_right_check, "check": check}

    console = make_console(stderr=True)
    if isinstance(source, SideBySide):
        console.print(
            f"{left} is taken for both pictures side by side; if it is one camera's, give the other's as well"
        )
    with progress_bar(console) as bar:
        task = bar.add_task("predicting", total=source.count)
        settings = {"model": model, "weights": fingerprint(network), "precision": str(predictor.dtype)}
        done = predict_frames(
            predictor, source, frames, settings, format=format, on_frame=lambda: bar.advance(task), **options
        )
        count = int(bar.tasks[0].completed)
    _tell(done, count, console)
    if in_colour:
        low, high = write_colour_video(output, frames, format, count, source.rate)
        console.print(f"colours: {low:.1f} px (blue, far) to {high:.1f} px (red, near) in all frames")
        if not all(frame_path(frames, number, format).exists() for number in range(count)):
            console.print(f"{frames} stays, so that the same command tries again what failed", soft_wrap=True)
        elif not keep_frames:
            remove_frames(frames, format)
    console.print(f"{done.predicted + done.kept} of {count} frames: {output}", soft_wrap=True)
    return 1 if done.problems else 0


def open_source(left: Path, right: Path | None, rate: float | None) -> Source:
    """What the two paths are."""
    if rate is not None and not 0 < rate < float("inf"):
        raise ValueError(f"rate is {rate}; it must be a positive number of frames a second")
    if left.is_dir() and right is None:
        raise ValueError(f"{left} is a folder of one camera's pictures; give the other camera's as well")
    if left.is_dir():
        return PictureFolders(*find_pairs(left, right), rate)
    source = SideBySide(left) if right is None else TwoVideos(left, right)
    source.rate = rate or source.rate
    return source


def _tell(done: Progress, count: int, console: Console) -> None:
    for kind, times in done.notes.items():
        console.print(f"in {times} of {count} frames, first in {done.first[kind]}", style="yellow")
    tell_some(console, "failed", done.problems)
