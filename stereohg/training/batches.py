"""Which samples make up which step, on which process: decided by seed, step and rank alone.

So a run that goes on in the middle of an epoch sees what it would have seen, and two processes see together what one
would have seen alone.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from stereohg.data.workers import prepare_worker


class SampleSource(Protocol):
    """A set whose samples depend on index and epoch alone; ``problems`` are what was left out of it, in words."""

    problems: list[str]

    def __len__(self) -> int: ...

    def sample(self, index: int, epoch: int) -> Any: ...


class Key(NamedTuple):
    """One sample of a batch. ``counts`` is False for one that only keeps a process busy that would have none."""

    index: int
    epoch: int
    counts: bool


class Batches:
    """The batches of a run, part by part.

    Args:
        samples: how many the set has.
        batch_size: of a step, over all processes and parts.
        parts: that each process takes its share of a batch in.
        rank: of this process.
        processes: there are.
        drop_last: leave out the last batch of an epoch when it is not full.
        shuffle: another order in each epoch.
        seed: of the order.

    Raises:
        ValueError: the set is empty, or the batch cannot be shared evenly.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        parts: int = 1,
        rank: int = 0,
        processes: int = 1,
        drop_last: bool = False,
        shuffle: bool = True,
        seed: int = 0,
    ):
        shares = parts * processes
        if batch_size < 1 or batch_size % shares:
            raise ValueError(
                f"batch_size is {batch_size}, to be shared by {processes} processes in {parts} parts; it must be a "
                f"multiple of {shares}"
            )
        self.samples, self.batch_size, self.parts = samples, batch_size, parts
        self.rank, self.processes, self.shuffle, self.seed = rank, processes, shuffle, seed
        self.per_epoch = samples // batch_size if drop_last else -(-samples // batch_size)
        if not self.per_epoch:
            raise ValueError(
                f"the set has {samples} samples, which do not fill a batch of {batch_size}; make batch_size smaller, or"
                " drop_last false"
            )
        self.samples_per_step = batch_size if drop_last else samples / self.per_epoch  # on average

    def order(self, epoch: int) -> np.ndarray:
        """The indices of an epoch as they come."""
        indices = np.arange(self.samples)
        return np.random.default_rng((self.seed, epoch)).permutation(indices) if self.shuffle else indices

    def keys(self, start: int, stop: int) -> Iterator[list[Key]]:
        """This process's parts of the steps from ``start`` to ``stop``, ``parts`` of them for each step.

        A batch that is not full is shared as evenly as it goes; who gets nothing is given a sample that does not count.
        """
        order, known = np.empty(0), -1
        for step in range(start, stop):
            epoch, place = divmod(step, self.per_epoch)
            if epoch != known:
                order, known = self.order(epoch), epoch
            batch = order[place * self.batch_size : (place + 1) * self.batch_size]
            shares = np.array_split(batch, self.parts * self.processes)
            for share in shares[self.rank * self.parts : (self.rank + 1) * self.parts]:
                yield [Key(int(i), epoch, True) for i in share] or [Key(int(batch[0]), epoch, False)]


@dataclass(frozen=True)
class Failure:
    """An error of a worker, in words, which go from one process to another whatever the error holds."""

    kind: str
    message: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        kind = "OSError" if isinstance(error, OSError) else "ValueError"
        return cls(kind, str(error), traceback.format_exc())

    def error(self) -> Exception:
        return OSError(self.message) if self.kind == "OSError" else ValueError(self.message)


class _Keyed(Dataset):
    """A set that is asked by key; in a worker an error about a sample stands in its place."""

    def __init__(self, source: SampleSource, uncounted: Callable[[Any], Any]):
        self.source, self.uncounted = source, uncounted

    def __getitem__(self, key: Key) -> Any:
        try:
            sample = self.source.sample(key.index, key.epoch)
        except (ValueError, OSError) as error:
            if get_worker_info() is None:
                raise
            return Failure.of(error)
        return sample if key.counts else self.uncounted(sample)


@dataclass(frozen=True)
class _Collated:
    """A batch, or the first failure in it."""

    collate: Callable

    def __call__(self, samples: list) -> Any:
        failure = next((sample for sample in samples if isinstance(sample, Failure)), None)
        return self.collate(samples) if failure is None else failure


def load(
    source: SampleSource,
    keys: Sequence[list[Key]] | Iterator[list[Key]],
    collate: Callable,
    uncounted: Callable[[Any], Any],
    workers: int,
    pinned: bool,
) -> DataLoader:
    """The batches of these keys, read ahead by workers, or a ``Failure`` of theirs; draws no random number.

    Args:
        source: of the samples.
        keys: of each batch.
        collate: samples to a batch.
        uncounted: a sample to the same one without ground truth.
        workers: processes that read; 0 is this one.
        pinned: in memory that a CUDA device copies from by itself.
    """
    return DataLoader(
        _Keyed(source, uncounted),
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=_Collated(collate),
        pin_memory=pinned,
        worker_init_fn=prepare_worker,
        generator=torch.Generator().manual_seed(0),  # or the loader would draw from the global one
    )
