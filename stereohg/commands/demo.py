"""``stereohg demo``: a real pair with ground truth, predicted and compared on a fresh machine."""

from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from stereohg.commands.telling import make_console
from stereohg.comparison import check_figure, comparison_figure
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.files import write_png, write_points
from stereohg.measure import Cost, measured
from stereohg.metrics import disparity_metrics
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.sgbm import sgbm_disparity
from stereohg.visual import colour_disparity


def demo(output: Path = Path("stereohg_demo"), model: str = DEFAULT_MODEL) -> None:
    """Predicts the Middlebury Motorcycle pair that scikit-image ships, beside OpenCV's StereoSGBM.

    Args:
        output: folder for the disparity, the figure and the point cloud.
        model: a bundled name or the path of a weights file.
    """
    figure, cloud = output / "motorcycle_figure.png", output / "motorcycle.ply"
    check_figure(figure)
    left, right, truth, known = motorcycle()
    predictor = Predictor(model)
    with measured() as our_cost:
        ours = predictor(left, right, max_disp=CALIBRATION.ndisp)
    with measured() as sgbm_cost:
        sgbm = sgbm_disparity(left, right, CALIBRATION.ndisp)

    console = make_console()
    table = Table(title=f"Motorcycle, {CALIBRATION.ndisp} levels, all pixels", box=SIMPLE)
    table.add_column(no_wrap=True)
    for heading in ("EPE", "bad-1", "bad-2", "bad-3", "D1", "seconds", "memory"):
        table.add_column(heading, justify="right")
    table.add_row(model, *_row(ours.values, truth, known, our_cost))
    table.add_row("StereoSGBM", *_row(sgbm, truth, known, sgbm_cost))
    console.print(table)

    comparison_figure(figure, left, ours.values, sgbm, truth, known, title="Middlebury Motorcycle")
    ours.save(output / "motorcycle.pfm")
    ours.save(output / "motorcycle.png")
    write_png(output / "motorcycle_colour.png", colour_disparity(ours.values, ours.valid))
    write_points(cloud, *ours.to_points(CALIBRATION, colours=left))
    print(f"disparity, float:     {output / 'motorcycle.pfm'}")
    print(f"disparity, 16 bit:    {output / 'motorcycle.png'}")
    print(f"disparity, coloured:  {output / 'motorcycle_colour.png'}")
    print(f"comparison:           {figure}")
    print(f"point cloud:          {cloud}")


def _row(disparity: np.ndarray, truth: np.ndarray, known: np.ndarray, cost: Cost) -> list[str]:
    metrics = disparity_metrics(disparity, truth, known)
    shares = [f"{metrics[key]:.1f} %" for key in ("bad_1", "bad_2", "bad_3", "d1")]
    memory = "?" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB"
    return [f"{metrics['epe']:.2f} px", *shares, f"{cost.seconds:.2f}", memory]
