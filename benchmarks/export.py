"""An exported file in onnxruntime beside PyTorch here: how quick, in one run.

PyTorch is ``Predictor.forward`` or ``KeypointPredictor.forward`` on tensors that are ready; onnxruntime has as many
threads, and besides normalises the pictures and gives a confidence. All weights but hgstereo_s's are random, which
changes no time.

    python -m benchmarks.export
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch

from benchmarks.environment import environment
from stereohg import KeypointPredictor, Predictor, create_model, export, load_model
from stereohg.data.preprocess import to_tensor

REPEATS, WARM_UPS = 5, 1
CASES = (("hgstereo_s", 256, 512), ("hgstereo_s", 384, 1248), ("psmnet", 256, 512), ("keypoint_hourglass", 256, 256))
RESULT = Path(__file__).parent / "results" / "export.json"


def main() -> None:
    results = {f"{name}, {height}x{width}": compared(name, height, width) for name, height, width in CASES}
    about = environment() | {"onnxruntime": onnxruntime.__version__}
    RESULT.write_text(json.dumps({"environment": about, "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def compared(name: str, height: int, width: int) -> dict[str, float]:
    """Both by turns, so that what else the machine does meets both."""
    torch.manual_seed(0)
    model = load_model(name) if name == "hgstereo_s" else create_model(name)
    is_stereo = name != "keypoint_hourglass"
    predictor = (Predictor if is_stereo else KeypointPredictor)(model, "cpu", "float32")
    names = ("left", "right") if is_stereo else ("image",)
    pictures = np.random.default_rng(0).integers(0, 256, (len(names), height, width, 3), np.uint8)
    tensors = [to_tensor(picture.astype(np.float32) / 255)[None] for picture in pictures]
    inputs = dict(zip(names, pictures[:, None], strict=True))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        written = export(model, Path(folder) / "model.onnx", size=(height, width), check=False)
        session = onnxruntime.InferenceSession(written.path, options, providers=["CPUExecutionProvider"])
    spent: dict[str, list[float]] = {"pytorch": [], "onnxruntime": []}
    steps: dict[str, Callable[[], object]] = {
        "pytorch": lambda: predictor.forward(*tensors),
        "onnxruntime": lambda: session.run(None, inputs),
    }
    for repeat in range(WARM_UPS + REPEATS):
        for runtime, step in steps.items():
            began = time.perf_counter()
            step()
            if repeat >= WARM_UPS:
                spent[runtime].append(time.perf_counter() - began)
    seconds = {runtime: round(median(own), 4) for runtime, own in spent.items()}
    ratios = [one / other for one, other in zip(spent["pytorch"], spent["onnxruntime"], strict=True)]
    return {
        **{f"{runtime}_seconds": own for runtime, own in seconds.items()},
        "times_as_quick": round(median(ratios), 2),
        "times_as_quick_least": round(min(ratios), 2),
        "times_as_quick_most": round(max(ratios), 2),
    }


if __name__ == "__main__":
    main()
