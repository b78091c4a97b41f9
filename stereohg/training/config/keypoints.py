"""What decides a training of a keypoint network, beside what any training has."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.registry import KeypointData
from stereohg.data.people.transforms import Augmentation as PoseAugmentation
from stereohg.data.samples import OnError
from stereohg.training.config.loop import LoopConfig, ModelConfig


@dataclass(frozen=True)
class PeopleConfig:
    """A set of people.

    Args:
        name: of the set.
        root: its folder; for "folder" also a table.
        split: of the set; None is the one to learn from, and in validation the one to evaluate on.
        options: the set's other arguments, such as its annotations' file.
        on_error: what an unreadable person does: raise, or skip (counted and told).
    """

    name: KeypointData = "figures"
    root: Path | None = None
    split: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    on_error: OnError = "raise"


@dataclass(frozen=True)
class KeypointTraining(LoopConfig):
    """A run of a keypoint network: all of ``LoopConfig``, and

    Args:
        task: keypoints.
        model: the network.
        data: what it learns from.
        size: height and width of the crops.
        published: crops and targets as pytorch-pose makes them, hidden keypoints left out.
        augmentation: of the crops; None is none.
        targets: how heatmaps are drawn; None is as ``published`` says.
        hardest: only so many keypoints of each person, those with the largest error, count; None takes all.
        validation_data: what it is tried on; where it has no root, training's. None for no validation.
    """

    task: Literal["keypoints"] = "keypoints"
    model: ModelConfig = ModelConfig("keypoint_hourglass")
    data: PeopleConfig = PeopleConfig()
    size: int = 256
    published: bool = False
    augmentation: PoseAugmentation | None = PoseAugmentation()
    targets: Targets | None = None
    hardest: int | None = None
    validation_data: PeopleConfig | None = None
