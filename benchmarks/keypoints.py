"""The two-stack keypoint network at 256x256, as pytorch-pose runs it and as we do, and what else a prediction costs.

pytorch-pose's way is the network in float32 and contiguous tensors, as its code runs it; ours is ``KeypointPredictor``.
bfloat16 pays where the processor multiplies in it (``cpu_capability`` below), and costs dearly where it does not.

    python -m benchmarks.keypoints
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.environment import environment
from stereohg import KeypointPredictor, create_model
from stereohg.data.people.crop import Crop, Window
from stereohg.pose.decoding import decode

REPEATS, WARM_UPS = 9, 2
BATCH = 4
RESULT = Path(__file__).parent / "results" / "keypoints.json"


def main() -> None:
    torch.manual_seed(0)
    published = create_model("keypoint_hourglass", num_stacks=2).eval()
    for layer in published.modules():  # as after training; fresh ones would hide a fault
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    ours = create_model("keypoint_hourglass", num_stacks=2)
    ours.load_state_dict(published.state_dict())
    predictors = {precision: KeypointPredictor(ours, "cpu", precision) for precision in ("float32", "bfloat16")}

    images = torch.randn(BATCH, 3, 256, 256)
    picture = np.random.default_rng(0).random((720, 1280, 3)).astype(np.float32)
    crop = Crop(Window(640, 360, 700), (256, 256))
    results = {}
    with torch.inference_mode():
        for count in (1, BATCH):
            batch = images[:count]
            expected = published(batch)[-1]
            base = timed(lambda batch=batch: published(batch))
            results[f"network, batch {count}, pytorch-pose's way, float32"] = base
            for precision, predictor in predictors.items():
                result = timed(lambda batch=batch, predictor=predictor: predictor.forward(batch))
                difference = (predictor.forward(batch) - expected).abs().max() / expected.abs().max()
                result["times_as_quick"] = round(base["milliseconds_median"] / result["milliseconds_median"], 2)
                result["relative_difference"] = float(f"{difference:.1e}")
                results[f"network, batch {count}, ours, {precision}"] = result
        heatmaps = published(images[:1])[-1]
        parts: dict[str, Callable[[], object]] = {
            "part: crop of a 1280x720 picture": lambda: crop.warp(picture),
            "part: decoding, dark": lambda: decode(heatmaps),
            "part: decoding, quarter": lambda: decode(heatmaps, "quarter"),
        }
        results |= {name: timed(step) for name, step in parts.items()}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def timed(step: Callable[[], object]) -> dict[str, float]:
    spent = []
    for repeat in range(WARM_UPS + REPEATS):
        began = time.perf_counter()
        step()
        if repeat >= WARM_UPS:
            spent.append(1000 * (time.perf_counter() - began))
    return {
        "milliseconds_median": round(median(spent), 2),
        "milliseconds_least": round(min(spent), 2),
        "milliseconds_most": round(max(spent), 2),
    }


if __name__ == "__main__":
    main()
