"""How far a stereo network searches: its levels, for a range in pixels of the pictures that it is given."""

import math
from numbers import Real

from stereohg.models.stereo import MAX_DISP_MULTIPLE, StereoNetwork, check_scale, check_stereo

ROUNDING = 1e-9  # of a multiple


def levels_for(max_disp: float, scale: float = 1.0) -> int:
    """Levels that a network wants for so many pixels of a picture that is enlarged: the next multiple of 16."""
    return next_multiple(max_disp * scale, MAX_DISP_MULTIPLE)


def next_multiple(value: float, of: int) -> int:
    """The smallest multiple that is no smaller, but for what a division has rounded up."""
    return math.ceil(value / of - ROUNDING) * of


def check_max_disp(max_disp: float) -> None:
    """Raises ValueError where it is no range of disparities."""
    if not (isinstance(max_disp, Real) and 0 < max_disp < math.inf):
        raise ValueError(f"max_disp is {max_disp!r}; it must be a positive number of pixels")


def set_search(network: StereoNetwork, max_disp: float | None, scale: float | None = None) -> None:
    """Sets the network's range, in pixels of the given pictures, and what it resizes them by; None leaves either.

    The range becomes the next multiple of 16 pixels of the resized pictures.

    Raises:
        ValueError: it is no stereo network, max_disp is not positive, or scale not above 0 and at most 4.
    """
    check_stereo(network)
    if scale is not None:
        check_scale(scale)
    pixels = searched_range(network)
    if max_disp is not None:
        check_max_disp(max_disp)
        pixels = max_disp
    if scale is not None:
        network.scale = scale
    if (max_disp, scale) != (None, None):
        network.max_disp = levels_for(pixels, network.scale)


def searched_range(network: StereoNetwork) -> float:
    """The largest disparity that a stereo network finds, in pixels of the pictures that it is given."""
    return network.max_disp / network.scale
