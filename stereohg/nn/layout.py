"""The layout in memory that has channels innermost. Shapes: (B,C,H,W) and (B,C,D,H,W)."""

import torch
from torch import Tensor


def innermost_format(x: Tensor) -> torch.memory_format:
    """That layout for a tensor of so many dimensions."""
    return torch.channels_last_3d if x.dim() == 5 else torch.channels_last


def is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=innermost_format(x))
