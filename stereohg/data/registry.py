"""The sets by name, as the command line and the recipes call them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset

from stereohg.data.eth3d import Eth3d
from stereohg.data.folder import StereoFolder
from stereohg.data.kitti import Kitti2012, Kitti2015
from stereohg.data.middlebury import Middlebury
from stereohg.data.motorcycle import Motorcycle
from stereohg.data.sceneflow import SceneFlow
from stereohg.data.stereo import StereoDataset
from stereohg.data.synthetic.pairs import synthetic_pairs

DataName = Literal[
    "sceneflow",
    "sceneflow_clean",
    "kitti2012",
    "kitti2015",
    "middlebury",
    "middlebury2014",
    "eth3d",
    "folder",
    "motorcycle",
    "synthetic",
]


@dataclass(frozen=True)
class DatasetEntry:
    """How a set is made.

    Attributes:
        make: called with the root, where there is one, ``split=``, where there are splits, and the set's other
            arguments.
        evaluated: the split to evaluate on where none is named; None where the set has no splits.
        learnt: the split to learn from where none is named, if it is another.
        has_root: whether it lies in a folder of the user's.
    """

    make: Callable[..., Dataset]
    evaluated: str | None = None
    learnt: str | None = None
    has_root: bool = True

    @property
    def to_learn(self) -> str | None:
        return self.learnt or self.evaluated


DATASETS: dict[str, DatasetEntry] = {
    "sceneflow": DatasetEntry(partial(SceneFlow, images="finalpass"), "test", "train"),
    "sceneflow_clean": DatasetEntry(partial(SceneFlow, images="cleanpass"), "test", "train"),
    "kitti2012": DatasetEntry(Kitti2012, "training"),
    "kitti2015": DatasetEntry(Kitti2015, "training"),
    "middlebury": DatasetEntry(Middlebury, "trainingQ"),
    "middlebury2014": DatasetEntry(partial(Middlebury, split="2014")),
    "eth3d": DatasetEntry(Eth3d, "training"),
    "folder": DatasetEntry(StereoFolder),
    "motorcycle": DatasetEntry(Motorcycle, has_root=False),
    "synthetic": DatasetEntry(synthetic_pairs, has_root=False),
}


def create_dataset(name: str, root: str | Path | None = None, split: str | None = None, /, **options) -> StereoDataset:
    """The set of this name in a folder (or, for "folder", of a table or list of pairs).

    Args:
        name: one of ``DATASETS``.
        root: its folder; None for the sets that have none, "motorcycle" and "synthetic".
        split: of the set; None is the one to evaluate on.
        options: the set's other arguments, such as ``transform`` or ``on_error``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: the name, the split or an option is unknown, there is no root, or files lack their counterpart.
    """
    return make_dataset(DATASETS, name, root, split, options)


def make_dataset(
    entries: Mapping[str, DatasetEntry],
    name: str,
    root: str | Path | None,
    split: str | None,
    options: Mapping[str, Any],
) -> Dataset:
    """``create_dataset`` out of any table of sets."""
    if name not in entries:
        raise ValueError(f"there is no set {name!r}; known are {', '.join(entries)}")
    entry = entries[name]
    if entry.has_root and root is None:
        raise ValueError(f"{name} lies in a folder, and no root was given; give one (in a recipe --data.root)")
    if not entry.has_root and root is not None:
        raise ValueError(
            f"{name} lies in no folder, and root is {root}; say which set that is (in a recipe data.name, such as"
            " folder), or leave it out"
        )
    if entry.evaluated is None and split is not None:
        raise ValueError(f"{name} has no splits, and split is {split!r}; leave it out")
    place = [root] if entry.has_root else []
    part = {} if entry.evaluated is None else {"split": split or entry.evaluated}
    try:
        return entry.make(*place, **part, **options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be made with {', '.join(options)}: {error}") from error
