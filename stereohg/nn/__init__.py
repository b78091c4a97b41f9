"""What every network is made of: it knows no task, no file and no device, and imports torch alone (its kernels for a
GPU also Triton, where it is)."""

from stereohg.nn.convolution import Conv2d, Conv3d, ConvTranspose3d
from stereohg.nn.hourglass import Hourglass
from stereohg.nn.layers import BasicBlock, Bottleneck, ConvNormAct
from stereohg.nn.peaks import Peaks
from stereohg.nn.regression import confidence, convex_upsample, soft_argmax, soft_argmin, upsampled_soft_argmin
from stereohg.nn.volume import (
    add_concat_volume_conv,
    concat_volume,
    concat_volume_conv,
    correlation_volume,
    groupwise_volume,
)

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "Conv2d",
    "Conv3d",
    "ConvNormAct",
    "ConvTranspose3d",
    "Hourglass",
    "Peaks",
    "add_concat_volume_conv",
    "concat_volume",
    "concat_volume_conv",
    "confidence",
    "convex_upsample",
    "correlation_volume",
    "groupwise_volume",
    "soft_argmax",
    "soft_argmin",
    "upsampled_soft_argmin",
]
