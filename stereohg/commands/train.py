"""``stereohg train``: a network by a recipe."""

from pathlib import Path

from stereohg.training.config import KeypointTraining, StereoTraining
from stereohg.training.keypoints import KeypointTask
from stereohg.training.loop import train as run
from stereohg.training.self_supervision import SelfSupervisedTask
from stereohg.training.stereo import StereoTask


def train(output: Path, **settings) -> None:
    """Trains a network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    RECIPE is one of the package's (without one, they are listed) or a YAML file of your own; --print_config shows all
    of it. Every setting can be given as an option as well, such as --data.root /data/kitti2015. A folder that holds a
    checkpoint is gone on with. On several devices or machines: torchrun --nproc-per-node N -m stereohg train ...

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    config = StereoTraining(**settings)
    make_task = SelfSupervisedTask if config.loss.name == "photometric" else StereoTask
    run(make_task(config), config, output)


def train_keypoints(output: Path, **settings) -> None:
    """Trains a keypoint network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    config = KeypointTraining(**settings)
    run(KeypointTask(config), config, output)
