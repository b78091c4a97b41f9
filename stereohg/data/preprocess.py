"""The one way from pictures to network input.

Every network here was trained on RGB in [0,1] less the ImageNet mean, divided by the ImageNet deviation.
"""

import numpy as np
import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(image: Tensor, mean=IMAGENET_MEAN, std=IMAGENET_STD) -> Tensor:
    """RGB (…,3,H,W) in [0,1] to network input."""
    mean, std = (torch.tensor(v, dtype=image.dtype, device=image.device).view(3, 1, 1) for v in (mean, std))
    return (image - mean) / std


def to_tensor(image: np.ndarray) -> Tensor:
    """uint8 RGB (H,W,3) to normalised float32 (3,H,W)."""
    return normalise(torch.from_numpy(image).permute(2, 0, 1).float() / 255)
