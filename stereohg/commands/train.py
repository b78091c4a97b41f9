"""``stereohg train``: a network by a recipe."""

from pathlib import Path

from stereohg.training.chain import train_chain
from stereohg.training.config import KeypointTraining, StereoTraining


def train(output: Path, **settings) -> None:
    """Trains a network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    RECIPE is one of the package's (without one, they are listed) or a YAML file of your own; --print_config shows all
    of it. Every setting can be given as an option as well, such as --data.root /data/kitti2015. A folder that holds a
    checkpoint is gone on with. Where model.weights is a recipe, that is run first, in a folder within. On several
    devices or machines: torchrun --nproc-per-node N -m stereohg train ...

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    train_chain(StereoTraining(**settings), output)


def train_keypoints(output: Path, **settings) -> None:
    """Trains a keypoint network by a recipe: stereohg train RECIPE -o FOLDER [--overrides].

    Args:
        output: folder of the run: checkpoints, history.jsonl, settings.yaml, best.safetensors, NAME.safetensors.
    """
    train_chain(KeypointTraining(**settings), output)
