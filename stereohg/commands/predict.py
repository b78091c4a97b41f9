"""``stereohg predict``: one pair, or two folders of them."""

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from stereohg.commands.metric_outputs import MetricOutputs
from stereohg.commands.outputs import check_not_taken_for_pictures, check_outputs
from stereohg.commands.pair_outputs import Job, PairOutputs
from stereohg.commands.pipeline import pipeline
from stereohg.commands.progress import progress_bar
from stereohg.commands.telling import make_console, tell_some
from stereohg.data.pairs import find_pairs
from stereohg.data.preprocess import as_rgb
from stereohg.data.videos import VIDEO_SUFFIXES
from stereohg.devices import Precision
from stereohg.disparity import Disparity, check_confidence
from stereohg.files import DISPARITY_SUFFIXES
from stereohg.measure import measured
from stereohg.models.weights import load_model
from stereohg.prediction import DEFAULT_MODEL, PairWarning, Predictor
from stereohg.problems import in_words

Format = Literal["pfm", "png", "npy", "tiff"]
NOTHING_VALID = "no pixel is valid, and nothing of the disparities is in the file; see --min_confidence"


def predict(
    left: str,
    right: str,
    output: Path = Path("."),
    model: str = DEFAULT_MODEL,
    format: Format = "pfm",
    colour: bool = False,
    html: Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    scale: float | None = None,
    max_disp: int | Literal["auto"] | None = None,
    left_right_check: bool = False,
    flip: bool = False,
    check: bool = True,
    strict: bool = False,
    max_memory: str | None = None,
    align_corners: bool | None = None,
    output_scale: float | None = None,
    calibration: Path | None = None,
    depth: bool = False,
    points: bool = False,
    depth_format: Literal["npy", "png"] | None = None,
    points_format: Literal["ply", "npz"] | None = None,
    min_confidence: float = 0.0,
    min_depth: float = 0.0,
    max_depth: float = float("inf"),
    skip_existing: bool = False,
) -> int:
    """Predicts the disparity of one rectified pair, or of all pairs in two folders.

    Args:
        left: the left picture, a folder of them, or a pattern such as 'scenes/*/im0.png'.
        right: the right picture, folder or pattern; pairs have the same name (or the same text for each *).
        output: a file (.pfm, .png, .npy, .tiff) for one pair, else a folder.
        model: a bundled name or the path of a weights file, ours or published.
        format: of the files in a folder; png is 16 bit, 256 times the disparity.
        colour: also write NAME_colour.png.
        html: also write a page to look at, a .html file for one pair, else a folder of them.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.
        scale: resize the pictures by this before matching, instead of by the model's own scale.
        max_disp: largest disparity looked for, pixels; auto raises it as needed.
        left_right_check: mark what the right view contradicts as not valid.
        flip: give the right picture's disparity instead.
        check: look for pictures that are the same, of two scenes, unrectified or swapped.
        strict: what would be a warning is an error.
        max_memory: what the prediction may take, such as 4GB; what is free if not given. Large pairs are matched in
            bands of rows.
        align_corners: how a published file's network upsamples, if not as recognised.
        output_scale: factor on a published file's disparities.
        calibration: file of the rectified cameras: OpenCV's or ours, KITTI's, Middlebury's, or ROS's; for depth, points
            and pages in metres.
        depth: also write NAME_depth, metres.
        points: also write NAME.ply, coloured points in metres.
        depth_format: npy (float32 metres, NaN unknown; if not given) or png (16-bit millimetres, 0 unknown).
        points_format: ply (binary; if not given) or npz (points and colours).
        min_confidence: mark what is less sure as not valid, in all that is written.
        min_depth: leave nearer pixels out of depth and points, metres.
        max_depth: leave farther pixels out of depth and points, metres.
        skip_existing: leave out pairs all of whose files are there, as after a run that was stopped.

    Returns:
        The exit status: 1 when any pair failed.
    """
    if Path(left).suffix.lower() in VIDEO_SUFFIXES:
        raise ValueError(f"{left} is a video; use stereohg video")
    check_confidence(min_confidence)
    pairs, problems = find_pairs(left, right)
    names = [pair.name for pair in pairs]
    targets = _targets(output, names, format, DISPARITY_SUFFIXES)
    pages = [None] * len(pairs) if html is None else _targets(html, names, "html", (".html",))
    in_metres = MetricOutputs.chosen(
        calibration,
        _format("depth", depth, depth_format, "npy"),
        _format("points", points, points_format, "ply"),
        html is not None,
        min_depth,
        max_depth,
    )
    outputs = PairOutputs(in_metres, colour)
    jobs = [Job(*of_pair) for of_pair in zip(pairs, targets, pages, strict=True)]
    written = [path for job in jobs for path in outputs.paths(job)]
    pictures = [path for pair in pairs for path in (pair.left, pair.right)]
    check_outputs(written, pictures)
    check_not_taken_for_pictures(written, left, pictures)
    predictor = Predictor(load_model(model, align_corners=align_corners, output_scale=output_scale), device, precision)
    options = {
        "scale": scale,
        "max_disp": max_disp,
        "left_right_check": left_right_check,
        "flip": flip,
        "check": check,
        "strict": strict,
        "max_memory": max_memory,
    }
    predictor.check_options(scale=scale, max_disp=max_disp, max_memory=max_memory)

    def read(job: Job) -> tuple[np.ndarray, np.ndarray]:
        pictures = as_rgb(job.pair.left), as_rgb(job.pair.right)
        in_metres.of(pictures[0].shape[:2])  # before the network has worked for nothing
        return pictures

    def match(pictures: tuple[np.ndarray, np.ndarray]) -> tuple[Disparity, float]:
        with measured() as cost:
            result = predictor(*pictures, **options)
        return result.confident(min_confidence), cost.seconds

    console = make_console(stderr=True)
    if skip_existing:
        jobs = [job for job in jobs if not all(path.exists() for path in outputs.paths(job))]
        console.print(f"{len(pairs) - len(jobs)} of {len(pairs)} pairs have their files already")
    table = Table(box=SIMPLE)
    table.add_column("pair", overflow="fold")
    metres = [] if calibration is None else ["depth"]
    for heading in ("size", "disparity", *metres, "confidence", "valid", "seconds"):
        table.add_column(heading, no_wrap=True)
    try:
        with warnings.catch_warnings(), progress_bar(console) as progress:
            warnings.simplefilter("ignore", PairWarning)  # told below, with the pair's name
            all_done = pipeline(jobs, read, match, lambda job, matched: outputs.write(job, matched[0]))
            for done in progress.track(all_done, total=len(jobs), description="predicting"):
                pair, error = done.item.pair, done.error
                if error is not None:  # whatever it is, the other pairs go on
                    problems.append(f"{pair.name}: {in_words(error)}")
                    continue
                result, seconds = done.result
                for note in (*result.warnings, *([] if result.valid.any() else [NOTHING_VALID])):
                    console.print(f"{pair.name}: {note}", style="yellow")
                size, span, *sure = _summary(result)
                table.add_row(pair.name, size, span, *in_metres.summary(result), *sure, f"{seconds:.2f}")
    except KeyboardInterrupt:
        console.print(
            f"stopped after {table.row_count + len(problems)} of {len(jobs)}; the same with --skip_existing goes on"
        )
        raise
    console.print(table)
    tell_some(console, "failed", problems)
    where = targets[0] if len(targets) == 1 else output
    console.print(f"{table.row_count} of {table.row_count + len(problems)} predicted: {where}", soft_wrap=True)
    return 1 if problems else 0


def _format(name: str, wanted: bool, given: str | None, usual: str) -> str | None:
    if given is not None and not wanted:
        raise ValueError(f"--{name}_format says how --{name} is written; give --{name} as well")
    return (given or usual) if wanted else None


def _targets(output: Path, names: list[str], suffix: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Where the file of each pair goes; what cannot be is told before anything is predicted."""
    if output.is_dir() or not output.suffix:
        return [output / f"{name}.{suffix}" for name in names]
    if output.suffix.lower() not in suffixes:
        known = ", ".join(suffixes)
        raise ValueError(f"{output} is neither a folder that exists nor a file with one of the endings {known}")
    if len(names) > 1:
        raise ValueError(f"{output} is one file, but there are {len(names)} pairs; give a folder")
    return [output]


def _summary(result: Disparity) -> tuple[str, ...]:
    """Size, range of what is valid, confidence, and how much is valid."""
    height, width = result.values.shape
    used = result.values[result.valid]
    span = f"{used.min():.1f} to {used.max():.1f} px" if used.size else "none"
    return f"{width}x{height}", span, f"{result.confidence.mean():.2f}", f"{100 * result.valid.mean():.0f} %"
