"""Convolutions of volumes with PyTorch's own weights and numbers, by another way where PyTorch's is slow or wrong.

Shapes: B batch, C channels, D disparity levels, H height, W width; volume (B,C,D,H,W).
"""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL = 20480  # B C D H up to which PyTorch (checked at 2.6 to 2.13) takes a loop in place of oneDNN in float32


class Conv3d(nn.Conv3d):
    """``torch.nn.Conv3d``; on a CPU, quick with one output channel and on small volumes, and right with two levels."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _has_quick_ways(x):
            if self._is_head():
                return conv_to_one(x, weight, bias)
            if _is_small(x) or _has_two_levels(x):
                return _exchanged(super()._conv_forward(_exchanged(x), _exchanged(weight), bias))
        return super()._conv_forward(x, weight, bias)

    def _is_head(self) -> bool:
        return (self.out_channels, self.kernel_size, self.stride, self.padding) == (1, (3,) * 3, (1,) * 3, (1,) * 3)


class ConvTranspose3d(nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d``; on a CPU quick on small volumes, too."""

    def forward(self, x: Tensor) -> Tensor:
        if not (_has_quick_ways(x) and _is_small(x)):
            return super().forward(x)
        settings = self.stride, self.padding, self.output_padding, self.groups, self.dilation
        return _exchanged(F.conv_transpose3d(_exchanged(x), _exchanged(self.weight), self.bias, *settings))


def conv_to_one(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv3d(x, weight, bias, padding=1)`` for one output channel: (B,C,D,H,W), (1,C,3,3,3) -> (B,1,D,H,W).

    A kernel of one output uses a sixteenth of a processor's vector. So the nine rows of the kernel become the outputs
    of one convolution along W, and their maps are added up, moved.
    """
    rows = weight[0].permute(1, 2, 0, 3).flatten(0, 1)  # (9,C,3)
    maps = F.conv3d(x, rows[:, :, None, None], padding=(0, 0, 1))
    total = _MovedSum.apply(maps)
    return total if bias is None else total + bias.view(-1, 1, 1, 1)


class _MovedSum(torch.autograd.Function):
    """(B,9,D,H,W) -> (B,1,D,H,W): the sum of the nine maps, each moved by its place in D and H (-1, 0, 1)."""

    @staticmethod
    def forward(ctx, maps: Tensor) -> Tensor:
        maps = maps.contiguous()
        batch, _, levels, height, width = maps.shape
        total = maps.new_zeros(batch, levels + 2, height + 2, width)
        for i in range(9):
            d, h = 2 - i // 3, 2 - i % 3
            total[:, d : d + levels, h : h + height] += maps[:, i]
        return total[:, None, 1:-1, 1:-1].contiguous()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        *_, levels, height, _ = gradient.shape
        padded = F.pad(gradient[:, 0], (0, 0, 1, 1, 1, 1))
        places = [(2 - i // 3, 2 - i % 3) for i in range(9)]
        return torch.stack([padded[:, d : d + levels, h : h + height] for d, h in places], 1)


def _has_quick_ways(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dim() == 5 and not torch.compiler.is_compiling()


def _exchanged(x: Tensor) -> Tensor:
    """D and W in each other's place, in the memory as before."""
    is_plain = x.is_contiguous()
    return x.transpose(2, 4).contiguous(memory_format=torch.contiguous_format if is_plain else torch.channels_last_3d)


def _is_small(x: Tensor) -> bool:
    """Whether PyTorch would take the loop, and would not with D and W exchanged, since it does not count W."""
    return x.dtype == torch.float32 and prod(x.shape[:4]) <= SMALL < prod(x.shape[:2]) * x.shape[4] * x.shape[3]


def _has_two_levels(x: Tensor) -> bool:
    """oneDNN's gradient of a bfloat16 kernel is uninitialised memory for a volume of two levels (PyTorch 2.13)."""
    return x.shape[2] == 2 != x.shape[4]
