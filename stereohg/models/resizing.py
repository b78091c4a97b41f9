"""Pictures resized before they are matched, and their disparities brought back.

Shapes: image (B,3,H,W), disparity (B,H,W) in pixels of the picture that it belongs to.
"""

import torch.nn.functional as F
from torch import Tensor

MIXED = 1.0  # pixels that a mean of four may lie off the nearest of them; at twice as much it is of two surfaces


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width in whole pixels, at least one of each."""
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture at this height and width, bilinearly; a smaller one has means over all that its pixels cover."""
    return bilinear(image, size, antialias=size[-1] < image.shape[-1])


def bilinear(x: Tensor, size: tuple[int, int], antialias: bool = False) -> Tensor:
    """(B,C,H,W) at this height and width."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=antialias)


def at_full_size(quarter: Tensor) -> Tensor:
    """(B,h,w) of a volume, at a quarter of the resolution, to (B,4h,4w)."""
    return F.interpolate(quarter.unsqueeze(1), scale_factor=4, mode="bilinear", align_corners=False).squeeze(1)


def brought_back(disparity: Tensor, size: tuple[int, int]) -> Tensor:
    """To the height and width of the given pictures, and in their pixels.

    Bilinearly; but where two surfaces meet, a pixel takes the nearest one's disparity and none between the two.
    """
    if disparity.shape[-2:] == size:
        return disparity
    disparity = disparity.unsqueeze(1) * (size[1] / disparity.shape[-1])
    nearest = F.interpolate(disparity, size, mode="nearest-exact")
    off = bilinear(disparity, size) - nearest
    return (nearest + off * (2 - off.abs() / MIXED).clamp(0, 1)).squeeze(1)
