"""GwcNet: Group-wise Correlation Stereo Network (Xiaoyang Guo et al., CVPR 2019).

The authors' code (MIT licence) is reproduced number for number; it differs only in that images of any size that is a
multiple of 16 are taken.

Shapes: B batch, D disparity levels, H height, W width; image (B,3,H,W), volume (B,40 or 64,D/4,H/4,W/4),
similarity (B,D/4,H/4,W/4), disparity (B,H,W).
"""

import torch
from torch import Tensor, nn

from stereohg.models.features import ResidualTrunk, fusion, initialise_as_published, similarity_head
from stereohg.models.stereo import StereoNetwork
from stereohg.nn import BasicBlock, ConvNormAct, Hourglass, concat_volume, groupwise_volume

NUM_GROUPS = 40
CONCAT_CHANNELS = 12


class GwcNet(StereoNetwork):
    """Group-wise correlation ("G"), with ``use_concat_volume`` also 2 x 12 channels of concatenation ("GC")."""

    def __init__(
        self,
        use_concat_volume: bool,
        max_disp: int = 192,
        align_corners: bool = False,
        output_scale: float = 1.0,
    ):
        super().__init__(max_disp, align_corners, output_scale)
        self.features = ResidualTrunk()
        self.fusion = fusion(CONCAT_CHANNELS) if use_concat_volume else None
        volume_channels = NUM_GROUPS + 2 * CONCAT_CHANNELS if use_concat_volume else NUM_GROUPS
        self.entry = nn.Sequential(ConvNormAct(volume_channels, 32, dim=3), ConvNormAct(32, 32, dim=3))
        self.refine = BasicBlock(32, 32, dim=3)
        self.stacks = nn.ModuleList(hourglass() for _ in range(3))
        self.heads = nn.ModuleList(similarity_head() for _ in range(4))
        initialise_as_published(self)

    def costs(self, left: Tensor, right: Tensor) -> list[Tensor]:
        self.check_input(left, right)
        left, right = torch.cat(self.features(left), 1), torch.cat(self.features(right), 1)
        outputs = [self.refine(self.entry(self.volume(left, right)))]
        for stack in self.stacks:
            outputs.append(stack(outputs[-1]))
        pairs = list(zip(self.heads, outputs, strict=True))
        return [head(output).squeeze(1) for head, output in (pairs if self.training else pairs[-1:])]

    def volume(self, left: Tensor, right: Tensor) -> Tensor:
        """Features (B,320,H/4,W/4) to the cost volume (section 3.2)."""
        volume = groupwise_volume(left, right, self.num_levels, NUM_GROUPS)
        if self.fusion is None:
            return volume
        return torch.cat((volume, concat_volume(self.fusion(left), self.fusion(right), self.num_levels)), 1)


def hourglass(channels: int = 32) -> Hourglass:
    """Two nested levels with projected skips (section 3.3, figure 3)."""
    wide, widest = 2 * channels, 4 * channels
    inner = Hourglass(
        down=nn.Sequential(ConvNormAct(wide, widest, stride=2, dim=3), ConvNormAct(widest, widest, dim=3)),
        inner=nn.Identity(),
        up=ConvNormAct(widest, wide, stride=2, dim=3, act=False, transposed=True),
        skip=ConvNormAct(wide, wide, 1, dim=3, act=False),
        act=nn.ReLU(inplace=True),
    )
    return Hourglass(
        down=nn.Sequential(ConvNormAct(channels, wide, stride=2, dim=3), ConvNormAct(wide, wide, dim=3)),
        inner=inner,
        up=ConvNormAct(wide, channels, stride=2, dim=3, act=False, transposed=True),
        skip=ConvNormAct(channels, channels, 1, dim=3, act=False),
        act=nn.ReLU(inplace=True),
    )


def gwcnet_g(**arguments) -> GwcNet:
    return GwcNet(use_concat_volume=False, **arguments)


def gwcnet_gc(**arguments) -> GwcNet:
    return GwcNet(use_concat_volume=True, **arguments)
