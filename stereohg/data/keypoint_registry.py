"""The sets of keypoints by name, as the command line and the recipes call them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stereohg.data.coco import CocoKeypoints
from stereohg.data.keypoint_folder import KeypointFolder
from stereohg.data.keypoints import KeypointDataset
from stereohg.data.lsp import Lsp
from stereohg.data.mpii import Mpii

KeypointData = Literal["mpii", "lsp", "coco", "folder"]


@dataclass(frozen=True)
class KeypointEntry:
    """How a set is made, and measured.

    Attributes:
        make: called with the root, ``split=`` where there are splits, and the set's other arguments.
        measure: what papers report on it; see ``keypoint_evaluation.py``.
        evaluated: the split to evaluate on where none is named; None where the set has no splits.
    """

    make: Callable[..., KeypointDataset]
    measure: Literal["pckh", "torso", "person", "oks"]
    evaluated: str | None = None


KEYPOINT_DATASETS: dict[str, KeypointEntry] = {
    "mpii": KeypointEntry(Mpii, "pckh", "validation"),
    "lsp": KeypointEntry(Lsp, "torso", "test"),
    "coco": KeypointEntry(CocoKeypoints, "oks", "val2017"),
    "folder": KeypointEntry(KeypointFolder, "person"),
}


def create_keypoint_dataset(name: str, root: str | Path, split: str | None = None, **options: Any) -> KeypointDataset:
    """The set of this name in a folder (or, for "folder", of a table).

    Args:
        name: one of ``KEYPOINT_DATASETS``.
        root: its folder.
        split: of the set; None is the one to evaluate on.
        options: the set's other arguments, such as ``augmentation`` or ``on_error``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: the name or split is unknown, or an annotation is broken.
    """
    if name not in KEYPOINT_DATASETS:
        raise ValueError(f"there is no set {name!r} of keypoints; known are {', '.join(KEYPOINT_DATASETS)}")
    entry = KEYPOINT_DATASETS[name]
    if entry.evaluated is None:
        if split is not None:
            raise ValueError(f"{name} has no splits, and split is {split!r}; leave it out")
        return entry.make(root, **options)
    return entry.make(root, split=split or entry.evaluated, **options)
