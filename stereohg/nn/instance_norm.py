"""Instance norm that leaves channels innermost where they are. Shapes: (B,C,H,W)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``; in inference on a CPU without the copies that it makes of channels-last tensors.

    An instance norm is the batch norm of each image on its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not _has_quick_way(x):
            return super().forward(x)
        normalised = torch.empty_like(x)
        for image, result in zip(x.split(1), normalised.split(1), strict=True):
            result.copy_(F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps))
        return normalised


def _has_quick_way(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dim() == 4
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.is_contiguous(memory_format=torch.channels_last)
        and not x.is_contiguous()
    )
