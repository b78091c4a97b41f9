"""Instance norm that leaves channels innermost where they are. Shapes: (B,C,H,W)."""

import torch
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
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        scale, shift = (t.to(precise)[..., None, None] for t in (scale, shift))
        if self.inplace and x.dtype == precise:
            return torch.addcmul(shift, x, scale, out=x)
        return torch.addcmul(shift, x, scale).to(x.dtype)

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
