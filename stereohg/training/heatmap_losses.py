"""Losses of the keypoint network.

Shapes: B batch, K keypoints, h, w height and width of the heatmaps; predictions (B,K,h,w), one a stack; heatmaps
(B,K,h,w); weight (B,K), 0 for a keypoint that does not count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def keypoint_errors(prediction: Tensor, heatmaps: Tensor, weight: Tensor) -> Tensor:
    """Half the mean square over each heatmap, both sides multiplied by the weight: (B,K), float32."""
    error = torch.where(weight[..., None, None] > 0, prediction.float() - heatmaps, 0)
    return 0.5 * weight**2 * error.square().mean((2, 3))


def heatmap_loss(
    predictions: Sequence[Tensor],
    heatmaps: Tensor,
    weight: Tensor,
    hardest: int | None = None,
    count: Tensor | None = None,
) -> Tensor:
    """The published loss: the mean over the keypoints, those that do not count among them, summed over the stacks.

    Args:
        predictions: of each stack.
        heatmaps: the truth.
        weight: of each keypoint.
        hardest: only so many keypoints of each person, those with the largest error, go into the mean (online hard
            keypoint mining; Chen et al., CVPR 2018); None takes all.
        count: people of the whole step, of which these are a part; None takes these.

    Raises:
        ValueError: ``hardest`` is not a number of keypoints.
    """
    if hardest is not None and not 1 <= hardest <= heatmaps.shape[1]:
        raise ValueError(f"hardest is {hardest}; it is a number of keypoints, 1 to {heatmaps.shape[1]}, or None")
    errors = [keypoint_errors(prediction, heatmaps, weight) for prediction in predictions]
    if hardest is not None:
        errors = [error.topk(hardest, 1).values for error in errors]
    people = weight.shape[0] if count is None else count.clamp(min=1)
    return torch.stack([error.mean(1).sum() for error in errors]).sum() / people
