"""Scenes rendered before training, many at once, on a GPU.

Processes describe the rooms (and render the piles of surfaces, which no GPU does), the device renders, threads put
them on disk.
"""

import logging
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from stereohg.data.synthetic.kept import KeptScenes
from stereohg.data.synthetic.mixed import SyntheticMix
from stereohg.data.synthetic.rooms import Description, SyntheticRooms
from stereohg.data.workers import prepare_worker

logger = logging.getLogger("stereohg")

AT_ONCE = 16  # scenes that the device renders together
WAITING = 64  # scenes that wait to be written, at most: each takes eleven bytes a pixel


def prerender(kept: KeptScenes, length: int, device: str, processes: int | None = None) -> None:
    """Puts the scenes 0 to ``length`` - 1 where ``kept`` looks for them; those that are there stay as they are.

    Args:
        kept: rooms, or a mix of rooms and others.
        length: how many.
        device: that renders.
        processes: that describe; None is as many as there are processors.
    """
    missing = [index for index in range(length) if not kept.path(index).exists()]
    if not missing:
        return
    logger.info(f"rendering {len(missing)} scenes into {kept.folder}")
    count = processes or os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")  # a forked process could not have CUDA's state
    with context.Pool(count, prepare_worker, (0,)) as pool, ThreadPoolExecutor(count) as writers:
        tasks = ((kept, index) for index in missing)
        rooms = (one for one in pool.imap_unordered(_describe, tasks, chunksize=4) if one is not None)
        written: list[Future] = []
        for some in _portions(rooms, AT_ONCE):
            described = [own for _, own in some]
            described += [described[-1]] * (AT_ONCE - len(some))  # another number would be compiled anew
            for (index, _), scene in zip(some, kept.scenes.render(described, device), strict=False):
                written.append(writers.submit(kept.keep, index, scene))
            while len(written) > WAITING:
                written.pop(0).result()
        for task in written:
            task.result()


def _describe(task: tuple[KeptScenes, int]) -> tuple[int, Description] | None:
    """Of a room; another scene is rendered and kept here."""
    kept, index = task
    scenes: SyntheticRooms = kept.scenes
    if isinstance(scenes, SyntheticMix) and scenes.is_layered(index):
        kept[index]
        return None
    return index, scenes.describe(index)


def _portions(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while some := list(islice(items, size)):
        yield some
