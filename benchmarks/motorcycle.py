"""The bundled network beside StereoSGBM on scikit-image's Motorcycle: error over all pixels, seconds, peak memory."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from environment import environment

from stereohg import Predictor
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.measure import measured
from stereohg.metrics import disparity_metrics
from stereohg.sgbm import sgbm_disparity

REPEATS = 7
RESULT = Path(__file__).parent / "results" / "motorcycle.json"


def main() -> None:
    left, right, truth, known = motorcycle()
    predictor = Predictor("hgstereo_s", precision="float32")

    def ours(max_disp: int) -> np.ndarray:
        return predictor(left, right, max_disp=max_disp, check=False).values

    methods: dict[str, Callable[[], np.ndarray]] = {
        "StereoSGBM, 80 levels": lambda: sgbm_disparity(left, right, CALIBRATION.ndisp),
        "hgstereo_s, 80 levels": lambda: ours(CALIBRATION.ndisp),
        "StereoSGBM, 192 levels": lambda: sgbm_disparity(left, right, 192),
        "hgstereo_s, 192 levels": lambda: ours(192),
    }
    results = {name: measure(method, truth, known) for name, method in methods.items()}
    for levels in ("80 levels", "192 levels"):
        baseline, network = results[f"StereoSGBM, {levels}"], results[f"hgstereo_s, {levels}"]
        network["seconds_over_sgbm"] = round(network["seconds_median"] / baseline["seconds_median"], 2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def measure(method: Callable[[], np.ndarray], truth: np.ndarray, known: np.ndarray) -> dict[str, float]:
    disparity = method()  # warms up
    costs = []
    for _ in range(REPEATS):
        with measured() as cost:
            method()
        costs.append(cost)
    seconds = [cost.seconds for cost in costs]
    return {
        **{key: round(value, 3) for key, value in disparity_metrics(disparity, truth, known).items()},
        "seconds_median": round(median(seconds), 4),
        "seconds_least": round(min(seconds), 4),
        "seconds_most": round(max(seconds), 4),
        "peak_megabytes": round(max(cost.peak_bytes or 0 for cost in costs) / 2**20, 1),
    }


if __name__ == "__main__":
    main()
