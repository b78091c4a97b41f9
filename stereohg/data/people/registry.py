"""The sets of people by name, as the command line and the recipes call them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.figures import StickFigures
from stereohg.data.people.folder import KeypointFolder
from stereohg.data.people.lsp import Lsp, LspExtended
from stereohg.data.people.mpii import Mpii
from stereohg.data.people.samples import KeypointDataset
from stereohg.data.people.skeletons import COCO, Skeleton
from stereohg.data.registry import DatasetEntry, make_dataset

KeypointData = Literal["mpii", "lsp", "lsp_extended", "coco", "folder", "figures"]


@dataclass(frozen=True)
class KeypointEntry(DatasetEntry):
    """How a set is made, and measured.

    Attributes:
        measure: what papers report on it, "pckh", "torso", "person" or "oks"; see ``pose/evaluation.py``.
    """

    measure: Literal["pckh", "torso", "person", "oks"] = "person"


KEYPOINT_DATASETS: dict[str, KeypointEntry] = {
    "mpii": KeypointEntry(Mpii, "validation", "train", measure="pckh"),
    "lsp": KeypointEntry(Lsp, "test", "train", measure="torso"),
    "lsp_extended": KeypointEntry(LspExtended, measure="torso"),
    "coco": KeypointEntry(CocoKeypoints, "val2017", "train2017", measure="oks"),
    "folder": KeypointEntry(KeypointFolder),
    "figures": KeypointEntry(StickFigures, has_root=False),
}


def measure_of(name: str, skeleton: Skeleton) -> Literal["pckh", "torso", "person", "oks"]:
    """The set's measure; "person" for a set of one's own in COCO's form, as OKS has constants of COCO's 17 alone."""
    measure = KEYPOINT_DATASETS[name].measure
    return "person" if measure == "oks" and skeleton is not COCO else measure


def create_keypoint_dataset(
    name: str, root: str | Path | None = None, split: str | None = None, /, **options: Any
) -> KeypointDataset:
    """The set of this name in a folder (or, for "folder", of a table).

    Args:
        name: one of ``KEYPOINT_DATASETS``.
        root: its folder; None for "figures", which has none.
        split: of the set; None is the one to evaluate on.
        options: the set's other arguments, such as ``augmentation`` or ``on_error``.

    Raises:
        FileNotFoundError: there is nothing of it.
        ValueError: the name, the split or an option is unknown, there is no root, or an annotation is broken.
    """
    return make_dataset(KEYPOINT_DATASETS, name, root, split, options)
