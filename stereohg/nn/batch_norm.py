"""Batch norm whose sums are exact with channels innermost, too.

On the CPU PyTorch adds up a channels-last tensor row after row in float32, which leaves means with errors of 1e-5;
of a plain tensor they are good to 1e-7. Here they are in both. Shapes: (B,C,H,W) and (B,C,D,H,W).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 512  # added up in float32; their sums in float64


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and _is_inexact_in_torch(x)):
            return super().forward(x)
        y, mean, variance = _Normalised.apply(x, self.weight, self.bias, self.eps)
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


class _Normalised(torch.autograd.Function):
    """By the batch's own mean and (biased) variance, which come back as well, in float64."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        count = x.numel() // x.shape[1]
        total, squares = _sums(x, x)
        mean = total / count
        variance = (squares / count - mean.square()).clamp_(min=0)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.mark_non_differentiable(mean, variance)
        y = F.batch_norm(x, mean.to(x.dtype), variance.to(x.dtype), weight, bias, eps=eps)
        return y, mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=_layout(x))
        count = x.numel() // x.shape[1]
        total, products = _sums(gradient, x)
        of_weight = (products - mean * total) * scale
        # scale * weight * (gradient - total / count - normalised x * of_weight / count), as a sum of three terms
        of_gradient = weight * scale
        of_x = -of_gradient * scale * of_weight / count
        constant = -of_gradient * total / count - of_x * mean
        of_gradient, of_x, constant = (
            term.to(x.dtype).view(-1, *[1] * (x.dim() - 2)) for term in (of_gradient, of_x, constant)
        )
        of_input = torch.addcmul(constant, x, of_x).addcmul_(gradient, of_gradient)
        return of_input, of_weight.to(weight.dtype), total.to(weight.dtype), None


def _sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of x and of x times y for each channel, in float64: (C,), (C,)."""
    x, y = (t.movedim(1, -1).flatten(0, -2) for t in (x, y))
    total, products = x.new_zeros(2, x.shape[1], dtype=torch.float64)
    whole = len(x) // ROWS * ROWS
    for part, rows in ((slice(whole), ROWS), (slice(whole, None), len(x) - whole)):
        if rows:
            a, b = (t[part].unflatten(0, (-1, rows)) for t in (x, y))
            total += a.sum(1).sum(0, dtype=torch.float64)
            # as matrix products, of which only the diagonals count: quicker than a product in memory
            products += torch.bmm(a.transpose(1, 2), b).diagonal(dim1=1, dim2=2).sum(0, dtype=torch.float64)
    return total, products


def _is_inexact_in_torch(x: Tensor) -> bool:
    several = x.numel() > x.shape[1]
    return x.device.type == "cpu" and x.dtype == torch.float32 and several and x.is_contiguous(memory_format=_layout(x))


def _layout(x: Tensor) -> torch.memory_format:
    return torch.channels_last_3d if x.dim() == 5 else torch.channels_last
