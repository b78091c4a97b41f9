"""Instance norm that leaves channels innermost where they are. Shapes: (B,C,H,W)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.batch_norm import Normalised, is_inexact_in_torch
from stereohg.nn.layout import is_channels_last


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``; on a CPU without the copies that it makes of channels-last tensors.

    An instance norm is the batch norm of each image on its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not _has_quick_way(x):
            return super().forward(x)
        if not torch.is_grad_enabled():
            normalised = torch.empty_like(x)
            for image, result in zip(x.split(1), normalised.split(1), strict=True):
                result.copy_(F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps))
            return normalised
        if self.affine and is_inexact_in_torch(x[:1]):
            return torch.cat([Normalised.apply(image, self.weight, self.bias, self.eps)[0] for image in x.split(1)])
        return super().forward(x)


def _has_quick_way(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dim() == 4
        and not torch.compiler.is_compiling()
        and is_channels_last(x)
        and not x.is_contiguous()
    )
