"""Convolutions with PyTorch's own weights and numbers, by another way where PyTorch's is slow or wrong.

Shapes: B batch, C channels, D disparity levels, H height, W width; image (B,C,H,W), volume (B,C,D,H,W).
"""

from contextlib import nullcontext
from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.layout import innermost_format, is_channels_last
from stereohg.nn.onednn import asks_onednn, computed_in, has_wide_vectors
from stereohg.nn.weight_gradient import weight_gradient

SMALL = 20480  # B C D H up to which PyTorch (checked at 2.6 to 2.13) takes a loop in place of oneDNN in float32
AT_ONCE = 8  # pictures made float32, which stay in the cache
FEWEST_CHANNELS, FEWEST_PIXELS = 24, 1024  # H W; with fewer, ``weight_gradient`` is no quicker than PyTorch


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``; on a CPU quick to train with its channels innermost."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _learns_by_products(self, x, weight):
            return _Convolution.apply(x, weight, bias, self.dilation[0])
        return super()._conv_forward(x, weight, bias)


class Conv3d(nn.Conv3d):
    """``torch.nn.Conv3d``; on a CPU quick with one output channel and on small volumes, and right with two levels.

    Like ``Conv2d`` it is quick to train with its channels innermost.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if _has_quick_ways(x) and self.padding_mode == "zeros" and not isinstance(self.padding, str):
            if self._has_one_output():
                return conv_to_one(x, weight, bias)
            if _is_small(x) and asks_onednn():
                return torch.mkldnn_convolution(x, weight, bias, self.padding, self.stride, self.dilation, self.groups)
            if _is_larger_exchanged(x) or _has_two_levels(x):
                settings = (way[::-1] for way in (self.stride, self.padding, self.dilation))
                return _exchanged(F.conv3d(_exchanged(x), _exchanged(weight), bias, *settings, self.groups))
            if _learns_by_products(self, x, weight):
                return _Convolution.apply(x, weight, bias, 1)
        return super()._conv_forward(x, weight, bias)

    def _has_one_output(self) -> bool:
        ones = set(self.stride) == set(self.padding) == set(self.dilation) == {1}
        return self.out_channels == 1 and set(self.kernel_size) == {3} and ones


class ConvTranspose3d(nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d``; on a CPU quick on small volumes, too."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not (_has_quick_ways(x) and _is_small(x)):
            return super().forward(x, output_size)
        if asks_onednn() and hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
            settings = self.padding, self.output_padding, self.stride, self.dilation, self.groups
            return torch.ops.mkldnn._convolution_transpose_pointwise(
                x, self.weight, self.bias, *settings, "none", [], ""
            )
        if not _is_larger_exchanged(x):
            return super().forward(x)
        stride, padding, rest, dilation = (
            way[::-1] for way in (self.stride, self.padding, self.output_padding, self.dilation)
        )
        settings = stride, padding, rest, self.groups, dilation
        return _exchanged(F.conv_transpose3d(_exchanged(x), _exchanged(self.weight), self.bias, *settings))


def conv_to_one(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv3d(x, weight, bias, padding=1)`` for one output channel: (B,C,D,H,W), (1,C,3,3,3) -> (B,1,D,H,W).

    A kernel of one output uses a sixteenth of a processor's vector. So its three slices become the outputs of one
    convolution along H and W, whose maps are added up, moved along D. Under autocast it stays in float32, and so does
    the answer: what comes out of a head are logits, whose last digits count.
    """
    rounded = torch.is_autocast_enabled("cpu") and x.dtype == torch.bfloat16
    with torch.autocast("cpu", enabled=False) if rounded else nullcontext():
        slices = weight[0].transpose(0, 1)  # (3,C,3,3)
        if rounded or _is_small(x):
            convolve = _PreciseConvolution.apply if rounded else partial(F.conv2d, padding=1)
            maps = convolve(x.transpose(1, 2).flatten(0, 1), slices)
            total = _MovedSum.apply(maps.unflatten(0, (-1, x.shape[2])).transpose(1, 2))
        else:
            total = _MovedSum.apply(F.conv3d(x, slices.unsqueeze(2), padding=(0, 1, 1)))
        return total if bias is None else total + bias.view(-1, 1, 1, 1)


class _Convolution(torch.autograd.Function):
    """A convolution of size 3 and stride 1 that keeps the size, and whose kernel learns from ``weight_gradient``."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation, ctx.has_bias = dilation, bias is not None
        convolve = F.conv2d if x.dim() == 4 else F.conv3d
        return convolve(x, weight, bias, padding=dilation, dilation=dilation)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        is_differentiated = torch.is_grad_enabled()  # what comes out will be
        gradient = gradient.contiguous(memory_format=innermost_format(x))
        ones, dilation = [1] * (x.dim() - 2), [ctx.dilation] * (x.dim() - 2)
        wanted = [ctx.needs_input_grad[0], is_differentiated, ctx.has_bias]
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient, x, weight, weight.shape[:1], ones, dilation, dilation, False, [0 for _ in ones], 1, wanted
        )
        if not is_differentiated:
            of_weight = weight_gradient(x, gradient, ctx.dilation)
        return of_x, of_weight, of_bias, None


class _PreciseConvolution(torch.autograd.Function):
    """A convolution of bfloat16 pictures (B,C,H,W) in float32, of a few at a time; its gradients are in bfloat16."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.cat([F.conv2d(part.to(weight.dtype), weight, padding=1) for part in x.split(AT_ONCE)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        ones = [1, 1]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient.to(x.dtype), x, weight.to(x.dtype), None, ones, ones, ones, False, [0, 0], 1, [True, True, False]
        )
        return of_x, of_weight.to(weight.dtype)


class _MovedSum(torch.autograd.Function):
    """(B,3,D,H,W) -> (B,1,D,H,W): the sum of the three maps, each moved by its place in D (-1, 0, 1)."""

    @staticmethod
    def forward(ctx, maps: Tensor) -> Tensor:
        before, here, behind = maps.unbind(1)
        total = here.clone(memory_format=torch.contiguous_format)
        total[:, 1:] += before[:, :-1]
        total[:, :-1] += behind[:, 1:]
        return total.unsqueeze(1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        levels = gradient.shape[2]
        padded = F.pad(gradient[:, 0], (0, 0, 0, 0, 1, 1))
        return torch.stack([padded[:, 2 - i : 2 - i + levels] for i in range(3)], 1)


def _has_quick_ways(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dim() == 5 and not torch.compiler.is_compiling()


def _learns_by_products(conv: nn.Conv2d | nn.Conv3d, x: Tensor, weight: Tensor) -> bool:
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == computed_in(x) == torch.float32
        and not torch.compiler.is_compiling()
        and not has_wide_vectors()  # with which oneDNN's own gradients are the quicker ones
        and is_channels_last(x)
        and set(conv.kernel_size) == {3}
        and set(conv.stride) == {1}
        and conv.padding == conv.dilation
        and len(set(conv.dilation)) == 1
        and (conv.dilation[0] == 1 or x.dim() == 4)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and min(weight.shape[:2]) >= FEWEST_CHANNELS
        and prod(x.shape[-2:]) >= FEWEST_PIXELS
    )


def _exchanged(x: Tensor) -> Tensor:
    """D and W in each other's place, in the memory as before."""
    is_plain = x.is_contiguous()
    return x.transpose(2, 4).contiguous(memory_format=torch.contiguous_format if is_plain else torch.channels_last_3d)


def _is_small(x: Tensor) -> bool:
    """Whether PyTorch would take the loop."""
    return computed_in(x) == torch.float32 and prod(x.shape[:4]) <= SMALL


def _is_larger_exchanged(x: Tensor) -> bool:
    """Whether it would, and would not with D and W exchanged, since it does not count W."""
    return _is_small(x) and prod(x.shape[:2]) * x.shape[4] * x.shape[3] > SMALL


def _has_two_levels(x: Tensor) -> bool:
    """oneDNN's gradient of a bfloat16 kernel is uninitialised memory for a volume of two levels (PyTorch 2.13)."""
    return x.shape[2] == 2 != x.shape[4]
