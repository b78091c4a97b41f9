"""What the training loop itself wants to know, whatever the task, and what any task has."""

from dataclasses import dataclass, field
from typing import Any, Literal

TrainingPrecision = Literal["float32", "bfloat16", "float16"]

VALIDATION_SEED = 1000  # is added to a run's seed, so that a source of scenes gives others to validate on than to learn


def check(name: str, value: Any, holds: bool, rule: str) -> None:
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
        check("optimiser.learning_rate", self.learning_rate, self.learning_rate > 0, "positive")
        check("optimiser.weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        check("optimiser.epsilon", self.epsilon, self.epsilon > 0, "positive")
        check("optimiser.clip", self.clip, self.clip is None or self.clip > 0, "positive, or null for no clipping")


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
        check("schedule.warmup", self.warmup, self.warmup >= 0, "0 or more steps")
        check("schedule.factor", self.factor, self.factor > 0, "positive")
        check("schedule.rise", self.rise, 0 <= self.rise <= 1, "a share, 0 to 1")
        used = not self.milestones or self.name == "milestones"
        check("schedule.milestones", self.milestones, used, "[], or schedule.name milestones")


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
        check("checkpoints.every", self.every, self.every >= 0, "0 or more steps")


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
            check(f"validation.{name}", value, value >= 0, "0 or more")


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
            check(name, value, value is None or value >= 1, "1 or more")
        check("workers", self.workers, self.workers >= 0, "0 or more")
        check("time_limit", self.time_limit, self.time_limit is None or self.time_limit >= 0, "0 or more minutes")


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
