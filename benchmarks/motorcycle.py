"""The bundled network beside StereoSGBM on scikit-image's Motorcycle: error over all pixels, seconds, peak memory.

With large pages, as the program ``stereohg`` has them. bfloat16 is measured where the processor multiplies in it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.environment import alone, environment, repeated
from stereohg import Predictor
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.devices import Precision, ask_for_large_pages
from stereohg.metrics import disparity_metrics
from stereohg.nn.onednn import multiplies_in
from stereohg.sgbm import sgbm_disparity

REPEATS = 7
SCALES, SCALES_IN_HALF = (1.0, 1.25, 2.0), (None, 1.0, 1.25)  # None is the network's own
RESULT = Path(__file__).parent / "results" / "motorcycle.json"


def main() -> None:
    results = {}
    for levels in (CALIBRATION.ndisp, 192):
        baseline, network = measure("StereoSGBM", levels), measure("hgstereo_s", levels)
        name = f"hgstereo_s, {levels} levels"
        networks = {name: network}
        networks |= {f"{name}, scale {scale:g}": measure("hgstereo_s", levels, scale) for scale in SCALES}
        for scale in SCALES_IN_HALF if multiplies_in(torch.bfloat16) else ():
            own = "" if scale is None else f", scale {scale:g}"
            networks[f"{name}, bfloat16{own}"] = measure("hgstereo_s", levels, scale, "bfloat16")
        for network in networks.values():
            network["seconds_over_sgbm"] = round(network["seconds_median"] / baseline["seconds_median"], 2)
        results |= {f"StereoSGBM, {levels} levels": baseline, **networks}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def measure(name: str, levels: int, scale: float | None = None, precision: Precision = "float32") -> dict[str, float]:
    *_, truth, known = motorcycle()
    case = name, levels, scale, precision
    metrics = disparity_metrics(make(*case)(), truth, known)
    return {**{key: round(value, 3) for key, value in metrics.items()}, **alone(cost, *case)}


def cost(name: str, levels: int, scale: float | None, precision: Precision) -> dict[str, float]:
    ask_for_large_pages()
    return repeated(make(name, levels, scale, precision), REPEATS)


def make(name: str, levels: int, scale: float | None, precision: Precision) -> Callable[[], np.ndarray]:
    left, right, *_ = motorcycle()
    if name == "StereoSGBM":
        return lambda: sgbm_disparity(left, right, levels)
    predictor = Predictor(name, precision=precision)
    return lambda: predictor(left, right, max_disp=levels, scale=scale, check=False).values


if __name__ == "__main__":
    main()
