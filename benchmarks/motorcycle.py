"""The bundled network beside StereoSGBM on scikit-image's Motorcycle: error over all pixels, seconds, peak memory."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from environment import alone, environment

from stereohg import Predictor
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.measure import measured
from stereohg.metrics import disparity_metrics
from stereohg.sgbm import sgbm_disparity

REPEATS, WARM_UPS = 7, 1
RESULT = Path(__file__).parent / "results" / "motorcycle.json"


def main() -> None:
    results = {}
    for levels in (CALIBRATION.ndisp, 192):
        baseline, network = alone(measure, "StereoSGBM", levels), alone(measure, "hgstereo_s", levels)
        network["seconds_over_sgbm"] = round(network["seconds_median"] / baseline["seconds_median"], 2)
        results |= {f"StereoSGBM, {levels} levels": baseline, f"hgstereo_s, {levels} levels": network}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def measure(name: str, levels: int) -> dict[str, float]:
    left, right, truth, known = motorcycle()
    method = make(name, left, right, levels)
    costs = []
    for _ in range(WARM_UPS + REPEATS):
        with measured() as cost:
            disparity = method()
        costs.append(cost)
    seconds = [cost.seconds for cost in costs[WARM_UPS:]]
    return {
        **{key: round(value, 3) for key, value in disparity_metrics(disparity, truth, known).items()},
        "seconds_median": round(median(seconds), 4),
        "seconds_least": round(min(seconds), 4),
        "seconds_most": round(max(seconds), 4),
        # the first call's, or what was held between calls would not count
        "peak_megabytes": round((costs[0].peak_bytes or 0) / 2**20, 1),
    }


def make(name: str, left: np.ndarray, right: np.ndarray, levels: int) -> Callable[[], np.ndarray]:
    if name == "StereoSGBM":
        return lambda: sgbm_disparity(left, right, levels)
    predictor = Predictor(name, precision="float32")
    return lambda: predictor(left, right, max_disp=levels, check=False).values


if __name__ == "__main__":
    main()
