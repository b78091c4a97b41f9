"""What is known of the disparities beforehand, told to a volume: peaks along its levels.

Shapes: B batch, C channels, D disparity levels, H height, W width, R reaches; volume (B,C,D,H,W), levels (B,H,W),
heights (B,R,H,W).
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.layout import innermost_format, is_channels_last


class Peaks(nn.Module):
    """Adds to a volume, with learned weights, a peak of each reach about a level of each pixel.

    A peak falls from its height at the level to zero ``reach`` levels from it. The weights begin between zero and a
    half, so that what is told is heard from the first step on. No gradient goes to the levels.

    Args:
        channels: of the volume.
        reaches: whole numbers of levels.
    """

    def __init__(self, channels: int, reaches: tuple[int, ...]):
        super().__init__()
        self.reaches = reaches
        self.weight = nn.Parameter(torch.empty(channels, len(reaches), 1, 1, 1).uniform_(0, 0.5))

    def forward(self, volume: Tensor, levels: Tensor, heights: Tensor) -> Tensor:
        """The volume, which may be written over, with the peaks."""
        levels, heights = levels.detach(), heights.to(levels.dtype)
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or not is_channels_last(volume):
            places = torch.arange(volume.shape[2], device=volume.device).view(1, -1, 1, 1)
            peaks = self.shapes(places, levels.unsqueeze(1)).movedim(-1, 1) * heights.unsqueeze(2)
            return volume + F.conv3d(peaks.to(volume.dtype), self.weight.to(volume.dtype))
        return _AddPeaks.apply(volume, self.weight, levels, heights.movedim(1, -1).flatten(0, -2), self)

    def shapes(self, places: Tensor, levels: Tensor) -> Tensor:
        """Peaks of height one at places of the volume's levels: (...) -> (...,R)."""
        off = (places - levels).abs()
        return torch.stack([(1 - off / reach).clamp_min(0) for reach in self.reaches], -1)

    def near(self, levels: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Where there are peaks, level after level: rows (BHW,) of a volume as (BDHW,C), and shapes (BHW,R)."""
        reach = max(self.reaches)
        lowest = levels.nan_to_num(nan=-reach).floor()  # the shapes of what is no number are none, either
        batch = torch.arange(levels.shape[0], device=levels.device).view(-1, 1, 1) * count
        pixels = torch.arange(levels[0].numel(), device=levels.device).view(levels.shape[1:])
        for step in range(1 - reach, reach + 1):
            places = lowest + step
            shapes = self.shapes(places, levels) * ((places >= 0) & (places < count)).unsqueeze(-1)
            rows = (batch + places.clamp(0, count - 1).long()) * levels[0].numel() + pixels
            yield rows.flatten(), shapes.flatten(0, -2)


class _AddPeaks(torch.autograd.Function):
    """``Peaks`` where the volume lies, with its channels innermost; nothing is touched where there is no peak."""

    @staticmethod
    def forward(ctx, volume: Tensor, weight: Tensor, levels: Tensor, heights: Tensor, peaks: Peaks) -> Tensor:
        rows_of_volume, matrix = _rows(volume), weight.flatten(1).to(heights.dtype)
        for rows, shapes in peaks.near(levels, volume.shape[2]):
            told = ((shapes * heights) @ matrix.t()).to(volume.dtype)
            rows_of_volume.index_put_((rows,), rows_of_volume.index_select(0, rows) + told)
        ctx.save_for_backward(weight, levels, heights)
        ctx.peaks = peaks
        ctx.mark_dirty(volume)
        return volume

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, levels, heights = ctx.saved_tensors
        rows_of_gradient = _rows(gradient.contiguous(memory_format=innermost_format(gradient)))
        of_weight, of_heights = torch.zeros_like(weight.flatten(1), dtype=heights.dtype), torch.zeros_like(heights)
        for rows, shapes in ctx.peaks.near(levels, gradient.shape[2]):
            own = rows_of_gradient.index_select(0, rows).to(heights.dtype)
            of_weight += own.t() @ (shapes * heights)
            of_heights += (own @ weight.flatten(1).to(heights.dtype)) * shapes
        return gradient, of_weight.to(weight.dtype).view_as(weight), None, of_heights, None


def _rows(x: Tensor) -> Tensor:
    """(B,C,D,H,W) with channels innermost as (BDHW,C), where it lies."""
    return x.movedim(1, -1).flatten(0, -2)
