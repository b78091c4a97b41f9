"""The papers' formulas written out as nested loops: slow, and plainly right. What is fast must equal these."""

import torch
import torch.nn.functional as F
from torch import Tensor


def concat_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    batch, channels, height, width = left.shape
    volume = left.new_zeros(batch, 2 * channels, num_disp, height, width)
    for d in range(num_disp):
        for x in range(d, width):
            volume[:, :channels, d, :, x] = left[..., x]
            volume[:, channels:, d, :, x] = right[..., x - d]
    return volume


def groupwise_volume(left: Tensor, right: Tensor, num_disp: int, num_groups: int) -> Tensor:
    batch, channels, height, width = left.shape
    size = channels // num_groups
    volume = left.new_zeros(batch, num_groups, num_disp, height, width)
    for d in range(num_disp):
        for x in range(d, width):
            for g in range(num_groups):
                group = slice(g * size, (g + 1) * size)
                volume[:, g, d, :, x] = (left[:, group, :, x] * right[:, group, :, x - d]).sum(1) / size
    return volume


def soft_argmin(similarity: Tensor) -> Tensor:
    weights = similarity.exp()
    disparity = torch.zeros_like(similarity[:, 0])
    for d in range(similarity.shape[1]):
        disparity += d * weights[:, d] / weights.sum(1)
    return disparity


def upsampled_soft_argmin(similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool) -> Tensor:
    full = F.interpolate(similarity[:, None], (max_disp, *size), mode="trilinear", align_corners=align_corners)
    return soft_argmin(full[:, 0])


def convex_upsample(disparity: Tensor, weights: Tensor, factor: int) -> Tensor:
    batch, h, w = disparity.shape
    shares = weights.view(batch, 9, factor, factor, h, w).softmax(1)
    fine = disparity.new_zeros(batch, factor * h, factor * w)
    for y in range(h):
        for x in range(w):
            for k in range(9):
                ny, nx = min(max(y + k // 3 - 1, 0), h - 1), min(max(x + k % 3 - 1, 0), w - 1)
                block = shares[:, k, :, :, y, x] * disparity[:, ny, nx, None, None]
                fine[:, factor * y : factor * (y + 1), factor * x : factor * (x + 1)] += block
    return fine
