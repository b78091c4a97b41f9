"""The two-stack keypoint network at 256x256, as pytorch-pose runs it and as we do, and what else a prediction costs.

pytorch-pose's way is the network in float32 and contiguous tensors, as its code runs it; ours is ``KeypointPredictor``.
bfloat16 pays where the processor multiplies in it (``cpu_capability`` below), and costs dearly where it does not.

    python benchmarks/keypoints.py
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from environment import environment

from stereohg import KeypointPredictor, create_model
from stereohg.data.people.crop import Crop, Window
from stereohg.pose.decoding import decode

REPEATS, WARM_UPS = 15, 2
RESULT = Path(__file__).parent / "results" / "keypoints.json"


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    torch.manual_seed(0)
    published = create_model("keypoint_hourglass", num_stacks=2).eval()
    for layer in published.modules():  # as after training; fresh ones would hide a fault
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    ours = create_model("keypoint_hourglass", num_stacks=2)
    ours.load_state_dict(published.state_dict())
    predictors = {precision: KeypointPredictor(ours, "cpu", precision) for precision in ("float32", "bfloat16")}

    image = torch.randn(1, 3, 256, 256)
    picture = np.random.default_rng(0).random((720, 1280, 3)).astype(np.float32)
    crop = Crop(Window(640, 360, 700), (256, 256))
    with torch.inference_mode():
        expected = published(image)[-1]
        steps: dict[str, Callable[[], object]] = {
            "network, pytorch-pose's way, float32": lambda: published(image)[-1],
            "network, ours, float32": lambda: predictors["float32"].forward(image),
            "network, ours, bfloat16": lambda: predictors["bfloat16"].forward(image),
            "part: crop of a 1280x720 picture": lambda: crop.warp(picture),
            "part: decoding, dark": lambda: decode(expected),
            "part: decoding, quarter": lambda: decode(expected, "quarter"),
        }
        results = {name: timed(step) for name, step in steps.items()}
        base = results["network, pytorch-pose's way, float32"]["milliseconds_processor_median"]
        for precision, predictor in predictors.items():
            result = results[f"network, ours, {precision}"]
            result["times_as_quick"] = round(base / result["milliseconds_processor_median"], 2)
            difference = (predictor.forward(image) - expected).abs().max() / expected.abs().max()
            result["relative_difference"] = float(f"{difference:.1e}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def timed(step: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of the processor, which other programs do not lengthen."""
    spent = []
    for repeat in range(WARM_UPS + REPEATS):
        began = time.process_time()
        step()
        if repeat >= WARM_UPS:
            spent.append(1000 * (time.process_time() - began))
    return {
        "milliseconds_processor_median": round(median(spent), 2),
        "milliseconds_processor_least": round(min(spent), 2),
        "milliseconds_processor_most": round(max(spent), 2),
    }


if __name__ == "__main__":
    main()
