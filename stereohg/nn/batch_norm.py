"""Batch norm whose sums are exact with channels innermost, too.

On the CPU PyTorch adds up a channels-last tensor row after row in float32, which leaves means with errors of 1e-5;
of a plain tensor they are good to 1e-7. Here they are in both. Shapes: (B,C,H,W) and (B,C,D,H,W).
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.layout import innermost_format, is_channels_last

ROWS = 128  # added up in float32; their sums in float64


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.affine and _is_inexact_in_torch(x)):
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, variance = Normalised.apply(x, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
            count = x.numel() // x.shape[1]
            self.running_mean.lerp_(mean.to(x.dtype), share)
            self.running_var.lerp_((variance * count / (count - 1)).to(x.dtype), share)
        return y


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d``."""


class BatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    """``torch.nn.BatchNorm3d``."""


class Normalised(torch.autograd.Function):
    """By the batch's own mean and (biased) variance, which come back as well, in float64."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = moments(x)
        ctx.save_for_backward(x, weight, bias, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        y = F.batch_norm(x, mean.to(x.dtype), variance.to(x.dtype), weight, bias, eps=eps)
        return y, mean, variance

    @staticmethod
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # what comes out will be differentiated itself
            y, wanted = F.batch_norm(x, None, None, weight, bias, True, eps=ctx.eps), ctx.needs_input_grad[:3]
            inputs = [t for t, is_wanted in zip((x, weight, bias), wanted, strict=True) if is_wanted]
            gradients = iter(torch.autograd.grad(y, inputs, gradient, create_graph=True))
            return *(next(gradients) if is_wanted else None for is_wanted in wanted), None
        gradient = gradient.contiguous(memory_format=innermost_format(x))
        count = x.numel() // x.shape[1]
        of_weight, of_bias = _of_weight_and_bias(gradient, x, mean, scale)
        # scale * weight * (gradient - of_bias / count - normalised x * of_weight / count), as a sum of three terms
        of_gradient = weight * scale
        of_x = -of_gradient * scale * of_weight / count
        constant = -of_gradient * of_bias / count - of_x * mean
        of_gradient, of_x, constant = (
            term.to(x.dtype).view(-1, *[1] * (x.dim() - 2)) for term in (of_gradient, of_x, constant)
        )
        of_input = torch.addcmul(constant, x, of_x).addcmul_(gradient, of_gradient)
        return of_input, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel, in float64: (C,), (C,)."""
    count, channels = x.numel() // x.shape[1], x.shape[1]
    if x.is_meta:  # of which the kernel below knows nothing, and nothing large comes
        return tuple(x.new_empty(2, channels, dtype=torch.float64))
    parts = []
    for (part,) in _pieces(x):
        mean, variance = torch.batch_norm_update_stats(part, None, None, 0.0)
        parts.append((part.shape[2], mean.double().view(-1, channels), variance.double().view(-1, channels)))
    mean = sum(rows * means.sum(0) for rows, means, _ in parts) / count
    squares = (rows * (variances + (means - mean).square()).sum(0) for rows, means, variances in parts)
    return mean, sum(squares) / count


def _of_weight_and_bias(gradient: Tensor, x: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the gradient times the normalised x, and of the gradient, for each channel, in float64: (C,), (C,)."""
    channels = x.shape[1]
    of_weight, of_bias = x.new_zeros(2, channels, dtype=torch.float64)
    for own_gradient, own_x in _pieces(gradient, x):
        statistics = (t.to(x.dtype).repeat(own_x.shape[1] // channels) for t in (mean, scale))
        sums = torch.ops.aten.native_batch_norm_backward(
            own_gradient, own_x, None, None, None, *statistics, True, 0.0, [False, True, True]
        )[1:]
        of_own_weight, of_own_bias = (t.view(-1, channels).sum(0, dtype=torch.float64) for t in sums)
        of_weight += of_own_weight
        of_bias += of_own_bias
    return of_weight, of_bias


def _pieces(*tensors: Tensor) -> Iterator[list[Tensor]]:
    """(B,C,...) as ``ROWS`` rows of k C channels, (1,kC,ROWS,1), and once more as what is left: each sum is short.

    PyTorch's own batch norm of such a view gives k sums for each channel.
    """
    maps = [x.movedim(1, -1).flatten(0, -2) for x in tensors]
    count = len(maps[0])
    whole = count // ROWS * ROWS
    for rows, part in ((ROWS, slice(0, whole)), (count - whole, slice(whole, count))):
        if part.start < part.stop:
            yield [x[part].reshape(1, rows, 1, -1).permute(0, 3, 1, 2) for x in maps]


def _is_inexact_in_torch(x: Tensor) -> bool:
    several = x.numel() > x.shape[1]
    return x.device.type == "cpu" and x.dtype == torch.float32 and several and is_channels_last(x)
