"""Upsampling, softmax and expectation as one kernel, and the way back; no volume at full size is ever there.

Shapes: similarity (B,d,h,w), disparity (B,H,W) of D levels. A program works on some columns of a row of the full size.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from stereohg.nn.regression import linear_weights, source_position

COLUMN_BLOCK = 128


class UpsampledSoftArgmin(torch.autograd.Function):
    """As ``upsampled_soft_argmin`` of ``nn.regression``, for float32."""

    @staticmethod
    def forward(ctx, similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool) -> Tensor:
        disparity = similarity.new_empty(similarity.shape[0], *size)
        normaliser = torch.empty_like(disparity)  # the logarithm of each softmax's denominator
        _launch(_expectation, similarity, max_disp, size, align_corners, disparity, normaliser)
        ctx.save_for_backward(similarity, disparity, normaliser)
        ctx.arguments = max_disp, size, align_corners
        return disparity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        similarity, disparity, normaliser = ctx.saved_tensors
        max_disp, size, align_corners = ctx.arguments
        batch, levels, *coarse = similarity.shape
        wide = similarity.new_empty(batch, size[0], levels, size[1])
        _launch(
            _gradient, similarity, max_disp, size, align_corners, disparity, normaliser, gradient.contiguous(), wide
        )
        up_rows, up_columns = (
            linear_weights(few, many, align_corners, similarity) for few, many in zip(coarse, size, strict=True)
        )
        return torch.einsum("yh,bydx->bdhx", up_rows, wide) @ up_columns, None, None, None


class _Sources(NamedTuple):
    """Where each fine sample comes from in linear upsampling, and where each coarse one goes; (fine,) and (coarse,)."""

    low: Tensor  # the coarse sample below, int32; the next one is above
    share: Tensor  # of the one above
    first: Tensor  # fine samples that a coarse one has a part in, int32
    stop: Tensor


@lru_cache(maxsize=64)
def _sources(coarse: int, fine: int, align_corners: bool, device: torch.device) -> _Sources:
    positions = [source_position(index, coarse, fine, align_corners) for index in range(fine)]
    low = [min(int(position), coarse - 1) for position in positions]
    share = [position - below for position, below in zip(positions, low, strict=True)]
    parts = [[i for i, below in enumerate(low) if below in (sample - 1, sample)] for sample in range(coarse)]
    bounds = [(part[0], part[-1] + 1) if part else (0, 0) for part in parts]

    def on_device(numbers, dtype: torch.dtype = torch.int32) -> Tensor:
        return torch.tensor(list(numbers), dtype=dtype, device=device)

    return _Sources(on_device(low), on_device(share, torch.float32), *map(on_device, zip(*bounds, strict=True)))


def _launch(kernel, similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool, *outputs: Tensor):
    batch, levels, height, width = similarity.shape
    with torch.inference_mode(False), torch.cuda.device_of(similarity):
        of_levels, of_rows, of_columns = (
            _sources(coarse, fine, align_corners, similarity.device)
            for coarse, fine in ((levels, max_disp), (height, size[0]), (width, size[1]))
        )
        kernel[(triton.cdiv(size[1], COLUMN_BLOCK), size[0], batch)](
            *(similarity, *outputs, *of_levels, *of_rows[:2], *of_columns[:2]),
            *(max_disp, *size, levels, height, width, *similarity.stride()),
            COLUMN_BLOCK=COLUMN_BLOCK,
        )


@triton.jit
def _expectation(
    similarity,
    disparity,
    normaliser,
    level_low,
    level_share,
    level_first,
    level_stop,
    row_low,
    row_share,
    column_low,
    column_share,
    fine_levels,
    fine_height,
    fine_width,
    levels,
    height,
    width,
    image,
    level,
    row,
    column,
    COLUMN_BLOCK: tl.constexpr,
):
    x = tl.program_id(0) * COLUMN_BLOCK + tl.arange(0, COLUMN_BLOCK)
    y = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    inside = x < fine_width
    top, bottom, down = _between(row_low, row_share, y, height, row)
    left, right, along = _columns(column_low, column_share, x, inside, width, column)
    corners = similarity + b * image
    highest = tl.full((COLUMN_BLOCK,), -float("inf"), tl.float32)
    total = tl.zeros((COLUMN_BLOCK,), tl.float32)
    moment = tl.zeros((COLUMN_BLOCK,), tl.float32)
    for d in range(fine_levels):
        below, above, up = _between(level_low, level_share, d, levels, level)
        value = (1 - up) * _bilinear(corners + below, top, bottom, down, left, right, along)
        value += up * _bilinear(corners + above, top, bottom, down, left, right, along)
        new_highest = tl.maximum(highest, value)  # a softmax in one pass: what was summed shrinks with a new peak
        shrunk = tl.exp(highest - new_highest)
        term = tl.exp(value - new_highest)
        total = total * shrunk + term
        moment = moment * shrunk + term * d
        highest = new_highest
    here = (b * fine_height + y) * fine_width + x
    tl.store(disparity + here, moment / total, mask=inside)
    tl.store(normaliser + here, highest + tl.log(total), mask=inside)


@triton.jit
def _gradient(
    similarity,
    disparity,
    normaliser,
    gradient,
    wide,
    level_low,
    level_share,
    level_first,
    level_stop,
    row_low,
    row_share,
    column_low,
    column_share,
    fine_levels,
    fine_height,
    fine_width,
    levels,
    height,
    width,
    image,
    level,
    row,
    column,
    COLUMN_BLOCK: tl.constexpr,
):
    """Of the similarity at full height and width, and its own levels: (B,H,d,W)."""
    x = tl.program_id(0) * COLUMN_BLOCK + tl.arange(0, COLUMN_BLOCK)
    y = tl.program_id(1)
    b = tl.program_id(2).to(tl.int64)
    inside = x < fine_width
    top, bottom, down = _between(row_low, row_share, y, height, row)
    left, right, along = _columns(column_low, column_share, x, inside, width, column)
    corners = similarity + b * image
    here = (b * fine_height + y) * fine_width + x
    mean = tl.load(disparity + here, mask=inside, other=0.0)
    logarithm = tl.load(normaliser + here, mask=inside, other=0.0)
    given = tl.load(gradient + here, mask=inside, other=0.0)
    out = wide + (b * fine_height + y) * levels * fine_width + x
    for k in range(levels):
        total = tl.zeros((COLUMN_BLOCK,), tl.float32)
        for d in range(tl.load(level_first + k), tl.load(level_stop + k)):
            below, above, up = _between(level_low, level_share, d, levels, level)
            value = (1 - up) * _bilinear(corners + below, top, bottom, down, left, right, along)
            value += up * _bilinear(corners + above, top, bottom, down, left, right, along)
            share = tl.where(tl.load(level_low + d) == k, 1 - up, up)
            total += share * tl.exp(value - logarithm) * (d - mean)
        tl.store(out, total * given, mask=inside)
        out += fine_width


@triton.jit
def _between(lows, shares, index, count, stride):
    """Offsets of the coarse samples below and above a fine one, and the share of the one above."""
    low = tl.load(lows + index)
    return low * stride, tl.minimum(low + 1, count - 1) * stride, tl.load(shares + index)


@triton.jit
def _columns(lows, shares, x, inside, count, stride):
    """``_between`` for a block."""
    low = tl.load(lows + x, mask=inside, other=0)
    return low * stride, tl.minimum(low + 1, count - 1) * stride, tl.load(shares + x, mask=inside, other=0.0)


@triton.jit
def _bilinear(corner, top, bottom, down, left, right, along):
    upper = tl.load(corner + top + left) * (1 - along) + tl.load(corner + top + right) * along
    lower = tl.load(corner + bottom + left) * (1 - along) + tl.load(corner + bottom + right) * along
    return upper * (1 - down) + lower * down
