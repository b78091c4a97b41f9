"""Sums and activations that a convolution takes in, in inference.

Only PyTorch's convolutions and ours are asked past their ``forward``: one of another class, with a hook, or with
weights that a hook or a parametrisation makes, is called as it is.
Shapes: B batch, C channels, D disparity levels, H height, W width; image (B,C,H,W), volume (B,C,D,H,W).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn.convolution import Conv2d, Conv3d
from stereohg.nn.layout import is_channels_last
from stereohg.nn.onednn import asks_onednn, computed_in, multiplies_in


def convolved(conv: nn.Module, x: Tensor, plus: Tensor | None = None, relu: bool = False) -> Tensor:
    """``relu(conv(x) + plus)``; in inference oneDNN adds and clips what it convolves before it writes it."""
    if not _can_be_fused(conv, x, plus, relu):
        y = conv(x) if plus is None else conv(x).add_(plus)
        return F.relu_(y) if relu else y
    dtype = computed_in(x)
    x, weight, bias, plus = (t if t is None else t.to(dtype) for t in (x, conv.weight, conv.bias, plus))
    settings = weight, bias, conv.padding, conv.stride, conv.dilation, conv.groups
    if plus is None:
        return torch.ops.mkldnn._convolution_pointwise(x, *settings, "relu", [], "")
    clips = relu and dtype == torch.float32  # of what PyTorch cannot fuse it clips no bfloat16
    y = torch.ops.mkldnn._convolution_pointwise(x, plus, *settings, "add", None, "relu" if clips else None, [], "")
    return F.relu_(y) if relu and not clips else y


def add_output(total: Tensor, layer: nn.Module, x: Tensor) -> Tensor:
    """``total + layer(x)``, where the total lies; for inference.

    A 1-wide convolution with channels innermost is a product of matrices, which BLAS adds there.
    """
    if not _adds_as_product(layer, total, x):
        return add(total, layer(x))
    rows, of_total = (t.movedim(1, -1).flatten(0, -2) for t in (x, total))
    of_total.addmm_(rows, layer.weight.flatten(1).t().to(total.dtype))
    return total if layer.bias is None else total.add_(layer.bias.to(total.dtype).view(-1, *[1] * (x.dim() - 2)))


def add(total: Tensor, x: Tensor) -> Tensor:
    """``total + x``, where the total lies if the sum is of its shape and type; for inference."""
    return total.add_(x) if (total.shape, total.dtype) == (x.shape, x.dtype) else total + x


def _can_be_fused(conv: nn.Module, x: Tensor, plus: Tensor | None, relu: bool) -> bool:
    return (
        (relu or plus is not None)
        and not torch.compiler.is_compiling()
        and is_plain(conv)
        and x.device.type == "cpu"
        and computed_in(x) in (torch.float32, torch.bfloat16)
        and multiplies_in(computed_in(x))
        and _come_to(computed_in(x), x, conv.weight, x if plus is None else plus)
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and asks_onednn()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def _adds_as_product(layer: nn.Module, total: Tensor, x: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and is_plain(layer)
        and x.device.type == "cpu"
        and x.dtype == total.dtype == computed_in(x)
        and _come_to(x.dtype, layer.weight)
        and not torch.compiler.is_compiling()
        and set(layer.kernel_size) == set(layer.stride) == {1}
        and set(layer.padding) == {0}
        and layer.groups == 1
        and is_channels_last(x)
        and is_channels_last(total)
    )


def _come_to(dtype: torch.dtype, *tensors: Tensor) -> bool:
    """Whether a convolution would take them all in that type: as they are, or as autocast makes them."""
    rounded = torch.float32 if torch.is_autocast_enabled("cpu") else dtype
    return all(t.dtype in (dtype, rounded) for t in tensors)


def is_plain(layer: nn.Module) -> bool:
    """Whether it may be asked past its ``forward``."""
    return type(layer) in (Conv2d, Conv3d, nn.Conv2d, nn.Conv3d) and not has_hooks(layer)


def has_hooks(module: nn.Module) -> bool:
    """Whether something is to be called whenever the module is."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
