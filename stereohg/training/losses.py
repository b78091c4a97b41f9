"""Losses of the stereo networks.

Shapes: prediction, disparity (B,H,W) pixels; valid (B,H,W) bool; similarity volume (B,D,h,w) with h = H/4, w = W/4.
Every mean is over valid pixels and zero where there are none, so that a batch without ground truth is harmless. Where
a batch comes in parts, or on several processes, ``count`` is what all of it has, and the parts add up to its mean.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DISTRIBUTION_WEIGHT = 2.0  # of the cross-entropy beside the smooth L1; both are near one after the first steps


def masked_mean(values: Tensor, valid: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean of ``values`` where ``valid``; zero, with a gradient, where nothing is."""
    count = valid.sum() if count is None else count
    return torch.where(valid, values, 0).sum() / count.clamp(min=1)


def check_heads(predictions: list[Tensor], weights: list[float]) -> None:
    """Raises ValueError where there is not one weight for each head."""
    if len(predictions) != len(weights):
        raise ValueError(
            f"the network has {len(predictions)} heads, and loss.heads is {weights}; it has a weight for each, coarse "
            "to fine"
        )


def multi_head_smooth_l1(
    predictions: list[Tensor], disparity: Tensor, valid: Tensor, weights: list[float], count: Tensor | None = None
) -> Tensor:
    """Weighted smooth L1 (beta 1) over the heads (PSMNet, section 3.6, eq. 4 and 5)."""
    check_heads(predictions, weights)
    disparity = torch.where(valid, disparity, 0)  # what is unknown may be NaN, which no mask afterwards takes back
    losses = [
        weight * masked_mean(F.smooth_l1_loss(prediction, disparity, reduction="none"), valid, count)
        for prediction, weight in zip(predictions, weights, strict=True)
    ]
    return torch.stack(losses).sum()


def block_distribution(disparity: Tensor, valid: Tensor, num_levels: int, block: int = 4) -> Tensor:
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


def distribution_loss(similarity: Tensor, target: Tensor, count: Tensor | None = None) -> Tensor:
    """Cross-entropy between the softmax of a similarity volume and ``block_distribution``."""
    entropy = -(target * similarity.float().log_softmax(1)).sum(1)
    return masked_mean(entropy, known_blocks(target), count)


def coarse_loss(
    answer: Tensor, similarity: Tensor, disparity: Tensor, valid: Tensor, counts: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Smooth L1 and cross-entropy of what ``StereoNetwork.look`` gives, beside the disparities of the whole pictures.

    Args:
        answer: (B,2,H/4,W/4).
        similarity: (B,D/16,H/16,W/16), padded at the top and on the right.
        disparity: (B,H,W).
        valid: (B,H,W).
        counts: ``coarse_counts`` of all that the loss is a mean over.
    """
    small, known = _at_a_quarter(disparity, valid)
    target = block_distribution(small, known, similarity.shape[1])
    rows, columns = (own - whole for own, whole in zip(similarity.shape[-2:], target.shape[-2:], strict=True))
    pixels, blocks = counts or (None, None)
    near = masked_mean(F.smooth_l1_loss(answer[:, 0].float(), small, reduction="none"), known, pixels)
    return near + DISTRIBUTION_WEIGHT * distribution_loss(similarity, F.pad(target, (0, columns, rows, 0)), blocks)


def coarse_counts(disparity: Tensor, valid: Tensor, num_levels: int) -> tuple[Tensor, Tensor]:
    """Pixels and blocks that ``coarse_loss`` is a mean over, of a volume of so many levels."""
    small, known = _at_a_quarter(disparity, valid)
    return known.sum(), known_blocks(block_distribution(small, known, num_levels)).sum()


def _at_a_quarter(disparity: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Every fourth pixel's disparity, in pixels of a picture of a quarter of the size, 0 where it is not valid."""
    known = valid[:, 2::4, 2::4]
    return torch.where(known, disparity[:, 2::4, 2::4], 0) / 4, known


def multi_head_distribution(
    costs: list[Tensor], target: Tensor, weights: list[float], count: Tensor | None = None
) -> Tensor:
    """Weighted ``distribution_loss`` over the heads, as heavy as it should be beside the smooth L1."""
    losses = [weight * distribution_loss(cost, target, count) for cost, weight in zip(costs, weights, strict=True)]
    return DISTRIBUTION_WEIGHT * torch.stack(losses).sum()
