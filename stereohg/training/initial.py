"""The weights that a training begins with."""

from torch import nn

from stereohg.models.checkpoint import CheckpointError, check_state
from stereohg.models.registry import create_model
from stereohg.models.weights import load_model, read_card
from stereohg.training.config import ModelConfig
from stereohg.training.recipes import is_recipe

INHERITED = "of the weights that training began with: "


def start(config: ModelConfig) -> nn.Module:
    """The network with the weights that training begins with.

    Raises:
        ValueError: there are no weights where some are asked for, or they are another network's.
        FileNotFoundError: there is no such file.
    """
    if config.weights is None:
        raise ValueError(
            "this recipe goes on from weights: give --model.weights FILE (or random, to start from nothing)"
        )
    if is_recipe(config.weights):
        raise ValueError(f"{config.weights} is a recipe; stereohg train, and train_chain in Python, run it first")
    if config.weights == "random":
        return create_model(config.name, **config.arguments)
    loaded = load_model(config.weights)
    if loaded.architecture != config.name:
        raise ValueError(f"{config.weights} holds {loaded.architecture}, and the recipe trains {config.name}")
    network = create_model(config.name, **{**loaded.arguments, **config.arguments})
    check_state(config.weights, loaded.state_dict(), network.state_dict(), config.name)
    network.load_state_dict(loaded.state_dict())
    licence = loaded.card.get("licence", "not stated")
    network.card = {"licence": licence if licence.startswith(INHERITED) else f"{INHERITED}{licence}"}
    if "normalisation" in loaded.card:
        network.card["normalisation"] = loaded.card["normalisation"]
    return network


def training_before(weights: str | None) -> dict | None:
    """What the card of the weights that a run goes on from says of their training; None where there is no card."""
    if weights in (None, "random"):
        return None
    try:
        return read_card(weights).get("training")
    except (CheckpointError, OSError):  # another's file
        return None
