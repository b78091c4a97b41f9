"""What training costs: a step of hgstereo_s as its recipe has it, and of the published networks at 256x512; and the
samples a second of the whole loop, with rendering, checkpoints and reports, for hgstereo_s.

    python -m benchmarks.training
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from benchmarks.environment import alone, environment, repeated
from stereohg.data.stereo import StereoBatch
from stereohg.models.inference import with_channels_last
from stereohg.training.config import DataConfig, ReportConfig
from stereohg.training.loop import train
from stereohg.training.optimisation import make_optimiser
from stereohg.training.recipes import load_recipe
from stereohg.training.report import HISTORY
from stereohg.training.stereo import StereoTask

REPEATS = 5
LOOP_STEPS = 40
RESULT = Path(__file__).parent / "results" / "training.json"


def main() -> None:
    results = {
        "step of hgstereo_s, 192x448, 128 levels, batch 4": alone(step, "hgstereo_synthetic", 4, (192, 448)),
        "step of psmnet, 256x512, 192 levels, batch 1": alone(step, "psmnet_sceneflow", 1, (256, 512)),
        "step of gwcnet_gc, 256x512, 192 levels, batch 1": alone(step, "gwcnet_gc_sceneflow", 1, (256, 512)),
        "loop of hgstereo_s by its recipe": alone(loop, "hgstereo_synthetic"),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def step(recipe: str, batch_size: int, size: tuple[int, int]) -> dict[str, float]:
    """Forward, losses, backward and update, of one batch that is there already."""
    config = load_recipe(recipe)
    task = StereoTask(replace(config, data=DataConfig("synthetic"), validation_data=None))
    torch.manual_seed(0)
    network = task.network().train()
    if config.channels_last:
        with_channels_last(network)
    optimiser = make_optimiser(network, config.optimiser)
    left, right = torch.randn(2, batch_size, 3, *size)
    disparity = 100 * torch.rand(batch_size, *size)
    batch = StereoBatch(left, right, disparity, torch.ones_like(disparity, dtype=torch.bool), [])

    def once() -> None:
        task.losses(network, batch, task.counts(batch))[0].backward()
        optimiser.step()
        optimiser.zero_grad()

    result = repeated(once, REPEATS)
    return {**result, "samples_per_second": round(batch_size / result["seconds_median"], 3)}


def loop(recipe: str) -> dict[str, float]:
    """Samples a second of all steps but the first, as history.jsonl has them."""
    config = load_recipe(recipe)
    config = replace(config, steps=LOOP_STEPS, validation_data=None, workers=1, report=ReportConfig(every=1))
    with tempfile.TemporaryDirectory() as folder:
        train(StereoTask(config), config, folder)
        lines = (Path(folder) / HISTORY).read_text().splitlines()[1:]
    speeds = [json.loads(line)["samples_per_second"] for line in lines]
    return {"samples_per_second_median": median(speeds), "least": min(speeds), "most": max(speeds), "workers": 1}


if __name__ == "__main__":
    main()
