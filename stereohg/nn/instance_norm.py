"""Instance norm that leaves channels innermost where they are. Shapes: (B,C,H,W)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.batch_norm import Normalised, moments
from stereohg.nn.layout import is_channels_last


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``; on a CPU without the copies that it makes of channels-last tensors.

    An instance norm is the batch norm of each image on its own.

    Args:
        num_features: channels.
        inplace: in inference the answer lies where the input lay, as with ``torch.nn.ReLU``; new memory costs more time
            than the norm.
        options: as PyTorch's.
    """

    def __init__(self, num_features: int, *, inplace: bool = False, **options):
        super().__init__(num_features, **options)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        if not self._has_quick_way(x):
            return super().forward(x)
        images = x.split(1)
        if torch.is_grad_enabled():
            return torch.cat([Normalised.apply(image, self.weight, self.bias, self.eps)[0] for image in images])
        precise = torch.promote_types(x.dtype, torch.float32)
        mean, variance = map(torch.stack, zip(*(moments(image.to(precise)) for image in images), strict=True))
        if x.dtype != precise:
            return self._rounded(x, mean, variance)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        scale, shift = (t.to(precise)[..., None, None] for t in (scale, shift))
        return torch.addcmul(shift, x, scale, out=x if self.inplace else None)

    def _rounded(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Of half precision, by precise statistics: batch norm takes the two, a sum would make all of x precise."""
        y = x if self.inplace else torch.empty_like(x)
        mean, variance = (t.to(self.weight.dtype) for t in (mean, variance))
        for image, of_image, *statistics in zip(x.split(1), y.split(1), mean, variance, strict=True):
            of_image.copy_(F.batch_norm(image, *statistics, self.weight, self.bias, eps=self.eps))
        return y

    def _has_quick_way(self, x: Tensor) -> bool:
        return (
            self.affine
            and not self.track_running_stats
            and not torch.compiler.is_compiling()  # first: what is asked of the layout ties a trace to one size
            and x.device.type in ("cpu", "meta")  # where memory is estimated, as a CPU wants it
            and x.dim() == 4
            and x.shape[2:].numel() > 1
            and is_channels_last(x)
            and not x.is_contiguous()
            and (x.dtype == torch.float32 or not torch.is_grad_enabled())
        )
