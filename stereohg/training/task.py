"""What the training loop asks of a task: network, samples, losses, and how good the network has become."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor, nn

from stereohg.training.batches import SampleSource


class Task(Protocol):
    """Something to train.

    Attributes:
        samples: to learn from.
        measures: names of what ``losses`` returns.
        validates: whether there is anything to validate on.
        best: whether the lowest or the highest of its figures is the best.
    """

    samples: SampleSource
    measures: tuple[str, ...]
    validates: bool
    best: Literal["lowest", "highest"]

    def network(self) -> nn.Module:
        """A new network with the weights to begin with, from ``create_model``."""
        ...

    def collate(self, samples: list[Any]) -> Any:
        """Samples to a batch: a named tuple with ``name``, the samples' names, and ``skipped``, what was not read."""
        ...

    def uncounted(self, sample: Any) -> Any:
        """The sample without ground truth, which no loss sees."""
        ...

    def counts(self, batch: Any) -> Tensor:
        """How much of everything that the losses are means over is in the batch, int64 (n,)."""
        ...

    def losses(self, network: nn.Module, batch: Any, counts: Tensor) -> Tensor:
        """The measures (m,) of a batch in training mode, the first of them the loss, with its gradient.

        Each is a sum over the batch divided by ``counts`` of the whole step, so that its parts add up.
        """
        ...

    def validate(
        self, network: nn.Module, rank: int, processes: int, gather: Callable[[list], list]
    ) -> dict[str, float]:
        """The figures by name, of all processes together; each does its share."""
        ...

    def pictures(self, network: nn.Module, batch: Any) -> dict[str, np.ndarray]:
        """What the network, in evaluation mode, makes of a batch: named pictures (H,W,3) uint8."""
        ...

    def example(self, network: nn.Module) -> tuple[Tensor, ...]:
        """A small input, for the network's graph."""
        ...

    def save(self, network: nn.Module, path: Path, training: dict, metrics: dict) -> None:
        """The weights with a card, which says of their training what is given, and what the task knows."""
        ...
