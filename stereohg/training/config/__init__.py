"""What decides a training run: typed, with a default for everything, so that a recipe states what it departs in.

``LoopConfig`` is what any task shares; ``StereoTraining`` and ``KeypointTraining`` add what their networks want. A
recipe in YAML and the options of ``stereohg train`` have these very names.
"""

from stereohg.training.config.keypoints import KeypointTraining, PeopleConfig
from stereohg.training.config.loop import (
    VALIDATION_SEED,
    CheckpointConfig,
    LoopConfig,
    ModelConfig,
    OptimiserConfig,
    ReportConfig,
    ScheduleConfig,
    TrainingPrecision,
    ValidationConfig,
)
from stereohg.training.config.stereo import Augmentation, DataConfig, LossConfig, StereoModelConfig, StereoTraining

__all__ = [
    "Augmentation",
    "CheckpointConfig",
    "DataConfig",
    "KeypointTraining",
    "LoopConfig",
    "LossConfig",
    "ModelConfig",
    "OptimiserConfig",
    "PeopleConfig",
    "ReportConfig",
    "ScheduleConfig",
    "StereoModelConfig",
    "StereoTraining",
    "TrainingPrecision",
    "VALIDATION_SEED",
    "ValidationConfig",
]
