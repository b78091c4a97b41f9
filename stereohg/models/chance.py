"""What training leaves to chance within a batch."""

import torch
from torch import Tensor

GRID = 8  # pixels of a picture that are taken along either side
FINEST = 1e4  # of a normalised value
PRIME = 1_000_003


def as_by_chance(image: Tensor, below: int, salt: int = 0) -> Tensor:
    """(B,3,H,W) -> (B,) int64 from 0 to ``below`` - 1, of some of each image's pixels, from all over it.

    As good as drawn, as long as no two images are alike, and yet the same when a run goes on, and however a batch is
    shared out. Another ``salt`` gives another number.
    """
    down, across = (max(1, side // GRID) for side in image.shape[-2:])
    pixels = (FINEST * image[:, :, ::down, ::across]).long().flatten(1)
    weights = 1 + (2 * salt + 3) * torch.arange(pixels.shape[1], device=image.device)
    return (pixels * weights).sum(1) % PRIME % below
