"""From a volume of similarities to disparities, and how sure they are (Kendall et al. 2017; PSMNet, section 3.5).

``soft_argmax`` is the same in a picture's two axes.

Shapes: similarity (B,D,H,W), larger = likelier (softmax without a minus, as both papers' code has it);
disparity (B,H,W); h, w, d the same at low resolution; heatmaps (B,K,H,W) of K keypoints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_argmin(similarity: Tensor, radius: int | None = None) -> Tensor:
    """The expected level under softmax over D: (B,D,H,W) -> (B,H,W), in levels (PSMNet, eq. 3).

    With ``radius``, the expectation is taken over the levels within ``radius`` of the likeliest one, so that a
    second surface at an object's border does not pull the answer into the gap between the two.
    """
    levels = torch.arange(similarity.shape[1], dtype=similarity.dtype, device=similarity.device).view(1, -1, 1, 1)
    if radius is not None:
        mode = similarity.detach().argmax(1, keepdim=True)
        similarity = similarity.masked_fill((levels - mode).abs() > radius, -torch.inf)
    return (similarity.softmax(1) * levels).sum(1)


def soft_argmax(heatmaps: Tensor, sharpness: float = 1.0) -> Tensor:
    """The expected cell under softmax over H and W: (B,K,H,W) -> (B,K,2), x and y in cells.

    ``sharpness`` multiplies the heatmaps first: of maps that peak at one, such as pytorch-pose's, a softmax alone is
    nearly flat, and its mean near the middle (integral regression, Sun et al., ECCV 2018).
    """
    height, width = heatmaps.shape[-2:]
    probability = (sharpness * heatmaps.flatten(2)).softmax(2).unflatten(2, (height, width))
    x = torch.arange(width, dtype=heatmaps.dtype, device=heatmaps.device)
    y = torch.arange(height, dtype=heatmaps.dtype, device=heatmaps.device)
    return torch.stack([probability.sum(2) @ x, probability.sum(3) @ y], 2)


def upsampled_soft_argmin(
    similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool = False
) -> Tensor:
    """Trilinear upsampling to (max_disp, H, W), then ``soft_argmin``: (B,d,h,w) -> (B,H,W) in pixels.

    ``align_corners=True`` is what PyTorch did before version 0.4.1, when some published weights were trained.
    """
    full = F.interpolate(
        similarity.unsqueeze(1), (max_disp, *size), mode="trilinear", align_corners=align_corners
    ).squeeze(1)
    return soft_argmin(full)


def confidence(similarity: Tensor, radius: int = 1) -> Tensor:
    """Probability within ``radius`` levels of the likeliest level: (B,D,H,W) -> (B,H,W) in [0,1].

    Near one where the distribution has a single narrow peak, low where it is broad or has several.
    """
    probability = similarity.softmax(1)
    near_mode = F.avg_pool3d(
        F.pad(probability.unsqueeze(1), (0, 0, 0, 0, radius, radius)), (2 * radius + 1, 1, 1), stride=1
    ).squeeze(1) * (2 * radius + 1)
    mode = probability.argmax(1, keepdim=True)
    return near_mode.gather(1, mode).squeeze(1).clamp(0, 1)


def convex_upsample(disparity: Tensor, weights: Tensor, factor: int) -> Tensor:
    """Each fine pixel a weighted mean of its 3x3 coarse neighbours (RAFT, Teed & Deng 2020, section 3.3).

    Args:
        disparity: (B,h,w).
        weights: (B, 9 factor^2, h, w) logits, softmax over the nine.
        factor: how much finer.

    Returns:
        (B, factor h, factor w); the values are not scaled.
    """
    batch, h, w = disparity.shape
    neighbours = F.unfold(F.pad(disparity.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), 3).view(batch, 9, 1, h, w)
    weights = weights.view(batch, 9, factor**2, h, w).softmax(1)
    return F.pixel_shuffle((weights * neighbours).sum(1), factor).squeeze(1)
