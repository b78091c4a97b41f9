"""What decides a training run: typed, with a default for everything, so that a recipe states what it departs in.

``LoopConfig`` is what any task shares, ``StereoTraining`` adds what stereo networks want. A recipe in YAML and the
options of ``stereohg train`` have these very names.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.registry import KeypointData
from stereohg.data.people.transforms import Augmentation as PoseAugmentation
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
from stereohg.training.windows import Window

TrainingPrecision = Literal["float32", "bfloat16", "float16"]

VALIDATION_SEED = 1000  # is added to a run's seed, so that a source of scenes gives others to validate on than to learn


def _check(name: str, value: Any, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}; it must be {rule}")


@dataclass(frozen=True)
class OptimiserConfig:
    """Which optimiser, with what.

    Args:
        name: adam, adamw, rmsprop or sgd, PyTorch's.
        learning_rate: its peak.
        weight_decay: of weights towards zero.
        epsilon: what is added to the divisor of a step; to be far below the gradients, which are small for heatmaps. Of
            no use to sgd.
        clip: largest norm of the gradient over all weights; None does not clip.
    """

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    epsilon: float = 1e-8
    clip: float | None = None

    def __post_init__(self):
        _check("optimiser.learning_rate", self.learning_rate, self.learning_rate > 0, "positive")
        _check("optimiser.weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _check("optimiser.epsilon", self.epsilon, self.epsilon > 0, "positive")
        _check("optimiser.clip", self.clip, self.clip is None or self.clip > 0, "positive, or null for no clipping")


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate goes, as a factor on its peak.

    Args:
        name: constant; milestones; cosine (half a wave down to zero); or one_cycle (a line up, a line down to zero).
        warmup: steps of linear growth in the beginning, in any of them.
        milestones: epochs after which the rate is multiplied by ``factor``, for "milestones".
        factor: for "milestones".
        rise: share of the steps in which one_cycle goes up.
    """

    name: Literal["constant", "milestones", "cosine", "one_cycle"] = "constant"
    warmup: int = 0
    milestones: list[int] = field(default_factory=list)
    factor: float = 0.1
    rise: float = 0.01

    def __post_init__(self):
        _check("schedule.warmup", self.warmup, self.warmup >= 0, "0 or more steps")
        _check("schedule.factor", self.factor, self.factor > 0, "positive")
        _check("schedule.rise", self.rise, 0 <= self.rise <= 1, "a share, 0 to 1")
        used = not self.milestones or self.name == "milestones"
        _check("schedule.milestones", self.milestones, used, "[], or schedule.name milestones")


@dataclass(frozen=True)
class CheckpointConfig:
    """When the state of the run is written, and how many such files are kept.

    Args:
        every: steps from one to the next; 0 is none but those before a validation and at the end, which there are in
            any case.
        keep: the newest so many stay.
    """

    every: int = 500
    keep: int = 2

    def __post_init__(self):
        _check("checkpoints.every", self.every, self.every >= 0, "0 or more steps")


@dataclass(frozen=True)
class ValidationConfig:
    """When the network is tried on other data, and what for; the best weights are kept beside the last.

    Args:
        every_epochs: epochs from one to the next; 0 is never.
        every_steps: steps from one to the next; 0 is never.
        before: also before the first step, so that weights that the run goes on from stay the best until others are.
        metric: the figure that decides which weights are the best, such as all.per_pixel.epe or noc.per_image.d1.
        patience: so many times in a row without a better figure end the run; 0 is never.
    """

    every_epochs: int = 1
    every_steps: int = 0
    before: bool = False
    metric: str = "all.per_pixel.epe"
    patience: int = 0

    def __post_init__(self):
        for name in ("every_epochs", "every_steps", "patience"):
            value = getattr(self, name)
            _check(f"validation.{name}", value, value >= 0, "0 or more")


@dataclass(frozen=True)
class ReportConfig:
    """What is told of the run.

    Args:
        every: steps from one line of history.jsonl, and of the trackers, to the next; 0 is the last alone.
        trackers: of accelerate: tensorboard, wandb, mlflow, ...
        pictures_every: steps from one set of pictures in TensorBoard to the next; 0 is none.
        graph: whether the network's graph goes to TensorBoard.
    """

    every: int = 20
    trackers: list[str] = field(default_factory=list)
    pictures_every: int = 500
    graph: bool = True


@dataclass(frozen=True)
class LoopConfig:
    """What the training loop itself wants to know, whatever the task.

    Args:
        seed: of initial weights, order and transforms.
        batch_size: samples of one step, over all processes and accumulated parts together.
        accumulate: parts that a step's batch is taken in, one after the other; the gradient is the whole batch's.
        drop_last: leave out the last batch of an epoch when it is not full.
        shuffle: another order in each epoch.
        epochs: how long; or
        steps: how long.
        optimiser: and its settings.
        schedule: of the learning rate.
        precision: of the network; regression and loss are in float32 at least.
        device: auto, cpu, cuda, mps; under torchrun and accelerate each process takes its own.
        channels_last: convolution weights with their channels innermost, which is faster.
        compile: let torch.compile fuse the network.
        sync_batch_norm: batch norm over all processes (CUDA only).
        freeze_batch_norm: running means and variances stay as they are, and are used.
        trainable: names of the parts that learn, such as heads; the others stay as they are, batch norms and all.
            Empty is the whole network.
        ema: decay of an exponential moving average of the weights, such as 0.999, which is validated and saved in
            their place; None for none.
        bad_steps: so many steps in a row without a finite gradient end the run.
        workers: processes that read samples, for each training process.
        time_limit: minutes after which the run is checkpointed and stops; the same command goes on with it.
        checkpoints: of the run.
        validation: of the network; without data to validate on there is none.
        report: of the run.
    """

    seed: int = 0
    batch_size: int = 4
    accumulate: int = 1
    drop_last: bool = False
    shuffle: bool = True
    epochs: int | None = None
    steps: int | None = None
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    precision: TrainingPrecision = "float32"
    device: str = "auto"
    channels_last: bool = False
    compile: bool = False
    sync_batch_norm: bool = False
    freeze_batch_norm: bool = False
    trainable: list[str] = field(default_factory=list)
    ema: float | None = None
    bad_steps: int = 20
    workers: int = 2
    time_limit: float | None = None
    checkpoints: CheckpointConfig = CheckpointConfig()
    validation: ValidationConfig = ValidationConfig()
    report: ReportConfig = ReportConfig()

    def __post_init__(self):
        for name in ("batch_size", "accumulate", "epochs", "steps", "bad_steps"):
            value = getattr(self, name)
            _check(name, value, value is None or value >= 1, "1 or more")
        _check("workers", self.workers, self.workers >= 0, "0 or more")
        _check("time_limit", self.time_limit, self.time_limit is None or self.time_limit >= 0, "0 or more minutes")


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Args:
        name: as ``create_model`` knows it.
        arguments: of its constructor.
        weights: to start from: a bundled name or a file, ours or published; "random" is the published initialisation;
            or a recipe, which ``train_chain`` runs first. None, in recipes that fine-tune, has to be filled in.
        half: save weights in float16, half the size.
    """

    name: str = "hgstereo_s"
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str | None = "random"
    half: bool = False


# --- stereo ---------------------------------------------------------------------------------------------------------


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
        _check("model.saved_max_disp", levels, fits, f"a positive multiple of {MAX_DISP_MULTIPLE}")


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
        _check("loss.borders", self.borders, weighs_pixels or self.borders == 0, "0 or more, and 0 in photometric")
        _check("loss.coarse", self.coarse, self.coarse >= 0, "0 or more")
        _check("loss.heads", self.heads, weighs, "weights of 0 and more, one for each head")
        empty = None not in (self.above, self.below) and self.above >= self.below
        _check("loss.above", self.above, not empty, f"below loss.below, {self.below}")


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


# --- keypoints ------------------------------------------------------------------------------------------------------


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
