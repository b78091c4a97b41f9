"""The papers' formulas written out as nested loops: slow, and plainly right. What is fast must equal these."""

import torch
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


def correlation_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    batch, channels, height, width = left.shape
    volume = left.new_zeros(batch, 1, num_disp, height, width)
    for d in range(num_disp):
        for x in range(d, width):
            for c in range(channels):
                volume[:, 0, d, :, x] += left[:, c, :, x] * right[:, c, :, x - d] / channels
    return volume


def soft_argmin(similarity: Tensor) -> Tensor:
    weights = similarity.exp()
    disparity = torch.zeros_like(similarity[:, 0])
    for d in range(similarity.shape[1]):
        disparity += d * weights[:, d] / weights.sum(1)
    return disparity


def upsampled_soft_argmin(similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool) -> Tensor:
    for dim, length in zip((1, 2, 3), (max_disp, *size), strict=True):
        similarity = linear_upsample(similarity, dim, length, align_corners)
    return soft_argmin(similarity)


def linear_upsample(x: Tensor, dim: int, length: int, align_corners: bool) -> Tensor:
    """Corners aligned: the first and last samples stay; else: the borders of the first and last pixels do."""
    count, samples = x.shape[dim], []
    for i in range(length):
        if align_corners:
            position = i * (count - 1) / (length - 1) if length > 1 else 0.0
        else:
            position = max((i + 0.5) * count / length - 0.5, 0.0)
        low = min(int(position), count - 1)
        share = position - low
        samples.append((1 - share) * x.select(dim, low) + share * x.select(dim, min(low + 1, count - 1)))
    return torch.stack(samples, dim)


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
