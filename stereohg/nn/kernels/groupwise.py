"""Group-wise correlation, forwards and backwards, each a single pass over features and volume.

Shapes: features (B,C,H,W), volume (B,G,D,H,W); C = G size. A program works on some columns of a row, for some groups.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from stereohg.nn.layout import is_channels_last

TILE = 1024  # products at a time in one program
LARGEST_GROUP = 64  # channels; of more a program's registers run short


class GroupwiseVolume(torch.autograd.Function):
    """As ``groupwise_volume`` of ``nn.volume``, for groups of up to ``LARGEST_GROUP`` channels."""

    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, num_disp: int, num_groups: int, channels_last: bool) -> Tensor:
        if not (is_channels_last(left) and is_channels_last(right)):
            left, right = left.contiguous(), right.contiguous()
        batch, _, height, width = left.shape
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        shape = batch, num_groups, num_disp, height, width
        volume = torch.empty(shape, dtype=left.dtype, device=left.device, memory_format=layout)
        _launch(_volume, left, right, volume, ())
        ctx.save_for_backward(left, right)
        return volume

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        left, right = ctx.saved_tensors
        of_left, of_right = torch.empty_like(left), torch.empty_like(right)
        _launch(_gradients, left, right, gradient, (of_left, of_right))
        return of_left, of_right, None, None, None


def _launch(kernel, left: Tensor, right: Tensor, volume: Tensor, outputs: tuple[Tensor, ...]) -> None:
    batch, channels, height, width = left.shape
    groups, levels = volume.shape[1:3]
    size = channels // groups
    size_block = triton.next_power_of_2(size)
    # neighbours in memory are columns, or, where channels lie innermost, groups
    group_block = min(triton.next_power_of_2(groups), 32) if volume.stride(1) == 1 else 1
    column_block = max(4, TILE // (size_block * group_block))
    group_blocks = triton.cdiv(groups, group_block)
    with torch.cuda.device_of(left):
        kernel[(triton.cdiv(width, column_block), height, batch * group_blocks)](
            *(left, right, volume, *outputs, groups, size, levels, width, *left.stride(), *volume.stride()),
            GROUP_BLOCK=group_block,
            SIZE_BLOCK=size_block,
            COLUMN_BLOCK=column_block,
        )


@triton.jit
def _volume(
    left,
    right,
    volume,
    groups,
    size,
    levels,
    width,
    image,
    channel,
    row,
    column,
    volume_image,
    volume_group,
    volume_level,
    volume_row,
    volume_column,
    GROUP_BLOCK: tl.constexpr,
    SIZE_BLOCK: tl.constexpr,
    COLUMN_BLOCK: tl.constexpr,
):
    x, features, is_feature, cells, is_cell = _tile(
        groups,
        size,
        width,
        image,
        channel,
        row,
        column,
        volume_image,
        volume_group,
        volume_row,
        volume_column,
        GROUP_BLOCK,
        SIZE_BLOCK,
        COLUMN_BLOCK,
    )
    cell = volume + cells
    here = tl.load(left + features, mask=is_feature, other=0.0).to(tl.float32)
    for d in range(levels):
        met = tl.load(right + features - d * column, mask=is_feature & (x >= d)[None, None, :], other=0.0)
        mean = tl.sum(here * met.to(tl.float32), 1) / size
        tl.store(cell, mean.to(volume.dtype.element_ty), mask=is_cell)
        cell += volume_level


@triton.jit
def _gradients(
    left,
    right,
    gradient,
    of_left,
    of_right,
    groups,
    size,
    levels,
    width,
    image,
    channel,
    row,
    column,
    volume_image,
    volume_group,
    volume_level,
    volume_row,
    volume_column,
    GROUP_BLOCK: tl.constexpr,
    SIZE_BLOCK: tl.constexpr,
    COLUMN_BLOCK: tl.constexpr,
):
    x, features, is_feature, cells, is_cell = _tile(
        groups,
        size,
        width,
        image,
        channel,
        row,
        column,
        volume_image,
        volume_group,
        volume_row,
        volume_column,
        GROUP_BLOCK,
        SIZE_BLOCK,
        COLUMN_BLOCK,
    )
    cell = gradient + cells
    left_sum = tl.zeros((GROUP_BLOCK, SIZE_BLOCK, COLUMN_BLOCK), tl.float32)
    right_sum = tl.zeros((GROUP_BLOCK, SIZE_BLOCK, COLUMN_BLOCK), tl.float32)
    for d in range(levels):
        met = tl.load(right + features - d * column, mask=is_feature & (x >= d)[None, None, :], other=0.0)
        of_cell = tl.load(cell, mask=is_cell, other=0.0)
        left_sum += of_cell.to(tl.float32)[:, None, :] * met.to(tl.float32)
        # a column of the right features met the left ones d columns on
        is_met = x + d < width
        met = tl.load(left + features + d * column, mask=is_feature & is_met[None, None, :], other=0.0)
        of_cell = tl.load(cell + d * volume_column, mask=is_cell & is_met[None, :], other=0.0)
        right_sum += of_cell.to(tl.float32)[:, None, :] * met.to(tl.float32)
        cell += volume_level
    tl.store(of_left + features, (left_sum / size).to(of_left.dtype.element_ty), mask=is_feature)
    tl.store(of_right + features, (right_sum / size).to(of_right.dtype.element_ty), mask=is_feature)


@triton.jit
def _tile(
    groups,
    size,
    width,
    image,
    channel,
    row,
    column,
    volume_image,
    volume_group,
    volume_row,
    volume_column,
    GROUP_BLOCK: tl.constexpr,
    SIZE_BLOCK: tl.constexpr,
    COLUMN_BLOCK: tl.constexpr,
):
    """A program's columns; offsets of its features (groups,size,columns), and which of them there are; the same of its
    cells of the first level (groups,columns)."""
    group_blocks = tl.cdiv(groups, GROUP_BLOCK)
    y = tl.program_id(1).to(tl.int64)
    b = (tl.program_id(2) // group_blocks).to(tl.int64)
    g = (tl.program_id(2) % group_blocks) * GROUP_BLOCK + tl.arange(0, GROUP_BLOCK)
    c = tl.arange(0, SIZE_BLOCK)[None, :, None]
    x = tl.program_id(0) * COLUMN_BLOCK + tl.arange(0, COLUMN_BLOCK)
    is_feature = (g < groups)[:, None, None] & (c < size) & (x < width)[None, None, :]
    features = b * image + y * row + (g[:, None, None] * size + c) * channel + x[None, None, :] * column
    is_cell = (g < groups)[:, None] & (x < width)[None, :]
    cells = b * volume_image + y * volume_row + g[:, None].to(tl.int64) * volume_group
    cells += x[None, :] * volume_column
    return x, features, is_feature, cells, is_cell
