"""From heatmaps to keypoints.

Shapes: B batch, K keypoints, h, w height and width of the heatmaps; heatmaps (B,K,h,w), keypoints (B,K,2) float32, x
and y in cells, the middle of the first being (0, 0); scores (B,K) float32, the height of the peak.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Decoding = Literal["dark", "quarter", "argmax"]

QUARTER = 0.25  # of a cell
FARTHEST = 1.0  # cells from the highest one that a refined peak may lie, along x or y
FLOOR = 1e-6  # of the peak, below which the logarithm is not taken


def decode(heatmaps: Tensor, method: Decoding = "dark", sigma: float = 1.0) -> tuple[Tensor, Tensor]:
    """Where the peaks are, and how high.

    "argmax" is the highest cell's middle. "quarter" moves it by a quarter of a cell towards the higher neighbour in x
    and in y, as published: only where the cell is inside the map, not in its first or last column or row; a map
    without a positive value gives (-1, -1). "dark" (Zhang et al., CVPR 2020) smooths the map as the targets' peaks
    are, and moves to the top of the paraboloid that its logarithm, a Gaussian's being one, has at the highest cell.

    Args:
        heatmaps: (B,K,h,w).
        method: of the three.
        sigma: of the targets' peaks, cells; for "dark".

    Returns:
        Keypoints (B,K,2) in cells, and scores (B,K).

    Raises:
        ValueError: there is no such method.
    """
    if method not in ("dark", "quarter", "argmax"):
        raise ValueError(f"decoding is {method!r}; it is 'dark', 'quarter' or 'argmax'")
    heatmaps = heatmaps.float()
    width = heatmaps.shape[3]
    scores, index = heatmaps.flatten(2).max(2)
    cells = torch.stack([index % width, index // width], 2)
    keypoints = cells.float()
    if method == "quarter":
        gradient, _ = _derivatives(heatmaps, cells)
        inside = _inside(cells, heatmaps).all(2, keepdim=True)
        keypoints = keypoints + QUARTER * gradient.sign() * inside
        keypoints = torch.where(scores[..., None] > 0, keypoints, -1)
    elif method == "dark":
        keypoints = keypoints + _to_summit(heatmaps, cells, scores, sigma)
    return keypoints, scores


def flip_back(heatmaps: Tensor, flip_order: Sequence[int]) -> Tensor:
    """Heatmaps of the mirrored picture to those of the picture, left and right exchanged (``Skeleton.flip_order``)."""
    return heatmaps[:, list(flip_order)].flip(3)


def _to_summit(heatmaps: Tensor, cells: Tensor, scores: Tensor, sigma: float) -> Tensor:
    """One Newton step of the logarithm of the smoothed maps, where they are a summit there: (B,K,2)."""
    smooth = _smoothed(heatmaps, sigma)
    peak = smooth.amax((2, 3), keepdim=True)
    logarithm = (smooth / peak.clamp(min=FLOOR)).clamp(min=FLOOR).log()
    gradient, (xx, yy, xy) = _derivatives(logarithm, cells)
    inside = _inside(cells, heatmaps)  # along a border the other axis alone is refined
    gradient = gradient * inside
    xx, yy = (torch.where(inside[..., axis], second, -1) for axis, second in enumerate((xx, yy)))
    xy = xy * inside.all(2)
    determinant = xx * yy - xy**2
    is_summit = (xx < 0) & (determinant > 0) & (scores > 0)
    determinant = torch.where(is_summit, determinant, 1)
    gx, gy = gradient.unbind(2)
    step = torch.stack([xy * gy - yy * gx, xy * gx - xx * gy], 2) / determinant[..., None]
    return torch.where(is_summit[..., None], step, 0).clamp(-FARTHEST, FARTHEST)


def _smoothed(heatmaps: Tensor, sigma: float) -> Tensor:
    reach = int(3 * sigma + 0.5)
    kernel = torch.arange(-reach, reach + 1, dtype=heatmaps.dtype, device=heatmaps.device)
    kernel = torch.exp(-(kernel**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = heatmaps.flatten(0, 1).unsqueeze(1)
    across = F.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(across, kernel.view(1, 1, -1, 1), padding=(reach, 0)).view_as(heatmaps)


def _inside(cells: Tensor, heatmaps: Tensor) -> Tensor:
    """Where the cell has neighbours on both sides, along x and along y: (B,K,2) bool."""
    last = torch.tensor(heatmaps.shape[:1:-1], device=cells.device) - 1
    return (cells > 0) & (cells < last)


def _derivatives(maps: Tensor, cells: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """By central differences at the cells: the gradient (B,K,2), and the second derivatives xx, yy, xy (B,K)."""
    width = maps.shape[3] + 2
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate").flatten(2)
    x, y = (cells + 1).unbind(2)

    def at(dx: int, dy: int) -> Tensor:
        return padded.gather(2, ((y + dy) * width + x + dx).unsqueeze(2)).squeeze(2)

    middle = at(0, 0)
    right, left, below, above = at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
    gradient = torch.stack([right - left, below - above], 2) / 2
    xy = (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1)) / 4
    return gradient, (right - 2 * middle + left, below - 2 * middle + above, xy)
