"""``stereohg train``: a network on synthetic scenes; how the bundled weights were made."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from stereohg.data.motorcycle import motorcycle
from stereohg.data.synthetic import photograph_hashes
from stereohg.metrics import disparity_metrics
from stereohg.models.weights import save_model
from stereohg.prediction import Predictor
from stereohg.training.loop import TrainConfig
from stereohg.training.loop import train as run

DEFAULTS = TrainConfig()
SEARCHED = 192  # levels of the saved network, whatever the crops were trained with


def train(output: Path, settings: TrainConfig = DEFAULTS) -> None:
    """Trains a network on synthetic scenes, and writes its weights with a card that says how.

    A folder that holds a checkpoint is gone on with. The photographs are scikit-image's, public domain or CC0.

    Args:
        output: folder of the run: checkpoint.pt, and in the end MODEL.safetensors.
        settings: of the run.
    """
    model = run(settings, output)
    model.max_disp = SEARCHED
    save_model(model, output / f"{settings.model}.safetensors", training_card(model, settings), half=True)


def training_card(model: nn.Module, settings: TrainConfig) -> dict:
    """Where the weights come from, and how they do on a real pair that the training never saw."""
    left, right, truth, known = motorcycle()
    metrics = disparity_metrics(Predictor(model)(left, right).values, truth, known)
    return {
        "training": {
            "data": "synthetic scenes (stereohg.data.synthetic)",
            "photographs": photograph_hashes(),
            "settings": asdict(settings),
            "torch": torch.__version__,
        },
        "metrics": {"Motorcycle of scikit-image, all pixels": {k: round(v, 3) for k, v in metrics.items()}},
        "licence": "MIT; commercial use is free",
    }
