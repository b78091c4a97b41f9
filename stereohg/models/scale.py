"""Pictures resized before they are matched, and their disparities brought back.

Shapes: image (B,3,H,W), disparity (B,H,W) in pixels of the picture that it belongs to.
"""

from numbers import Real

import torch.nn.functional as F
from torch import Tensor

from stereohg.models.stereo import MAX_DISP_MULTIPLE, StereoNetwork, check_stereo

LARGEST_SCALE = 4
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


def levels_for(max_disp: float, scale: float = 1.0) -> int:
    """Levels that a network wants for so many pixels of a picture that is enlarged: the next multiple of 16."""
    return next_multiple(max_disp * scale, MAX_DISP_MULTIPLE)


def next_multiple(value: float, of: int) -> int:
    """The smallest multiple that is no smaller."""
    return int(-(-value // of)) * of


def check_scale(scale: float) -> None:
    """Raises ValueError where pictures cannot be resized by it."""
    if not (isinstance(scale, Real) and 0 < scale <= LARGEST_SCALE):
        raise ValueError(f"scale is {scale!r}; it must be a number above 0 and at most {LARGEST_SCALE}")


def set_search(network: StereoNetwork, max_disp: int | None, scale: float | None = None) -> None:
    """Sets the network's range, in pixels of the given pictures, and what it resizes them by; None leaves either.

    Raises:
        ValueError: it is no stereo network, max_disp no positive multiple of 16, or scale not above 0 and at most 4.
    """
    check_stereo(network)
    if scale is not None:
        check_scale(scale)
    pixels = searched_range(network)
    if max_disp is not None:
        network.max_disp = pixels = max_disp
    if scale is not None:
        network.scale = scale
    if (max_disp, scale) != (None, None):
        network.max_disp = levels_for(pixels, network.scale)


def searched_range(network: StereoNetwork) -> float:
    """The largest disparity that a stereo network finds, in pixels of the pictures that it is given."""
    return network.max_disp / network.scale
