"""The task that a recipe is of."""

from dataclasses import replace

from stereohg.training.config import KeypointTraining, StereoTraining
from stereohg.training.keypoints import KeypointTask
from stereohg.training.run import count_steps
from stereohg.training.self_supervision import SelfSupervisedTask
from stereohg.training.stereo import StereoTask


def check(config: StereoTraining | KeypointTraining) -> None:
    """Raises ValueError or OSError where it could not begin, but for what is wrong with its weights."""
    task = make_task(replace(config, model=replace(config.model, weights="random")))
    count_steps(config, len(task.samples))
    task.network()


def make_task(config: StereoTraining | KeypointTraining) -> StereoTask | KeypointTask:
    """With its sets opened; errors are those of the task."""
    if isinstance(config, KeypointTraining):
        return KeypointTask(config)
    return SelfSupervisedTask(config) if config.loss.name == "photometric" else StereoTask(config)
