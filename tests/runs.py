"""Training runs that are small enough for a test, and a look at what they leave behind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from stereohg.data.transforms import RandomCrop
from stereohg.files import write_pfm
from stereohg.training.config import (
    Augmentation,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ReportConfig,
    ScheduleConfig,
    StereoModelConfig,
    StereoTraining,
    ValidationConfig,
)
from stereohg.training.loop import train
from stereohg.training.run import Run
from stereohg.training.settings import plain
from stereohg.training.stereo import StereoTask
from tests import trees

SMALL_NETWORK = {
    "max_disp": 32,
    "num_groups": 4,
    "feature_channels": [12, 24, 24, 24, 24],
    "volume_channels": [4, 8, 8, 8],
}
TINY = StereoTraining(
    batch_size=2,
    steps=6,
    workers=0,
    optimiser=OptimiserConfig("adamw", 2e-3, 1e-4),
    schedule=ScheduleConfig("cosine", warmup=2),
    checkpoints=CheckpointConfig(every=2),
    report=ReportConfig(every=1),
    model=StereoModelConfig(arguments=SMALL_NETWORK),
    data=DataConfig(options={"length": 5, "height": 64, "width": 64, "max_disp": 31}),
    augmentation=Augmentation(crop=None),
    loss=LossConfig("distribution", [0.5, 1.0], below=32),
)
"""Two epochs of five rendered scenes in batches of 2, 2 and 1."""
VALIDATED = replace(
    TINY,
    validation_data=DataConfig(options={"length": 1, "height": 64, "width": 64, "max_disp": 31, "seed": 9}),
    validation=ValidationConfig(every_epochs=0, every_steps=2),
)


def run(config: StereoTraining, folder: Path) -> nn.Module | None:
    return train(StereoTask(config), config, folder)


def begin(config: StereoTraining, folder: Path) -> Run:
    """A run before its first step."""
    return Run(StereoTask(config), config, folder)


def recipe(config: StereoTraining, path: Path) -> str:
    """A file for ``stereohg train``."""
    path.write_text(yaml.safe_dump(plain(config)))
    return str(path)


def on_folder(root: Path, **changes) -> StereoTraining:
    """``TINY`` on pairs of the user's own, in crops that fit ``hgstereo_s``."""
    crop = Augmentation(crop=RandomCrop(32, 96))
    return replace(TINY, data=DataConfig("folder", root), augmentation=crop, **changes)


def pairs(root: Path, rows: list[int]) -> Path:
    """A folder of pairs, each with ground truth in so many of its rows only, from the bottom."""
    for number, known in enumerate(rows):
        trees.save_pair(root / "left" / f"{number}.png", root / "right" / f"{number}.png", seed=number)
        values = trees.disparity()
        values[: trees.HEIGHT - known] = np.inf
        (root / "disparity").mkdir(exist_ok=True)
        write_pfm(root / "disparity" / f"{number}.pfm", values)
    return root


# --- what a run leaves behind ---------------------------------------------------------------------------------------


def history(folder: Path) -> list[dict[str, float]]:
    """The lines of history.jsonl but for the speed, which no two runs share."""
    lines = (folder / "history.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=_no_constant) for line in lines]
    return [{name: value for name, value in row.items() if name != "samples_per_second"} for row in rows]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in history(folder) if "loss" in row]


def checkpoint(folder: Path) -> dict:
    """The newest."""
    return torch.load(max((folder / "checkpoints").glob("step_*.pt")), weights_only=True)


def files(folder: Path) -> list[str]:
    """All of them, hidden ones, too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_same(one: Any, other: Any, place: str = "") -> None:
    """Equal to the last bit, whatever is nested in them."""
    if isinstance(one, nn.Module):
        one, other = one.state_dict(), other.state_dict()
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for number, (own, others) in enumerate(zip(one, other, strict=True)):
            assert_same(own, others, f"{place}[{number}]")
    else:
        assert one == other, f"{place}: {one} and {other}"


def assert_same_runs(one: Path, other: Path) -> None:
    """Weights, optimiser, average, random states and history."""
    there, here = checkpoint(one), checkpoint(other)
    for name in there.keys() - {"settings"}:
        assert_same(there[name], here[name], name)
    assert history(one) == history(other)
    for path in one.glob("*.safetensors"):
        assert_same(load_file(path), load_file(other / path.name), path.name)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
