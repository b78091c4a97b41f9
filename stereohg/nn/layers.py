"""Building blocks that every network shares, for images (``dim=2``) and cost volumes (``dim=3``).

Shapes: B batch, C channels, D disparity levels, H height, W width; (B,C,H,W) for ``dim=2``, (B,C,D,H,W) for ``dim=3``.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stereohg.nn.batch_norm import BatchNorm2d, BatchNorm3d
from stereohg.nn.convolution import Conv2d, Conv3d, ConvTranspose3d
from stereohg.nn.fusion import convolved, has_hooks
from stereohg.nn.instance_norm import InstanceNorm2d

CONVOLUTION = {2: Conv2d, 3: Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: ConvTranspose3d}
BATCH_NORM = {2: BatchNorm2d, 3: BatchNorm3d}
GROUPS_OF_GROUP_NORM = 32


def normalisation(kind: str, channels: int, dim: int = 2, inplace: bool = False) -> nn.Module:
    """The layer that ``kind`` names: "batch", "group" (32 groups), "instance" (learned scale and shift) or "none".

    ``inplace`` lets it overwrite its input in inference, where it can.
    """
    if kind == "batch":
        return BATCH_NORM[dim](channels)
    if kind == "group":
        return nn.GroupNorm(GROUPS_OF_GROUP_NORM, channels)
    if kind == "instance":
        if dim == 3:
            return nn.InstanceNorm3d(channels, affine=True)
        return InstanceNorm2d(channels, affine=True, inplace=inplace)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm is {kind!r}; it must be 'batch', 'group', 'instance' or 'none'")


class ConvNormAct(nn.Sequential):
    """Convolution without bias, normalisation and (with ``act``) ReLU; "same" padding.

    ``transposed=True`` makes it the exact doubling of size that the 3-D hourglasses use (kernel 3, stride 2); a stride
    may differ from axis to axis.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int | tuple[int, ...] = 1,
        dilation: int = 1,
        *,
        dim: int = 2,
        norm: str = "batch",
        act: bool = True,
        transposed: bool = False,
    ):
        super().__init__()
        if kernel_size % 2 == 0 or (transposed and dilation != 1):
            raise ValueError(
                f"kernel_size is {kernel_size} and dilation {dilation}; the first must be odd, and the second 1 where"
                " transposed=True"
            )
        padding = dilation * (kernel_size // 2)
        if transposed:
            rest = stride - 1 if isinstance(stride, int) else tuple(step - 1 for step in stride)
            self.conv = TRANSPOSED[dim](in_channels, out_channels, kernel_size, stride, padding, rest, bias=False)
        else:
            self.conv = CONVOLUTION[dim](in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False)
        self.norm = normalisation(norm, out_channels, dim, inplace=True)
        if act:
            self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """Between norm and activation ``plus`` is added, if there is one."""
        return conv_norm_act(self.conv, self.norm, getattr(self, "act", None), x, plus)

    def finish(self, y: Tensor) -> Tensor:
        """Norm and activation, of what was convolved elsewhere with this weight."""
        y = self.norm(y)
        return self.act(y) if hasattr(self, "act") else y

    def fold(self) -> None:
        """Takes a batch norm into the convolution; for inference, with the running statistics."""
        self.conv, self.norm = folded(self.conv, self.norm)


def conv_norm_act(
    conv: nn.Module, norm: nn.Module, relu: nn.Module | None, x: Tensor, plus: Tensor | None = None
) -> Tensor:
    """``relu(norm(conv(x)) + plus)``, whatever of it there is."""
    if isinstance(norm, nn.Identity):
        return convolved(conv, x, plus, relu is not None)
    y = norm(conv(x))
    if plus is not None:
        y = y.add_(plus)
    return y if relu is None else relu(y)


def only_part(layer: nn.Module) -> nn.Module:
    """What a chain of layers comes down to, when all but one do nothing; else the layer itself."""
    if type(layer) not in (nn.Sequential, ConvNormAct) or has_hooks(layer):
        return layer
    parts = [part for part in layer if type(part) is not nn.Identity]
    return parts[0] if len(parts) == 1 else layer


def folded(conv: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A convolution and the batch norm behind it as one convolution; other norms stay as they are."""
    if not isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
        return conv, norm
    transposed = isinstance(conv, nn.ConvTranspose2d | nn.ConvTranspose3d)
    return fuse_conv_bn_eval(conv, norm, transposed), nn.Identity()


class BasicBlock(nn.Module):
    """Two 3-wide convolutions and a skip, without an activation after the sum (PSMNet, table 1).

    The skip is projected (1-wide convolution and norm) where stride or channels change.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1, *, dim: int = 2):
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, out_channels, 3, stride, dilation, dim=dim)
        self.conv2 = ConvNormAct(out_channels, out_channels, 3, 1, dilation, dim=dim, act=False)
        changes_shape = stride != 1 or in_channels != out_channels
        self.skip = (
            ConvNormAct(in_channels, out_channels, 1, stride, dim=dim, act=False) if changes_shape else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x), plus=self.skip(x))


class Bottleneck(nn.Module):
    """Pre-activation bottleneck (Newell et al. 2016, section 3.2; He et al. 2016): 1-, 3-, 1-wide with biases.

    Its output has ``expansion * channels`` channels; the skip is projected where ``in_channels`` differs from that.
    """

    expansion = 2

    def __init__(self, in_channels: int, channels: int, *, dim: int = 2, norm: str = "batch"):
        super().__init__()
        conv, out_channels = CONVOLUTION[dim], self.expansion * channels
        self.norm1 = normalisation(norm, in_channels, dim)
        self.conv1 = conv(in_channels, channels, 1)
        self.norm2 = normalisation(norm, channels, dim)
        self.conv2 = conv(channels, channels, 3, padding=1)
        self.norm3 = normalisation(norm, channels, dim)
        self.conv3 = conv(channels, out_channels, 1)
        self.skip = conv(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def fold(self) -> None:
        """Takes the inner batch norms into the convolutions before them; for inference."""
        self.conv1, self.norm2 = folded(self.conv1, self.norm2)
        self.conv2, self.norm3 = folded(self.conv2, self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        y = F.relu(y) if y is x else self.act(y)
        y = conv_norm_act(self.conv1, self.norm2, self.act, y)
        y = conv_norm_act(self.conv2, self.norm3, self.act, y)
        return convolved(self.conv3, y, plus=self.skip(x))
