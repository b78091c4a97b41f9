"""Cost volumes: what every left pixel could match, for each disparity level.

Shapes: features (B,C,H,W) -> volume (B,channels,D,H,W), D = ``num_disp`` levels of one feature pixel each.
At level d the left pixel x meets the right pixel x - d; where x < d there is none, and the volume is zero.
"""

from contextlib import nullcontext
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereohg.nn.kernels import runs_kernels

TILE_BYTES_CPU = 2**22  # of products; stays in the cache that the cores share
TILE_BYTES = 2**24
SHORTEST_TILE = 32  # columns


def concat_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """Both features side by side: (B,2C,D,H,W), left channels first (PSMNet, section 3.3; Kendall et al. 2017)."""
    return _sweep(lambda x, y: torch.cat((x, y), 1), left, right, num_disp)


def groupwise_volume(
    left: Tensor, right: Tensor, num_disp: int, num_groups: int, channels_last: bool = False
) -> Tensor:
    """Mean product of the features in each group of channels: (B,num_groups,D,H,W) (GwcNet, section 3.2, eq. 2).

    ``channels_last`` lays the groups innermost in memory, for a convolution whose weight has its channels there.
    """
    channels = left.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"{channels} channels do not divide into {num_groups} groups; choose a divisor of {channels}")
    _check_pair(left, right)
    if torch.compiler.is_exporting():  # other runtimes know no views across rows
        return _sweep(
            lambda x, y: (x * y).unflatten(1, (num_groups, channels // num_groups)).mean(2), left, right, num_disp
        )
    device = left.device.type
    autocasts = device != "meta" and torch.is_autocast_enabled(device)  # the features keep their precision
    with torch.autocast(device, enabled=False) if autocasts else nullcontext():
        function = _GroupwiseVolume
        if runs_kernels(left, right):
            from stereohg.nn.kernels.groupwise import LARGEST_GROUP, GroupwiseVolume

            function = GroupwiseVolume if channels <= num_groups * LARGEST_GROUP else _GroupwiseVolume
        return function.apply(left, right, num_disp, num_groups, channels_last)


def correlation_volume(left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """Mean product over all channels: (B,1,D,H,W) (DispNet-C, Mayer et al. 2016, section 5)."""
    return groupwise_volume(left, right, num_disp, num_groups=1)


def concat_volume_conv(
    left: Tensor, right: Tensor, num_disp: int, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """``conv3d(concat_volume(left, right, num_disp), weight, bias, padding=1)`` without the volume: (B,K,D,H,W).

    A convolution is linear in each half of the volume. The left half does not change with the level, the right half
    is one map that moves with it; so one 2-D convolution of each gives every level, but for the columns within two of
    the diagonal x = d, where the volume begins, for the last column, where the kernel leaves the volume and not the
    moved map, and for the first and last level, where the kernel leaves the volume, too.

    Args:
        left: features (B,C,H,W).
        right: features (B,C,H,W).
        num_disp: levels D.
        weight: (K,2C,3,3,3).
        bias: (K,), if any.
    """
    if torch.compiler.is_exporting():  # the maps would be a graph of twice as many nodes, and no quicker elsewhere
        return F.conv3d(concat_volume(left, right, num_disp), weight, bias, padding=1)
    maps = _maps_of_levels(left, right, num_disp, weight)
    if torch.is_grad_enabled() or torch.jit.is_tracing():  # whose graph would differ from call to call
        levels = [own.level(d) for d, own in enumerate(maps)]
        if weight.is_contiguous():
            volume = torch.stack(levels, 2)
        else:  # channels innermost, as the weight has them
            volume = torch.stack([level.permute(0, 2, 3, 1) for level in levels], 1).permute(0, 4, 1, 2, 3)
        return volume if bias is None else volume.add_(bias.to(volume.dtype).view(-1, 1, 1, 1))
    layout = torch.contiguous_format if weight.is_contiguous() else torch.channels_last_3d
    size = left.shape[0], weight.shape[0], num_disp, *left.shape[2:]
    volume = torch.empty(size, dtype=maps[0].beyond.dtype, device=left.device, memory_format=layout)
    volume.copy_(torch.zeros(()) if bias is None else bias.view(-1, 1, 1, 1))
    return _with_levels_added(volume, maps)


def add_concat_volume_conv(total: Tensor, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """``total.add_(concat_volume_conv(left, right, D, weight))``; in inference not even the summand is ever there.

    Args:
        total: (B,K,D,H,W).
        left: features (B,C,H,W).
        right: features (B,C,H,W).
        weight: (K,2C,3,3,3).
    """
    num_disp = total.shape[2]
    if torch.is_grad_enabled() or torch.compiler.is_exporting() or torch.jit.is_tracing():
        return total.add_(concat_volume_conv(left, right, num_disp, weight))
    return _with_levels_added(total, _maps_of_levels(left, right, num_disp, weight))


def _with_levels_added(total: Tensor, maps: list["_ConvMaps"]) -> Tensor:
    first = 0
    for own, same in groupby(maps):
        stop = first + len(list(same))
        own.add_levels(total[:, :, first:stop], first)
        first = stop
    return total


def _maps_of_levels(left: Tensor, right: Tensor, num_disp: int, weight: Tensor) -> list["_ConvMaps"]:
    """Of each level in turn; all but the first and the last have the same."""
    _check_pair(left, right)
    steps_of = [tuple(step for step in (-1, 0, 1) if 0 <= d + step < num_disp) for d in range(num_disp)]
    maps = {steps: _ConvMaps(left, right, weight, steps) for steps in dict.fromkeys(steps_of)}
    return [maps[steps] for steps in steps_of]


class _ConvMaps:
    """The maps that a level is put together of, for a kernel of which some ``steps`` (-1, 0, 1) in D are inside.

    Of the left half there is one for each distance u = x - d from the diagonal: -2, -1, 0, 1, and 2 for all beyond.
    Of the right half there is one over u from -2, and one for the last column, without the taps at its right.
    """

    def __init__(self, left: Tensor, right: Tensor, weight: Tensor, steps: tuple[int, ...]):
        of_left, of_right = weight.chunk(2, 1)
        kernels = [_taps_right_of_diagonal(of_left, steps, u) for u in (-2, -1, 0, 1, 2)]
        *self.diagonal, self.beyond = F.conv2d(left, torch.cat(kernels), padding=1).chunk(5, 1)
        padded = F.pad(right, (4, 2))
        self.moved = F.conv2d(padded, _sheared(of_right, steps, (-1, 0, 1)), padding=(1, 0))
        self.moved_last = F.conv2d(padded, _sheared(of_right, steps, (-1, 0)), padding=(1, 0))

    def level(self, d: int) -> Tensor:
        """(B,K,H,W)."""
        width = self.beyond.shape[-1]
        first = max(0, d - 2)
        if first >= width:
            return torch.zeros_like(self.beyond)
        columns = (d - 2, d - 1, d, d + 1)
        near = [part[..., x : x + 1] for x, part in zip(columns, self.diagonal, strict=True) if x >= 0]
        left = torch.cat([*near, self.beyond[..., d + 2 :]], -1)
        end = width - d + 2  # of the moved maps, which begin at u = -2
        right = torch.cat((self.moved[..., first - d + 2 : end - 1], self.moved_last[..., end - 1 : end]), -1)
        return F.pad(left + right, (first, 0))

    def add_levels(self, total: Tensor, first: int) -> None:
        """Adds ``level(first)``, ``level(first + 1)``, ... in place: total (B,K,n,H,W).

        Level by level only what is beyond the diagonal; the columns beside it, and the last one, of all levels at once.
        """
        count, width = total.shape[2], total.shape[4]
        for i, start in enumerate(range(first + 2, first + count + 2)):
            columns = slice(start, max(width - 1, start))
            level = total[:, :, i, :, columns]
            level.add_(self.beyond[..., columns]).add_(self.moved[..., 4 : 4 + level.shape[-1]])
        for u, left in zip((-2, -1, 0, 1), self.diagonal, strict=True):
            near = total.diagonal(first + u, 2, 4)  # of each level the column x = d + u
            start = max(0, first + u)
            near.add_(left[..., start : start + near.shape[-1]])
            near[..., : max(0, width - 1 - start)].add_(self.moved[..., u + 2 : u + 3])
        last = total[..., -1]
        is_beyond = slice(0, max(0, min(first + count, width - 2) - first))
        last[:, :, is_beyond].add_(self.beyond[..., -1].unsqueeze(2))
        end = max(0, width + 2 - first)  # of the moved map, which each level sees to a column earlier
        right = self.moved_last[..., max(0, end - count) : end].flip(-1).transpose(2, 3)
        last[:, :, : right.shape[2]].add_(right)


class _GroupwiseVolume(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, num_disp: int, num_groups: int, channels_last: bool) -> Tensor:
        products = _RowProducts(left, right, num_disp, num_groups)
        volume = torch.empty(
            (left.shape[0], num_groups, num_disp, *left.shape[2:]),
            dtype=left.dtype,
            device=left.device,
            memory_format=torch.channels_last_3d if channels_last else torch.contiguous_format,
        )
        for tile in products.tiles:
            volume[..., tile.rows, tile.columns] = products.band(products.of(tile))
        ctx.save_for_backward(left, right)
        ctx.arguments = num_disp, num_groups
        return volume

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        products = _RowProducts(*ctx.saved_tensors, *ctx.arguments)
        of_left, of_right = torch.zeros_like(products.left), torch.zeros_like(products.right)
        for tile in products.tiles:
            of_tile = products.zeros(tile)
            products.band(of_tile).copy_(gradient[..., tile.rows, tile.columns])
            of_left[:, tile.rows, :, tile.columns] = of_tile @ products.right[:, tile.rows, ..., tile.met].mT
            of_right[:, tile.rows, ..., tile.met] += products.left[:, tile.rows, :, tile.columns].mT @ of_tile
        of_left, of_right = products.as_features(of_left, of_right)
        return of_left, of_right, None, None, None


class _RowTile(NamedTuple):
    """Rows and columns of the left features, and the columns of the right ones, mirrored, that they meet."""

    rows: slice
    columns: slice
    met: slice


class _RowProducts:
    """Each pixel of a row of the left features with each of the right one, as products of matrices, a tile at a time.

    Left (B,H,G,W,c), over c; right mirrored and continued with zeros beyond its first column (B,H,G,c,W+D-1). What a
    volume needs of a tile's products (B,rows,G,T,T+D-1) is a band along their diagonal, D wide, which is a view.
    """

    def __init__(self, left: Tensor, right: Tensor, num_disp: int, num_groups: int):
        batch, channels, height, width = left.shape
        self.num_disp, self.size = num_disp, channels // num_groups
        left, right = (x.unflatten(1, (num_groups, self.size)).permute(0, 3, 1, 4, 2) for x in (left, right))
        self.left = left.contiguous() / self.size
        self.right = F.pad(right.flip(3).mT, (0, num_disp - 1)).contiguous()
        widest = max(num_disp, SHORTEST_TILE)  # half of a tile's products lie in the band
        one_row = batch * num_groups * widest * (widest + num_disp) * left.element_size()
        rows = max(1, (TILE_BYTES_CPU if left.device.type == "cpu" else TILE_BYTES) // one_row)
        self.tiles = [
            _RowTile(
                slice(y, min(y + rows, height)),
                slice(x, min(x + widest, width)),
                slice(width - min(x + widest, width), width - x + num_disp - 1),
            )
            for y in range(0, height, rows)
            for x in range(0, width, widest)
        ]

    def of(self, tile: _RowTile) -> Tensor:
        """(B,rows,G,T,T+D-1)."""
        return self.left[:, tile.rows, :, tile.columns] @ self.right[:, tile.rows, ..., tile.met]

    def zeros(self, tile: _RowTile) -> Tensor:
        """Of the shape of ``of``."""
        size = tile.columns.stop - tile.columns.start
        return self.left.new_zeros(*self.left[:, tile.rows, :, 0, 0].shape, size, size + self.num_disp - 1)

    def band(self, products: Tensor) -> Tensor:
        """The products at each level, as a view: (B,rows,G,T,T+D-1) -> (B,G,D,rows,T)."""
        *batch_rows_groups, length, width = products.shape
        strides = products.stride()
        view = products.as_strided(
            (*batch_rows_groups, self.num_disp, length),
            (*strides[:3], 1, width - 1),
            products.storage_offset() + length - 1,
        )
        return view.permute(0, 2, 3, 1, 4)

    def as_features(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in the form of ``left`` and ``right`` here to those of the features (B,C,H,W)."""
        right = right[..., : left.shape[3]].mT.flip(3)
        left, right = (x.permute(0, 2, 4, 1, 3).flatten(1, 2) for x in (left / self.size, right))
        return left, right


def _taps_right_of_diagonal(weight: Tensor, steps: tuple[int, ...], u: int) -> Tensor:
    """The 2-D kernel of the taps that see the left half from ``u`` columns beside the diagonal: (K,C,3,3)."""
    kernel = torch.zeros_like(weight[:, :, 0])
    for step in steps:
        begin = min(max(0, step - u + 1), 3)
        kernel[..., begin:] = kernel[..., begin:] + weight[:, :, step + 1, :, begin:]
    return kernel


def _sheared(weight: Tensor, steps: tuple[int, ...], columns: tuple[int, ...]) -> Tensor:
    """The 2-D kernel on the moved right half: a step in D is one column the other way: (K,C,3,5)."""
    kernel = weight.new_zeros(*weight.shape[:2], 3, 5)
    for step in steps:
        for column in columns:
            place = column - step + 2
            kernel[..., place] = kernel[..., place] + weight[:, :, step + 1, :, column + 1]
    return kernel


def _check_pair(left: Tensor, right: Tensor) -> None:
    if left.shape != right.shape:
        raise ValueError(f"left features are {tuple(left.shape)} and right ones {tuple(right.shape)}; they must agree")


def _sweep(match, left: Tensor, right: Tensor, num_disp: int) -> Tensor:
    """``match(left, shifted right)`` at every level, zero where the right image ends."""
    _check_pair(left, right)
    width = left.shape[-1]
    levels = []
    for d in range(num_disp):
        d = min(d, width)
        level = match(left[..., d:], right[..., : width - d])
        levels.append(F.pad(level, (d, 0)))
    return torch.stack(levels, 2)
