"""``stereohg train``: makes the bundled weights again."""

from pathlib import Path

from stereohg.data.synthetic import photograph_hashes
from stereohg.models.weights import save_model
from stereohg.training.loop import TrainConfig
from stereohg.training.loop import train as run

DEFAULTS = TrainConfig()


def train(output: Path, settings: TrainConfig = DEFAULTS) -> None:
    """Trains a network on synthetic scenes, resuming from the folder's checkpoint, and writes its weights with a card.

    Args:
        output: the folder of the run.
        settings: of the run.
    """
    model = run(settings, output)
    card = {"training": {"data": "synthetic scenes", "photographs": photograph_hashes()}}
    save_model(model, output / f"{settings.model}.safetensors", card)
