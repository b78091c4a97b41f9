"""Cost volumes: what every left pixel could match, for each disparity level.

Shapes: features (B,C,H,W) -> volume (B,channels,D,H,W), D = ``num_disp`` levels of one feature pixel each.
At level d the left pixel x meets the right pixel x - d; where x < d there is none, and the volume is zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def concat_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """Both features side by side: (B,2C,D,H,W), left channels first (PSMNet, section 3.3; Kendall et al. 2017)."""
    return _sweep(lambda x, y: torch.cat((x, y), 1), left, right, num_disp)


def groupwise_volume(left: Tensor, right: Tensor, num_disp: int, num_groups: int) -> Tensor:
    """Mean product of the features in each group of channels: (B,num_groups,D,H,W) (GwcNet, section 3.2, eq. 2)."""
    channels = left.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"{channels} channels do not divide into {num_groups} groups; choose a divisor of {channels}")
    return _sweep(
        lambda x, y: (x * y).unflatten(1, (num_groups, channels // num_groups)).mean(2), left, right, num_disp
    )


def correlation_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """Mean product over all channels: (B,1,D,H,W) (DispNet-C, Mayer et al. 2016, section 5)."""
    return groupwise_volume(left, right, num_disp, num_groups=1)


def _sweep(match, left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """``match(left, shifted right)`` at every level, zero where the right image ends."""
    if left.shape != right.shape:
        raise ValueError(f"left features are {tuple(left.shape)} and right ones {tuple(right.shape)}; they must agree")
    width = left.shape[-1]
    levels = []
    for d in range(num_disp):
        d = min(d, width)
        level = match(left[..., d:], right[..., : width - d])
        levels.append(F.pad(level, (d, 0)))
    return torch.stack(levels, 2)
