"""``stereohg compare``: several networks, and StereoSGBM, on one pair."""

from itertools import combinations
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from stereohg.commands.outputs import check_outputs, open_folder
from stereohg.commands.telling import make_console
from stereohg.comparison import check_figure, disparity_gallery
from stereohg.data.preprocess import as_rgb
from stereohg.data.stereo import read_positive
from stereohg.devices import Precision
from stereohg.measure import Cost, measured
from stereohg.metrics import disparity_metrics
from stereohg.models.search import check_max_disp, levels_for
from stereohg.models.weights import load_model
from stereohg.pair_checks import check_pictures
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.sgbm import sgbm_disparity

SGBM = "sgbm"


def compare(
    left: Path,
    right: Path,
    output: Path = Path("comparison.png"),
    models: str = f"{DEFAULT_MODEL},{SGBM}",
    truth: Path | None = None,
    max_disp: int = 192,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Predicts one pair by several networks, and prints and draws them side by side in one scale of colours.

    Args:
        left: the left picture.
        right: the right picture.
        output: the picture, .png or .pdf.
        models: separated by commas: bundled names, paths of weights files, or sgbm (OpenCV's StereoSGBM).
        truth: the true disparity, .pfm, .png, .npy or .tiff, to state errors.
        max_disp: largest disparity looked for, pixels.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.
    """
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"models is {models!r}; it must name different ones, such as {DEFAULT_MODEL},{SGBM}")
    check_outputs([output], [left, right] if truth is None else [left, right, truth])
    check_figure(output)
    open_folder(output.parent)
    pictures = as_rgb(left), as_rgb(right)
    if pictures[0].shape != pictures[1].shape:
        raise ValueError(f"{left} is {pictures[0].shape[:2]} and {right} {pictures[1].shape[:2]} (H,W); a pair has one")
    check_max_disp(max_disp)
    known = None
    if truth is not None:
        known = read_positive(truth)
        if known[0].shape != pictures[0].shape[:2]:
            raise ValueError(f"{truth} is {known[0].shape} and the left picture {pictures[0].shape[:2]} (H,W)")
        if not known[1].any():
            raise ValueError(f"{truth} has no known disparity; leave it out")
    console = make_console()
    for note in check_pictures(*pictures):
        console.print(note, style="yellow")
    results: dict[str, tuple[np.ndarray, float | None, Cost]] = {}
    for name in names:
        results[name] = _run(name, pictures, max_disp, device, precision)

    console.print(_table(results, known))
    if len(names) > 1:
        console.print(_pairwise(results))
    panels = {f"{name}, {cost.seconds:.2f} s": values for name, (values, _, cost) in results.items()}
    disparity_gallery(output, np.round(255 * pictures[0]).astype(np.uint8), panels, known)
    print(f"comparison: {output}")


def _run(
    name: str, pictures: tuple[np.ndarray, np.ndarray], max_disp: int, device: str, precision: Precision
) -> tuple[np.ndarray, float | None, Cost]:
    """Disparity (H,W), mean confidence if there is one, and what it cost."""
    if name == SGBM:
        with measured() as cost:
            values = sgbm_disparity(*pictures, levels_for(max_disp))
        return values, None, cost
    predictor = Predictor(load_model(name), device, precision)
    with measured() as cost:
        result = predictor(*pictures, max_disp=max_disp, check=False)
    return result.values, float(result.confidence.mean()), cost


def _table(
    results: dict[str, tuple[np.ndarray, float | None, Cost]], known: tuple[np.ndarray, np.ndarray] | None
) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("model", overflow="fold")  # a path may be long
    for heading in ("disparity", "confidence", "seconds", "memory", *(("EPE", "bad-3") if known else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, (values, sureness, cost) in results.items():
        cells = [
            f"{values.min():.1f} to {values.max():.1f} px",
            "" if sureness is None else f"{sureness:.2f}",
            f"{cost.seconds:.2f}",
            "?" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB",
        ]
        if known:
            metrics = disparity_metrics(values, *known)
            cells += [f"{metrics['epe']:.2f} px", f"{metrics['bad_3']:.1f} %"]
        table.add_row(name, *cells)
    return table


def _pairwise(results: dict[str, tuple[np.ndarray, float | None, Cost]]) -> Table:
    table = Table("mean difference", "px", box=SIMPLE)
    for (one, (first, *_)), (other, (second, *_)) in combinations(results.items(), 2):
        table.add_row(f"{one}, {other}", f"{np.abs(first - second).mean():.2f}")
    return table
