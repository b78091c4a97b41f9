"""On a CUDA GPU: the published networks beside the papers' own formulation, hgstereo, and how fast scenes are rendered.

Times are taken by turns in one process, until the device has finished; peak memory is what PyTorch allocates above
weights and pictures. Both forms run with PyTorch's defaults (convolutions may use TF32).

    python -m benchmarks.gpu
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from benchmarks.environment import environment
from benchmarks.networks import LEVELS, OURS, OURS_HALF, PUBLISHED, Step, inference, shares, training
from stereohg import load_model
from stereohg.data.synthetic import KeptScenes, SyntheticRooms
from stereohg.data.synthetic.prerender import AT_ONCE, prerender
from stereohg.models.inference import ready_for_inference

REPEATS, WARM_UPS = 10, 3
NETWORKS = ("psmnet", "gwcnet_g", "gwcnet_gc")
INFERENCE = [(name, size) for size in ((256, 512), (544, 960)) for name in NETWORKS] + [("psmnet", (384, 1248))]
TRAINING = [(name, batch) for name in ("psmnet", "gwcnet_gc") for batch in (1, 4)]
CROP = 256, 512
HEIGHT, WIDTH, SCENES = 320, 736, 1024
HGSTEREO = [(384, 1248), (480, 640)]
RESULT = Path(__file__).parent / "results" / "gpu.json"


def main() -> None:
    if not torch.cuda.is_available():
        raise SystemExit("this benchmark is of a CUDA GPU, and there is none here")
    results = {}
    for what, result in every_result():
        print(what, json.dumps(result), flush=True)
        results[what] = result
        told = environment() | {"gpu": torch.cuda.get_device_name()}
        RESULT.write_text(json.dumps({"environment": told, "results": results}, indent=2) + "\n")


def every_result() -> Iterator[tuple[str, object]]:
    for name, (height, width) in INFERENCE:
        with torch.device("cuda"):
            steps = {form: inference(name, (height, width), form) for form in (PUBLISHED, OURS, OURS_HALF)}
        yield f"inference of {name}, {height}x{width}, {LEVELS} levels, batch 1", compare(steps)
    for name, batch in TRAINING:
        with torch.device("cuda"):
            steps = {form: training(name, CROP, form, batch) for form in (PUBLISHED, OURS, OURS_HALF)}
        yield f"training of {name}, {CROP[0]}x{CROP[1]}, {LEVELS} levels, batch {batch}", compare(steps)
    for height, width in HGSTEREO:
        yield f"inference of hgstereo_s, {height}x{width}, {LEVELS} levels, batch 1", compare(hgstereo(height, width))
    yield f"rendering of rooms, {HEIGHT}x{WIDTH}", rendering()


def compare(steps: dict[str, Step]) -> dict[str, dict[str, float]]:
    """Milliseconds of the forms by turns, peak memory of each, and both as shares of the published form's."""
    for step in steps.values():
        for _ in range(WARM_UPS):
            step()
    seconds = {form: [] for form in steps}
    for _ in range(REPEATS):
        for form, step in steps.items():
            seconds[form].append(taken(step))
    result = {}
    for form, step in steps.items():
        result[form] = {"milliseconds_median": round(1e3 * median(seconds[form]), 2), "peak_megabytes": peak(step)}
        if form != PUBLISHED and PUBLISHED in steps:
            result[form] |= shares(seconds, result, form)
    return result


def taken(step: Step) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def peak(step: Step) -> int:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before) / 1e6)


def hgstereo(height: int, width: int) -> dict[str, Step]:
    network = ready_for_inference(load_model("hgstereo_s")).cuda()
    network.max_disp = LEVELS
    pair = torch.rand(2, 1, 3, height, width, device="cuda")

    def step(half: bool) -> None:
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=half):
            network(*pair)

    return {form: lambda half=half: step(half) for form, half in ((OURS, False), (OURS_HALF, True))}


def rendering() -> dict[str, float]:
    """Pairs a second: of the device alone, and with all that is done before they lie on disk."""
    source = SyntheticRooms(HEIGHT, WIDTH)
    described = [source.describe(index) for index in range(AT_ONCE)]
    source.render(described, "cuda")  # compiles
    alone = median(taken(lambda: source.render(described, "cuda")) for _ in range(REPEATS))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        prerender(KeptScenes(source, Path(folder)), SCENES, "cuda")
        whole = time.perf_counter() - began
    return {"pairs_a_second_device": round(AT_ONCE / alone, 1), "pairs_a_second_kept": round(SCENES / whole, 1)}


if __name__ == "__main__":
    main()
