"""Recipes that go on from recipes: each is run in its turn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from stereohg.training.config import KeypointTraining, StereoTraining
from stereohg.training.loop import train
from stereohg.training.recipes import is_recipe, load_recipe
from stereohg.training.tasks import check, make_task

OF_THE_MACHINE = ("device", "precision", "workers", "time_limit")
"""Settings that a recipe which runs first takes over from the one that goes on from it."""


def train_chain(config: StereoTraining | KeypointTraining, folder: str | Path) -> nn.Module | None:
    """``train``, and before it what ``config.model.weights`` names, where that is a recipe, in a folder within.

    What is wrong with the settings of any of them is told before the first is run, which may take long.

    Returns:
        As ``train`` does.

    Raises:
        ValueError: also where a recipe trains another network, or goes on from itself.
    """
    chain = _chain(config, Path(folder))
    for own, _ in chain if len(chain) > 1 else ():
        check(own)
    began = time.monotonic()
    network = None
    with _one_group_of_processes():
        for own, within in chain:
            if own.time_limit is not None:
                left = own.time_limit - (time.monotonic() - began) / 60
                own = replace(own, time_limit=max(0.0, round(left, 2)))
            network = train(make_task(own), own, within)
            if network is None:
                break
    return network


def _chain(
    config: StereoTraining | KeypointTraining, folder: Path
) -> list[tuple[StereoTraining | KeypointTraining, Path]]:
    """The recipes that a training goes on from, and their folders, each in the next one's; it is the last itself."""
    chain, seen = [(config, folder)], []
    while is_recipe(recipe := config.model.weights or ""):
        seen.append(recipe)
        first, within = load_recipe(recipe), chain[0][1] / Path(recipe).stem
        if type(first) is not type(config) or first.model.name != config.model.name:
            raise ValueError(
                f"model.weights is the recipe {recipe}, which trains {first.model.name}, not {config.model.name}"
            )
        if first.model.weights in seen:
            raise ValueError(f"the recipe {recipe} goes on from itself; give it model.weights of a file, or random")
        weights = str(within / f"{config.model.name}.safetensors")
        chain[0] = replace(config, model=replace(config.model, weights=weights)), chain[0][1]
        config = replace(first, **{name: getattr(config, name) for name in OF_THE_MACHINE})
        chain.insert(0, (config, within))
    return chain


@contextmanager
def _one_group_of_processes() -> Iterator[None]:
    """Of all runs of a chain; the first one joins it, where torchrun has started several."""
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
