"""The bundled network beside StereoSGBM on scikit-image's Motorcycle: error over all pixels, seconds, peak memory.

With large pages, as the program ``stereohg`` has them.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.environment import alone, environment, repeated
from stereohg import Predictor
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.devices import ask_for_large_pages
from stereohg.metrics import disparity_metrics
from stereohg.sgbm import sgbm_disparity

REPEATS = 7
SCALES = (1.0, 1.4, 2.0)  # beside the network's own
RESULT = Path(__file__).parent / "results" / "motorcycle.json"


def main() -> None:
    results = {}
    for levels in (CALIBRATION.ndisp, 192):
        baseline, network = measure("StereoSGBM", levels), measure("hgstereo_s", levels)
        networks = {f"hgstereo_s, {levels} levels": network}
        networks |= {f"hgstereo_s, {levels} levels, scale {s:g}": measure("hgstereo_s", levels, s) for s in SCALES}
        for network in networks.values():
            network["seconds_over_sgbm"] = round(network["seconds_median"] / baseline["seconds_median"], 2)
        results |= {f"StereoSGBM, {levels} levels": baseline, **networks}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def measure(name: str, levels: int, scale: float | None = None) -> dict[str, float]:
    left, right, truth, known = motorcycle()
    method = make(name, left, right, levels, scale)
    metrics = disparity_metrics(method(), truth, known)
    return {**{key: round(value, 3) for key, value in metrics.items()}, **alone(cost, name, levels, scale)}


def cost(name: str, levels: int, scale: float | None) -> dict[str, float]:
    ask_for_large_pages()
    left, right, *_ = motorcycle()
    return repeated(make(name, left, right, levels, scale), REPEATS)


def make(name: str, left: np.ndarray, right: np.ndarray, levels: int, scale: float | None) -> Callable[[], np.ndarray]:
    if name == "StereoSGBM":
        return lambda: sgbm_disparity(left, right, levels)
    predictor = Predictor(name, precision="float32")
    return lambda: predictor(left, right, max_disp=levels, scale=scale, check=False).values


if __name__ == "__main__":
    main()
