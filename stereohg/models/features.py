"""The residual trunk that PSMNet and GwcNet share, and PSMNet's spatial pyramid (PSMNet, section 3.2, table 1).

After the authors' public code (MIT licence). It differs where that fails: pooling windows larger than the feature
map shrink to it, and in training a window that would leave a single value for batch norm is halved.

Shapes: image (B,3,H,W) normalised; features (B,C,H/4,W/4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.nn import BasicBlock, Conv3d, ConvNormAct

TRUNK_CHANNELS = 64 + 128 + 128  # layer2, layer3 and layer4, or layer2, layer4 and four pyramid branches of 32


class ResidualTrunk(nn.Module):
    """Three convolutions and four residual layers: (B,3,H,W) -> 64, 128 and 128 channels at (H/4,W/4)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(ConvNormAct(3, 32, stride=2), ConvNormAct(32, 32), ConvNormAct(32, 32))
        self.layer1 = residual_layer(32, 32, num_blocks=3)
        self.layer2 = residual_layer(32, 64, num_blocks=16, stride=2)
        self.layer3 = residual_layer(64, 128, num_blocks=3)
        self.layer4 = residual_layer(128, 128, num_blocks=3, dilation=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        second = self.layer2(self.layer1(self.stem(image)))
        third = self.layer3(second)
        return second, third, self.layer4(third)


class SpatialPyramid(nn.Module):
    """Means over windows of 8, 16, 32 and 64 feature pixels, each brought back to full size."""

    windows = (8, 16, 32, 64)

    def __init__(self, in_channels: int = 128, branch_channels: int = 32):
        super().__init__()
        self.branches = nn.ModuleList(ConvNormAct(in_channels, branch_channels, 1) for _ in self.windows)

    def forward(self, x: Tensor, align_corners: bool) -> list[Tensor]:
        """(B,128,h,w) -> four of (B,32,h,w), the smallest window first."""
        size = x.shape[-2:]
        branches = []
        for window, branch in zip(self.windows, self.branches, strict=True):
            pooled = branch(F.avg_pool2d(x, self.fitting_window(x, window)))
            branches.append(F.interpolate(pooled, size, mode="bilinear", align_corners=align_corners))
        return branches

    def fitting_window(self, x: Tensor, window: int) -> tuple[int, int]:
        batch, _, height, width = x.shape
        rows, columns = min(window, height), min(window, width)
        if self.training and batch * (height // rows) * (width // columns) == 1:
            columns = max(columns // 2, 1)
        return rows, columns


class PyramidFeatures(nn.Module):
    """PSMNet's features: trunk and pyramid, fused to 32 channels."""

    def __init__(self, out_channels: int = 32):
        super().__init__()
        self.trunk = ResidualTrunk()
        self.pyramid = SpatialPyramid()
        self.fusion = fusion(out_channels)

    def forward(self, image: Tensor, align_corners: bool) -> Tensor:
        second, _, fourth = self.trunk(image)
        return self.fusion(torch.cat((second, fourth, *self.pyramid(fourth, align_corners)), 1))


def residual_layer(
    in_channels: int, out_channels: int, num_blocks: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, dilation),
        *(BasicBlock(out_channels, out_channels, 1, dilation) for _ in range(num_blocks - 1)),
    )


def fusion(out_channels: int) -> nn.Sequential:
    """From the trunk's 320 channels to ``out_channels``, the last convolution without norm."""
    return nn.Sequential(ConvNormAct(TRUNK_CHANNELS, 128), nn.Conv2d(128, out_channels, 1, bias=False))


def similarity_head(channels: int = 32) -> nn.Sequential:
    """From a volume of features to one similarity a level: (B,C,D,h,w) -> (B,1,D,h,w)."""
    return nn.Sequential(
        ConvNormAct(channels, channels, dim=3), Conv3d(channels, 1, kernel_size=3, padding=1, bias=False)
    )


def initialise_as_published(network: nn.Module) -> None:
    """Conv2d and Conv3d normal with variance 2 / (kernel x out_channels); norms and transposed ones as PyTorch does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            fan = module.weight[0, 0].numel() * module.out_channels
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
