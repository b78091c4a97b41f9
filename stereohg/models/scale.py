"""Pictures enlarged before they are matched, and their disparities brought back.

Shapes: image (B,3,H,W), disparity (B,H,W) in pixels of the picture that it belongs to.
"""

import torch.nn.functional as F
from torch import Tensor


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width in whole pixels, at least one of each."""
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))


def enlarged(image: Tensor, size: tuple[int, int]) -> Tensor:
    """To this height and width, bilinearly."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


def brought_back(disparity: Tensor, size: tuple[int, int]) -> Tensor:
    """To the height and width of the given pictures, and in their pixels."""
    if disparity.shape[-2:] == size:
        return disparity
    return enlarged(disparity.unsqueeze(1), size).squeeze(1) * (size[1] / disparity.shape[-1])
