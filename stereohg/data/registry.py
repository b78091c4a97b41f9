"""The sets by name, as the command line and the recipes call them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from stereohg.data.eth3d import Eth3d
from stereohg.data.folder import StereoFolder
from stereohg.data.kitti import Kitti2012, Kitti2015
from stereohg.data.middlebury import Middlebury
from stereohg.data.sceneflow import SceneFlow
from stereohg.data.stereo import StereoDataset

DataName = Literal[
    "sceneflow", "sceneflow_clean", "kitti2012", "kitti2015", "middlebury", "middlebury2014", "eth3d", "folder"
]


@dataclass(frozen=True)
class DatasetEntry:
    """How a set is made.

    Attributes:
        make: called with the root, ``split=`` where there are splits, and the set's other arguments.
        evaluated: the split to evaluate on where none is named; None where the set has no splits.
    """

    make: Callable[..., StereoDataset]
    evaluated: str | None = None


DATASETS: dict[str, DatasetEntry] = {
    "sceneflow": DatasetEntry(partial(SceneFlow, images="finalpass"), "test"),
    "sceneflow_clean": DatasetEntry(partial(SceneFlow, images="cleanpass"), "test"),
    "kitti2012": DatasetEntry(Kitti2012, "training"),
    "kitti2015": DatasetEntry(Kitti2015, "training"),
    "middlebury": DatasetEntry(Middlebury, "trainingQ"),
    "middlebury2014": DatasetEntry(partial(Middlebury, split="2014")),
    "eth3d": DatasetEntry(Eth3d, "training"),
    "folder": DatasetEntry(StereoFolder),
}


def create_dataset(name: str, root: str | Path, split: str | None = None, **options) -> StereoDataset:
    """The set of this name in a folder (or, for "folder", of a table or list of pairs).

    Args:
        name: one of ``DATASETS``.
        root: its folder.
        split: of the set; None is the one to evaluate on.
        options: the set's other arguments, such as ``transform`` or ``on_error``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: the name or split is unknown, or files lack their counterpart.
    """
    if name not in DATASETS:
        raise ValueError(f"there is no set {name!r}; known are {', '.join(DATASETS)}")
    entry = DATASETS[name]
    if entry.evaluated is None:
        if split is not None:
            raise ValueError(f"{name} has no splits, and split is {split!r}; leave it out")
        return entry.make(root, **options)
    return entry.make(root, split=split or entry.evaluated, **options)
