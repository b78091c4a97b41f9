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
from stereohg.training.tasks import check, make_task

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
    chain = _chain(StereoTraining(**settings), output)
    for config, _ in chain if len(chain) > 1 else ():
        check(config)  # of the last one, too, before the first is run, which takes long
    began = time.monotonic()
    with _one_group_of_processes():
        for config, folder in chain:
            if config.time_limit is not None:
                left = config.time_limit - (time.monotonic() - began) / 60
                config = replace(config, time_limit=max(0.0, round(left, 2)))
            if run(make_task(config), config, folder) is None:
                return


def _chain(config: StereoTraining, output: Path) -> list[tuple[StereoTraining, Path]]:
    """The recipes that a training goes on from, and their folders, each in the next one's; it is the last itself."""
    chain, seen = [(config, output)], []
    while is_recipe(recipe := config.model.weights or ""):
        seen.append(recipe)
        first, folder = load_recipe(recipe), chain[0][1] / Path(recipe).stem
        if not isinstance(first, StereoTraining) or first.model.name != config.model.name:
            raise ValueError(
                f"model.weights is the recipe {recipe}, which trains {first.model.name}, not {config.model.name}"
            )
        if first.model.weights in seen:
            raise ValueError(f"the recipe {recipe} goes on from itself; give it model.weights of a file, or random")
        weights = str(folder / f"{config.model.name}.safetensors")
        chain[0] = replace(config, model=replace(config.model, weights=weights)), chain[0][1]
        config = replace(first, **{name: getattr(config, name) for name in OF_THE_MACHINE})
        chain.insert(0, (config, folder))
    return chain


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
