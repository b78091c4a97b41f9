"""Scenes rendered before training, many at once, on a GPU.

Processes describe the rooms (and render the piles of surfaces, which no GPU does), the device renders, threads put
them on disk.
"""

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from stereohg.data.synthetic.kept import KeptScenes
from stereohg.data.synthetic.mixed import SyntheticMix
from stereohg.data.synthetic.rooms import Description, SyntheticRooms
from stereohg.data.workers import prepare_worker

logger = logging.getLogger("stereohg")

AT_ONCE = 16  # scenes that the device renders together
DESCRIBED = 8  # scenes that are described for each process before the device wants them
WAITING = 64  # scenes that wait to be written, at most: each takes eleven bytes a pixel


def prerender(kept: KeptScenes, length: int, device: str, processes: int | None = None) -> None:
    """Puts the scenes 0 to ``length`` - 1 where ``kept`` looks for them; those that are there stay as they are.

    Args:
        kept: rooms, or a mix of rooms and others.
        length: how many.
        device: that renders.
        processes: that describe; None is as many as there are processors.

    Raises:
        RuntimeError: a process has ended, or does not start.
        OSError: the folder cannot take the scenes.
    """
    missing = [index for index in range(length) if not kept.path(index).exists()]
    if not missing:
        return
    logger.info(f"rendering {len(missing)} scenes into {kept.folder}")
    count = processes or os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")  # a forked process could not have CUDA's state
    pool = ProcessPoolExecutor(count, context, prepare_worker, (0,))
    with pool, ThreadPoolExecutor(count) as writers:
        written: list[Future] = []
        for some in _portions(_rooms(pool, kept, missing, DESCRIBED * count), AT_ONCE):
            described = [own for _, own in some]
            described += [described[-1]] * (AT_ONCE - len(some))  # another number would be compiled anew
            for (index, _), scene in zip(some, kept.scenes.render(described, device), strict=False):
                written.append(writers.submit(kept.keep, index, scene))
            while len(written) > WAITING:
                written.pop(0).result()
        for task in written:
            task.result()


def _rooms(pool: Executor, kept: KeptScenes, indices: list[int], ahead: int) -> Iterator[tuple[int, Description]]:
    """The rooms among the scenes in their order, ``ahead`` of which are being described."""
    waiting: deque[Future] = deque()
    indices = iter(indices)
    try:
        while True:
            waiting.extend(pool.submit(_describe, kept, index) for index in islice(indices, ahead - len(waiting)))
            if not waiting:
                return
            described = waiting.popleft().result()
            if described is not None:
                yield described
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process that describes scenes has ended: memory ran out, or a script renders on a device that is no"
            " file, or does not do so below if __name__ == '__main__'"
        ) from error


def _describe(kept: KeptScenes, index: int) -> tuple[int, Description] | None:
    """Of a room; another scene is rendered and kept here."""
    scenes: SyntheticRooms = kept.scenes
    if isinstance(scenes, SyntheticMix) and scenes.is_layered(index):
        kept[index]
        return None
    return index, scenes.describe(index)


def _portions(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while some := list(islice(items, size)):
        yield some
