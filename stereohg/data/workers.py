"""What worker processes of a data loader are told, and how they end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch
from torch.utils.data import DataLoader

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A terminal and a cluster send them to the workers as well, whose samples the last step and checkpoint still want."""


def prepare_worker(worker: int) -> None:
    """Leaves the cores to the network, and it to the main process to stop when all are told to."""
    for number in STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


@contextmanager
def reading(loader: DataLoader) -> Iterator[Iterator]:
    """The loader's iterator; deaf to signals, its workers would else hold up the end of a process that fails."""
    iterator = iter(loader)
    try:
        yield iterator
    finally:
        end_workers(iterator)


def end_workers(iterator: Iterator) -> None:
    if hasattr(iterator, "_shutdown_workers"):  # one process has none
        iterator._shutdown_workers()
