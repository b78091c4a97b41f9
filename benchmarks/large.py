"""Cost against size and levels, up to pictures that want bands: the Motorcycle of scikit-image, enlarged.

Each is predicted once, in a process of its own: seconds, peak memory above the process before, the whole process's
peak, and what was estimated. The largest has to stay below 6 GB.

    python -m benchmarks.large [NETWORK ...]
"""

import json
import sys
import warnings
from pathlib import Path

import cv2
import torch

from benchmarks.environment import alone, environment
from stereohg import Predictor, create_model
from stereohg.bands import Fitting
from stereohg.data.motorcycle import motorcycle
from stereohg.measure import measured
from stereohg.memory import parse_memory
from stereohg.models.resizing import scaled
from stereohg.models.search import levels_for
from stereohg.models.weights import bundled_names

LIMIT = "6GB"
SIZES = {
    "hgstereo_s": ((497, 741), (994, 1482), (1491, 2223), (1988, 2964)),
    "psmnet": ((497, 741), (994, 1482), (1988, 2964)),
}
LEVELS = {"hgstereo_s": (160, 320), "psmnet": (320,)}
RESULT = Path(__file__).parent / "results" / "large.json"


def main(names: list[str]) -> None:
    document = json.loads(RESULT.read_text()) if RESULT.exists() else {"results": {}}
    document["environment"], document["max_memory"] = environment(), LIMIT
    for name in names or SIZES:
        for levels in LEVELS[name]:
            for height, width in SIZES[name]:
                cost = alone(predict_once, name, height, width, levels)
                document["results"][f"{name}, {height}x{width}, {levels} levels"] = cost
                print(name, height, width, levels, cost, flush=True)
                RESULT.parent.mkdir(exist_ok=True)
                RESULT.write_text(json.dumps(document, indent=2) + "\n")
    plot(document["results"])


def predict_once(name: str, height: int, width: int, levels: int) -> dict[str, float]:
    warnings.simplefilter("ignore")  # random weights answer anything
    torch.manual_seed(0)
    pair = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) for picture in motorcycle()[:2]]
    network = name if name in bundled_names() else create_model(name)
    predictor = Predictor(network, "cpu", "float32")
    with measured() as cost:
        predictor(*pair, max_disp=levels, check=False, max_memory=LIMIT)
    bands = chosen(predictor, height, width, levels)
    peak = cost.peak_bytes or 0
    return {
        "pixels_times_levels": height * width * levels,
        "seconds": round(cost.seconds, 2),
        "peak_megabytes": round(peak / 1e6, 1),
        "process_peak_megabytes": round(process_peak() / 1e6, 1),
        **bands,
    }


def chosen(predictor: Predictor, height: int, width: int, levels: int) -> dict[str, float]:
    """Into how many bands the pair was cut, and the estimate."""
    multiple, scale = predictor.model.multiple, predictor.model.scale
    rows, columns = scaled((height, width), scale)
    held = 2 * 3 * 4 * (height * width + rows * columns)  # two pictures, and two tensors, in float32
    shape = (1, 3, *(-(-n // multiple) * multiple for n in (rows, columns)))
    levels = levels_for(levels, scale)
    fitting = Fitting(predictor.model)
    bands = fitting.bands(shape, levels, parse_memory(LIMIT), held)
    estimate = held + fitting.peak(shape, levels, bands[0].stop - bands[0].start)
    return {"bands": len(bands), "estimated_megabytes": round(estimate / 1e6, 1)}


def process_peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def plot(results: dict[str, dict[str, float]]) -> None:
    """Seconds and peak memory against pixels x levels."""
    from matplotlib.figure import Figure

    figure = Figure((9, 3.6), layout="constrained")
    for axes, (key, unit, label) in zip(
        figure.subplots(1, 2), (("seconds", 1, "seconds"), ("peak_megabytes", 1000, "peak memory, GB")), strict=True
    ):
        for name in SIZES:
            costs = sorted(
                (cost["pixels_times_levels"] / 1e6, cost[key] / unit, cost["bands"])
                for case, cost in results.items()
                if case.startswith(f"{name},")
            )
            if not costs:
                continue
            (line,) = axes.loglog(*zip(*(cost[:2] for cost in costs), strict=True), "o-", label=name)
            banded = [cost[:2] for cost in costs if cost[2] > 1]
            if banded:
                axes.loglog(*zip(*banded, strict=True), "s", markersize=9, fillstyle="none", color=line.get_color())
        axes.set(xlabel="million pixels x levels", ylabel=label)
        axes.grid(alpha=0.3, which="both")
        axes.legend(title="square: in bands")
    figure.savefig(RESULT.with_suffix(".png"), dpi=90)


if __name__ == "__main__":
    main(sys.argv[1:])
