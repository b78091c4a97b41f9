"""What decides a training of a stereo network, beside what any training has."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from stereohg.data.registry import DataName
from stereohg.data.samples import OnError
from stereohg.data.transforms import (
    Colour,
    Compose,
    HorizontalFlip,
    Noise,
    OccludingPatch,
    RandomCrop,
    RandomScale,
    VerticalFlip,
    VerticalShift,
)
from stereohg.models.stereo import MAX_DISP_MULTIPLE
from stereohg.training.config.loop import LoopConfig, ModelConfig, check
from stereohg.training.windows import Window


@dataclass(frozen=True)
class StereoModelConfig(ModelConfig):
    """The network: all of ``ModelConfig``, and

    Args:
        saved_max_disp: levels that validation and the saved weights search; None is as in training.
    """

    saved_max_disp: int | None = None

    def __post_init__(self):
        levels = self.saved_max_disp
        fits = levels is None or (levels > 0 and levels % MAX_DISP_MULTIPLE == 0)
        check("model.saved_max_disp", levels, fits, f"a positive multiple of {MAX_DISP_MULTIPLE}")


@dataclass(frozen=True)
class DataConfig:
    """A set of pairs.

    Args:
        name: of the set.
        root: its folder; for "folder" also a table or list of pairs.
        split: of the set; None is the one to learn from, and in validation the one to evaluate on.
        options: the set's other arguments, such as parts of Scene Flow or the ground truth of KITTI.
        on_error: what an unreadable pair does: raise, or skip (counted and told).
    """

    name: DataName = "synthetic"
    root: Path | None = None
    split: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    on_error: OnError = "raise"


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a sample, in this order; None leaves one out. The published recipes crop, and no more.

    Args:
        horizontal_flip: mirrors and exchanges the pictures, where the right one has ground truth.
        vertical_flip: turns the pair upside down.
        scale: resizes pictures and disparities, never below the crop.
        crop: takes the same window of both pictures.
        vertical_shift: moves the right picture up or down a little.
        colour: changes brightness, contrast, saturation and gamma.
        noise: adds Gaussian noise.
        patch: hides a rectangle of the right picture.
    """

    horizontal_flip: HorizontalFlip | None = None
    vertical_flip: VerticalFlip | None = None
    scale: RandomScale | None = None
    crop: RandomCrop | None = RandomCrop()
    vertical_shift: VerticalShift | None = None
    colour: Colour | None = None
    noise: Noise | None = None
    patch: OccludingPatch | None = None

    def compose(self) -> Compose:
        scale = self.scale
        if scale is not None and self.crop is not None:
            scale = replace(scale, height=self.crop.height, width=self.crop.width)
        chosen = (
            self.horizontal_flip,
            self.vertical_flip,
            scale,
            self.crop,
            self.vertical_shift,
            self.colour,
            self.noise,
            self.patch,
        )
        return Compose(tuple(transform for transform in chosen if transform is not None))


@dataclass(frozen=True)
class LossConfig:
    """What is made small.

    Args:
        name: smooth_l1, the published one; distribution, which adds the cross-entropy of each head's distribution
            (hgstereo); or photometric, which needs no ground truth.
        heads: weight of each head, coarse to fine.
        above: only true disparities above this count, pixels; None is no bound.
        below: only true disparities below this count.
        borders: by how much more pixels count at jumps of the disparity, and where the right camera sees nothing; not
            in photometric.
        coarse: weight of hgstereo's first answers, at a quarter and at half of the size; 0 does not teach them.
        smoothness: weight of steep disparities where the picture is smooth, in photometric.
        consistency: weight of the difference between both views' disparities, in photometric.
    """

    name: Literal["smooth_l1", "distribution", "photometric"] = "smooth_l1"
    heads: list[float] = field(default_factory=lambda: [1.0])
    above: float | None = None
    below: float | None = None
    borders: float = 0.0
    coarse: float = 0.0
    smoothness: float = 0.1
    consistency: float = 1.0

    def __post_init__(self):
        weighs = bool(self.heads) and min(self.heads) >= 0 and max(self.heads) > 0
        weighs_pixels = self.borders > 0 and self.name != "photometric"
        check("loss.borders", self.borders, weighs_pixels or self.borders == 0, "0 or more, and 0 in photometric")
        check("loss.coarse", self.coarse, self.coarse >= 0, "0 or more")
        check("loss.heads", self.heads, weighs, "weights of 0 and more, one for each head")
        empty = None not in (self.above, self.below) and self.above >= self.below
        check("loss.above", self.above, not empty, f"below loss.below, {self.below}")


@dataclass(frozen=True)
class StereoTraining(LoopConfig):
    """A run of a stereo network: all of ``LoopConfig``, and

    Args:
        task: stereo.
        model: the network.
        recompute_features: keep nothing of the 2-D features for the backward pass, and compute them once more: about a
            third less memory, a tenth more time, the same weights.
        data: what it learns from.
        augmentation: of the samples.
        window: of each picture, which is matched and learnt; the whole is only looked at beforehand, as hgstereo does.
            None is all of it.
        loss: that it learns by.
        validation_data: what it is tried on; where it has no root, training's. None for no validation.
        protocol: of the validation: full, psmnet or gwcnet; see ``stereohg evaluate``.
    """

    task: Literal["stereo"] = "stereo"
    model: StereoModelConfig = StereoModelConfig()
    recompute_features: bool = False
    data: DataConfig = DataConfig()
    augmentation: Augmentation = Augmentation()
    window: Window | None = None
    loss: LossConfig = LossConfig()
    validation_data: DataConfig | None = None
    protocol: Literal["full", "psmnet", "gwcnet"] = "full"
