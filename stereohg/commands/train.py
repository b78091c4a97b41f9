"""``stereohg train``: a network by a recipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from stereohg.recipes import is_recipe, load_recipe
from stereohg.training.config import KeypointTraining, StereoTraining
from stereohg.training.loop import train as run
from stereohg.training.tasks import make_task

OF_THE_MACHINE = ("device", "precision", "workers", "time_limit")
"""Settings that a recipe which runs first takes over from the one that goes on from it."""


def train(output: Path, **settings) -> None:
    """Trains a network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    RECIPE is one of the package's (without one, they are listed) or a YAML file of your own; --print_config shows all
    of it. Every setting can be given as an option as well, such as --data.root /data/kitti2015. A folder that holds a
    checkpoint is gone on with. Where model.weights is a recipe, that is run first, in a folder within. On several
    devices or machines: torchrun --nproc-per-node N -m stereohg train ...

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    with _one_group_of_processes():
        _train(StereoTraining(**settings), output)


def _train(config: StereoTraining, output: Path) -> Path | None:
    """Returns the weights; None when the time limit was over before the end."""
    before, began = config.model.weights, time.monotonic()
    if before is not None and is_recipe(before):
        first = _first_of(before, config)
        weights = _train(first, output / Path(before).stem)
        if weights is None:
            return None
        config = replace(config, model=replace(config.model, weights=str(weights)))
        if config.time_limit is not None:
            config = replace(config, time_limit=max(0.0, round(config.time_limit - (time.monotonic() - began) / 60, 2)))
    return None if run(make_task(config), config, output) is None else output / f"{config.model.name}.safetensors"


def _first_of(recipe: str, config: StereoTraining) -> StereoTraining:
    """The recipe whose weights another one goes on from, checked before it is run, which takes long."""
    first = load_recipe(recipe)
    if not isinstance(first, StereoTraining) or first.model.name != config.model.name:
        raise ValueError(
            f"model.weights is the recipe {recipe}, which trains {first.model.name}, not {config.model.name}"
        )
    if first.model.weights == recipe:
        raise ValueError(f"the recipe {recipe} goes on from itself; give it model.weights of a file, or random")
    return replace(first, **{name: getattr(config, name) for name in OF_THE_MACHINE})


def train_keypoints(output: Path, **settings) -> None:
    """Trains a keypoint network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    config = KeypointTraining(**settings)
    with _one_group_of_processes():
        run(make_task(config), config, output)


@contextmanager
def _one_group_of_processes() -> Iterator[None]:
    """Of all runs of a command; the first one joins it, where torchrun has started several."""
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
