"""Losses of the stereo networks.

Shapes: prediction, disparity (B,H,W) pixels; valid (B,H,W) bool; similarity volume (B,D,h,w) with h = H/4, w = W/4.
Every mean is over valid pixels and zero where there are none, so that a batch without ground truth is harmless. Where
a batch comes in parts, or on several processes, ``count`` is what all of it has, and the parts add up to its mean.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stereohg.models.stereo import Look

BLOCK = 4  # pixels on a side, which share a distribution
JUMP, BESIDE = 4.0, 4  # pixels of disparity, and pixels around, that make a border
HIDING = 2.0  # pixels by which is nearer what hides another pixel in the right picture
DISTRIBUTION_WEIGHT = 2.0  # of the cross-entropy beside the smooth L1; both are near one after the first steps


def masked_mean(values: Tensor, valid: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean of ``values`` where ``valid``; zero, with a gradient, where nothing is."""
    count = valid.sum() if count is None else count
    return torch.where(valid, values, 0).sum() / count.clamp(min=1)


def check_heads(count: int, weights: list[float]) -> None:
    """Raises ValueError where there is not one weight for each head."""
    if count != len(weights):
        raise ValueError(
            f"the network has {count} heads, and loss.heads is {weights}; it has a weight for each, coarse to fine"
        )


def multi_head_smooth_l1(
    predictions: list[Tensor],
    disparity: Tensor,
    valid: Tensor,
    weights: list[float],
    count: Tensor | None = None,
    pixels: Tensor | float = 1.0,
) -> Tensor:
    """Weighted smooth L1 (beta 1) over the heads (PSMNet, section 3.6, eq. 4 and 5); ``pixels`` are further weights."""
    check_heads(len(predictions), weights)
    disparity = torch.where(valid, disparity, 0)  # what is unknown may be NaN, which no mask afterwards takes back
    losses = [
        weight * masked_mean(pixels * F.smooth_l1_loss(prediction, disparity, reduction="none"), valid, count)
        for prediction, weight in zip(predictions, weights, strict=True)
    ]
    return torch.stack(losses).sum()


def block_distribution(disparity: Tensor, valid: Tensor, num_levels: int, block: int = BLOCK) -> Tensor:
    """What each block of pixels says about its disparity: (B,H,W) -> (B,num_levels,H/block,W/block), sums to one.

    Each valid pixel gives its share to the two levels beside disparity / block, so a block on an object's border has
    two peaks (adaptive multi-modal cross-entropy, Xu et al., arXiv 2306.15612). All zero where no pixel is valid.
    """
    height, width = disparity.shape[-2:]
    if height % block or width % block:
        raise ValueError(f"pictures of {width}x{height} have no whole blocks of {block}; give an augmentation.crop")
    level = F.pixel_unshuffle(torch.where(valid, disparity, 0).unsqueeze(1), block) / block
    known = F.pixel_unshuffle(valid.unsqueeze(1).to(level.dtype), block)
    known = known * (level <= num_levels - 1)
    level = level.clamp(0, num_levels - 1)
    low = level.floor().clamp(max=num_levels - 2)
    high_share = level - low
    target = level.new_zeros(level.shape[0], num_levels, *level.shape[-2:])
    target.scatter_add_(1, low.long(), known * (1 - high_share))
    target.scatter_add_(1, low.long() + 1, known * high_share)
    return target / known.sum(1, keepdim=True).clamp(min=1)


def known_blocks(target: Tensor) -> Tensor:
    """Where ``block_distribution`` says anything: (B,D,h,w) -> (B,h,w) bool."""
    return target.sum(1) > 0


def border_weights(disparity: Tensor, valid: Tensor, extra: float) -> Tensor:
    """1 + ``extra`` at jumps of the disparity and where the right picture shows no such pixel, 1 elsewhere: (B,H,W).

    A pixel is at a jump where disparities around it, 4 pixels in each direction, differ by over 4 pixels. Of what
    hgstereo gets wrong on Middlebury's Motorcycle half is hidden, and nearly all of the rest at jumps.
    """
    known = torch.where(valid, disparity, 0)
    size, edge = 2 * BESIDE + 1, (1, BESIDE)
    high, low = (F.max_pool2d(torch.where(valid, sign * known, -torch.inf), size, *edge) for sign in (1, -1))
    landed = torch.arange(known.shape[-1], device=known.device) - known
    is_inside = valid & (landed >= 0)
    columns = landed.round().long().clamp(min=0)
    nearest = torch.zeros_like(known).scatter_reduce(-1, columns, torch.where(is_inside, known, 0), "amax")
    nearest = F.max_pool2d(nearest, (1, 3), 1, (0, 1))  # what is slanted lands on every second pixel alone
    is_hidden = (landed < 0) | (nearest.gather(-1, columns) > known + HIDING)
    return 1 + extra * (valid & is_hidden | (high + low > JUMP)).to(known.dtype)


def block_weights(pixels: Tensor, valid: Tensor) -> Tensor:
    """The mean weight of the valid pixels of each block: (B,H,W) -> (B,H/4,W/4); zero where there are none."""
    known = valid.to(pixels.dtype)
    return F.avg_pool2d(pixels * known, BLOCK) / F.avg_pool2d(known, BLOCK).clamp(min=1 / BLOCK**2)


def distribution_loss(
    similarity: Tensor, target: Tensor, count: Tensor | None = None, blocks: Tensor | float = 1.0
) -> Tensor:
    """Cross-entropy between the softmax of a similarity volume and ``block_distribution``; ``blocks`` are weights."""
    entropy = -(target * similarity.float().log_softmax(1)).sum(1)
    return masked_mean(blocks * entropy, known_blocks(target), count)


def coarse_loss(looks: list[Look], disparity: Tensor, valid: Tensor, counts: list[Tensor] | None = None) -> Tensor:
    """Smooth L1 and cross-entropy of ``StereoNetwork.look``, summed over the looks, of pairs of disparities (B,H,W).

    ``counts`` is ``coarse_counts`` of all that the loss is a mean over.
    """
    counts = iter(counts or [None] * 2 * len(looks))
    losses = []
    for answer, similarity in reversed(looks):
        disparity, valid = _at_half(disparity, valid)
        level, known = _at_half(disparity, valid, first=1)
        near = F.smooth_l1_loss(answer[:, 0].float(), level, reduction="none")
        losses.append(masked_mean(near, known, next(counts)))
        rows, columns = (4 * n - own for n, own in zip(similarity.shape[-2:], disparity.shape[-2:], strict=True))
        disparity, valid = (F.pad(x, (0, columns, rows, 0)) for x in (disparity, valid))
        target = block_distribution(disparity, valid, similarity.shape[1])
        losses.append(DISTRIBUTION_WEIGHT * distribution_loss(similarity, target, next(counts)))
    return torch.stack(losses).sum()


def coarse_counts(disparity: Tensor, valid: Tensor, levels: tuple[int, ...]) -> list[Tensor]:
    """Pixels and blocks that ``coarse_loss`` is a mean over, of looks with so many levels, the finest first."""
    counts = []
    for num_levels in reversed(levels):
        disparity, valid = _at_half(disparity, valid)
        _, known = _at_half(disparity, valid, first=1)
        blocks = known_blocks(block_distribution(disparity, valid, num_levels))
        counts += known.sum(), blocks.sum()
    return counts


def _at_half(disparity: Tensor, valid: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
    """Of every second pixel from the ``first`` on, in pixels of a picture of half the size; 0 where it is not valid."""
    valid = valid[:, first::2, first::2]
    return torch.where(valid, disparity[:, first::2, first::2], 0) / 2, valid


def multi_head_distribution(
    similarities: list[Tensor],
    target: Tensor,
    weights: list[float],
    count: Tensor | None = None,
    blocks: Tensor | float = 1.0,
) -> Tensor:
    """Weighted ``distribution_loss`` over the heads, as heavy as it should be beside the smooth L1."""
    losses = [
        weight * distribution_loss(similarity, target, count, blocks)
        for similarity, weight in zip(similarities, weights, strict=True)
    ]
    return DISTRIBUTION_WEIGHT * torch.stack(losses).sum()
