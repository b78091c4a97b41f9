"""The published networks beside the papers' own formulation (``tests/published_forward.py``): time and memory.

Times are taken by turns, so that both see the same machine, and compared turn by turn; each form has a process of its
own, ours with large pages as the program ``stereohg`` has them. Peak memory, above the idle process, is of the first
call in a new one. The training step is that of the recipe, and of the published form Adam's on the published loss.
bfloat16 is measured where the processor multiplies in it; elsewhere it is slower than float32, and says nothing.
How far the answers differ ``benchmarks.answers`` measures.

    python -m benchmarks.networks
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.environment import alone, environment, new_process
from stereohg import create_model
from stereohg.data.stereo import StereoBatch
from stereohg.devices import ask_for_large_pages
from stereohg.measure import measured
from stereohg.models.inference import ready_for_inference, with_channels_last
from stereohg.models.published_keys import published_keys
from stereohg.models.stereo import StereoNetwork
from stereohg.nn.onednn import multiplies_in
from stereohg.training.config import DataConfig
from stereohg.training.optimisation import make_optimiser
from stereohg.training.recipes import load_recipe
from stereohg.training.stereo import StereoTask
from tests import published_forward

LEVELS = 192
REPEATS, WARM_UPS = 5, 1
INFERENCE = [
    ("psmnet", (256, 512)),
    ("gwcnet_g", (256, 512)),
    ("gwcnet_gc", (256, 512)),
    ("psmnet", (384, 1248)),
]
TRAINING = [("psmnet", (256, 512)), ("gwcnet_gc", (256, 512))]
PUBLISHED, OURS, OURS_HALF = "published, float32", "ours, float32", "ours, bfloat16"
FORMS = (PUBLISHED, OURS, *([OURS_HALF] if multiplies_in(torch.bfloat16) else []))
RESULT = Path(__file__).parent / "results" / "networks.json"

Step = Callable[[], object]


def main() -> None:
    results = {}
    for what, result in every_result():
        print(what, json.dumps(result), flush=True)
        results[what] = result
        RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")


def every_result() -> Iterator[tuple[str, object]]:
    for work, cases in ((inference, INFERENCE), (training, TRAINING)):
        for name, (height, width) in cases:
            what = f"{work.__name__} of {name}, {height}x{width}, {LEVELS} levels, batch 1"
            yield what, compare(work, name, (height, width))


def compare(work: Callable[..., Step], name: str, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Seconds of the three forms by turns, memory of each, and both as shares of the published form's."""
    seconds = timed(work, name, size)
    result = {}
    for form in FORMS:
        result[form] = {
            "seconds_median": round(median(seconds[form]), 3),
            "seconds_least": round(min(seconds[form]), 3),
            "seconds_most": round(max(seconds[form]), 3),
            "peak_megabytes": round(alone(peak, work, name, size, form) / 1e6),
        }
    for form in FORMS[1:]:
        result[form] |= shares(seconds, result, form)
    return result


def shares(seconds: dict[str, list[float]], result: dict[str, dict[str, float]], form: str) -> dict[str, float]:
    """A form beside the published one: time turn by turn, and memory."""
    ratios = [theirs / own for theirs, own in zip(seconds[PUBLISHED], seconds[form], strict=True)]
    return {
        "times_as_quick": round(median(ratios), 2),
        "times_as_quick_least": round(min(ratios), 2),
        "times_as_quick_most": round(max(ratios), 2),
        "share_of_memory": round(result[form]["peak_megabytes"] / result[PUBLISHED]["peak_megabytes"], 2),
    }


def timed(work: Callable[..., Step], name: str, size: tuple[int, int]) -> dict[str, list[float]]:
    seconds = {form: [] for form in FORMS}
    with ExitStack() as stack:
        processes = {form: stack.enter_context(new_process()) for form in FORMS}
        for form, process in processes.items():
            process.submit(prepare, work, name, size, form).result()
        for repeat in range(WARM_UPS + REPEATS):
            for form, process in processes.items():
                spent = process.submit(take).result()
                if repeat >= WARM_UPS:
                    seconds[form].append(spent)
    return seconds


prepared: list[Step] = []
"""What this process is to repeat."""


def prepare(work: Callable[..., Step], name: str, size: tuple[int, int], form: str) -> None:
    if form != PUBLISHED:
        ask_for_large_pages()
    prepared.append(work(name, size, form))


def take() -> float:
    began = time.perf_counter()
    prepared[-1]()
    return time.perf_counter() - began


def peak(work: Callable[..., Step], name: str, size: tuple[int, int], form: str) -> int:
    prepare(work, name, size, form)
    with measured() as cost:
        take()
    return cost.peak_bytes or 0


def network_and_weights(name: str) -> tuple[StereoNetwork, dict[str, Tensor]]:
    """The network and, by the published keys, the same weights."""
    torch.manual_seed(0)
    network = create_model(name, max_disp=LEVELS)
    return network, published_weights(network)


def published_weights(network: StereoNetwork) -> dict[str, Tensor]:
    names = published_keys(network.architecture, network.state_dict())
    return {names[key]: value.clone() for key, value in network.state_dict().items()}


def inference(name: str, size: tuple[int, int], form: str, batch: int = 1) -> Step:
    network, weights = network_and_weights(name)
    left, right = torch.randn(2, batch, 3, *size)
    if form == PUBLISHED:
        return partial(published_answer, name, weights, left, right)
    network = ready_for_inference(network)
    return partial(own_answer, network, left, right, form == OURS_HALF)


def published_answer(name: str, weights: dict[str, Tensor], left: Tensor, right: Tensor, corners: bool = False):
    with published_forward.evaluation(corners):
        return published_forward.NETWORKS[name](weights, left, right, LEVELS)[-1]


def own_answer(network: nn.Module, left: Tensor, right: Tensor, half: bool) -> Tensor:
    with torch.inference_mode(), torch.autocast(left.device.type, torch.bfloat16, enabled=half):
        return network(left, right)[-1]


def training(name: str, size: tuple[int, int], form: str, batch: int = 1) -> Step:
    """Forward, loss, backward and update."""
    network, weights = network_and_weights(name)
    left, right = torch.randn(2, batch, 3, *size)
    disparity = 1 + 180 * torch.rand(batch, *size)
    if form == PUBLISHED:
        return partial(next, published_forward.train(name, weights, forever((left, right, disparity)), LEVELS))
    config = load_recipe(f"{name}_sceneflow")
    task = StereoTask(replace(config, data=DataConfig("synthetic"), validation_data=None))
    own = task.network().train()
    own.load_state_dict(network.state_dict())
    if config.channels_last:
        with_channels_last(own)
    pairs = StereoBatch(left, right, disparity, torch.ones_like(disparity, dtype=torch.bool), [])
    return partial(own_step, task, own, make_optimiser(own, config.optimiser), pairs, form == OURS_HALF)


def own_step(task: StereoTask, network: nn.Module, optimiser, batch: StereoBatch, half: bool) -> None:
    with torch.autocast(batch.left.device.type, torch.bfloat16, enabled=half):
        loss = task.losses(network, batch, task.counts(batch))[0]
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()


def forever(batch):
    while True:
        yield batch


if __name__ == "__main__":
    main()
