"""What every set shares: samples that depend on index, seed and epoch alone, and what an unreadable one does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

OnError = Literal["raise", "skip"]
SKIPS_IN_A_ROW = 32  # unreadable samples side by side are no accident
NAMED = 3  # files that an error lists


class SampleDataset(Dataset):
    """A set of samples. A subclass has ``__len__``, ``read`` and ``sample``, and calls what its samples are ``noun``.

    ``dataset[i]`` is a sample of the epoch that was set, ``dataset.sample(i, epoch)`` one of any. What is random in it
    depends on the seed, the epoch and ``i`` alone, not on the number of workers or the order of reading.

    Args:
        seed: of what is random.
        on_error: "raise" an error that names the file, or "skip": the next readable sample takes the place of one that
            is not, and says so in ``skipped``.
    """

    noun = "samples"

    def __init__(self, seed: int, on_error: OnError):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {on_error!r}; it is 'raise' or 'skip'")
        self.seed, self.on_error = seed, on_error
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Another epoch, other random changes; to be called before each pass, or all are alike."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> Any:
        return self.sample(index, self.epoch)

    def sample(self, index: int, epoch: int) -> Any:
        """The sample as training sees it in this epoch."""
        raise NotImplementedError

    def read(self, index: int) -> Any:
        """The sample as it is on disk."""
        raise NotImplementedError

    def check_index(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} {self.noun}; there is no number {index}")

    def random(self, index: int, epoch: int) -> np.random.Generator:
        """The sample's own in this epoch."""
        return np.random.default_rng((self.seed, epoch, index))

    def read_or_next(self, index: int) -> Any:
        """``read``, or of the next that can be read, if the set skips."""
        if self.on_error == "raise":
            return self.read(index)
        skipped = []
        for candidate in range(index, index + min(SKIPS_IN_A_ROW, len(self))):
            try:
                return replace(self.read(candidate % len(self)), skipped=tuple(skipped))
            except (OSError, ValueError) as error:
                skipped.append(str(error))
        raise ValueError(f"{len(skipped)} {self.noun} in a row cannot be read: {some_of(skipped)}")


def some_of(messages: Sequence[str]) -> str:
    """The first few, for an error."""
    more = len(messages) - NAMED
    return "; ".join(messages[:NAMED]) + (f"; and {more} more" if more > 0 else "")
