"""``stereohg demo``: a real pair with ground truth, predicted and compared on a fresh machine."""

from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stereohg.data.files import Calibration, write_png
from stereohg.geometry import write_ply
from stereohg.measure import Cost, measured
from stereohg.metrics import disparity_metrics
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.sgbm import sgbm_disparity
from stereohg.visual import colour_disparity, comparison_figure

MOTORCYCLE = Calibration(focal=994.978, baseline=0.193001, doffs=31.086)
"""Of scikit-image's quarter-size Motorcycle (Scharstein et al., GCPR 2014), as its documentation states it."""
PRINCIPAL_POINT = (311.193, 254.877)
SGBM_LEVELS = 80  # the scene's 60 and some room


def demo(output: Path = Path("stereohg_demo"), model: str = DEFAULT_MODEL) -> None:
    """Predicts the Middlebury Motorcycle pair that scikit-image ships, beside OpenCV's StereoSGBM.

    Args:
        output: folder for the disparity, the figure and the point cloud.
        model: a bundled name or the path of a weights file.
    """
    left, right, truth, known = motorcycle()
    predictor = Predictor(model)
    with measured() as our_cost:
        ours = predictor(left, right)
    with measured() as sgbm_cost:
        sgbm = sgbm_disparity(left, right, SGBM_LEVELS)

    console = Console()
    table = Table(title="Motorcycle, all pixels", box=SIMPLE)
    table.add_column(no_wrap=True)
    for heading in ("EPE", "bad-1", "bad-2", "bad-3", "D1", "seconds", "peak memory"):
        table.add_column(heading, justify="right")
    table.add_row(model, *_row(ours.values, truth, known, our_cost))
    table.add_row("StereoSGBM", *_row(sgbm, truth, known, sgbm_cost))
    console.print(table)

    files = {
        "disparity, float": output / "motorcycle.pfm",
        "disparity, 16 bit": output / "motorcycle.png",
        "disparity, coloured": output / "motorcycle_colour.png",
        "comparison": output / "motorcycle_figure.png",
        "point cloud": output / "motorcycle.ply",
    }
    ours.save(files["disparity, float"])
    ours.save(files["disparity, 16 bit"])
    write_png(files["disparity, coloured"], colour_disparity(ours.values, ours.valid))
    comparison_figure(files["comparison"], left, ours.values, sgbm, truth, known, title="Middlebury Motorcycle")
    calibration = {key: getattr(MOTORCYCLE, key) for key in ("focal", "baseline", "doffs")}
    write_ply(files["point cloud"], *ours.to_points(**calibration, colours=left, centre=PRINCIPAL_POINT))
    for what, path in files.items():
        console.print(f"{what + ':':<21}{path}", soft_wrap=True, highlight=False)


def motorcycle() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Left and right (500,741,3) uint8, disparity (500,741) float32 and where it is known."""
    try:
        from skimage.data import stereo_motorcycle
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the demo's pictures come from scikit-image: pip install 'stereohg[demo]'") from error
    left, right, truth = stereo_motorcycle()
    known = np.isfinite(truth)
    return left, right, np.where(known, truth, 0).astype(np.float32), known


def _row(disparity: np.ndarray, truth: np.ndarray, known: np.ndarray, cost: Cost) -> list[str]:
    metrics = disparity_metrics(disparity, truth, known)
    shares = [f"{metrics[key]:.1f} %" for key in ("bad_1", "bad_2", "bad_3", "d1")]
    memory = "?" if cost.peak_bytes is None else f"{cost.peak_bytes / 2**20:.0f} MB"
    return [f"{metrics['epe']:.2f} px", *shares, f"{cost.seconds:.2f}", memory]
