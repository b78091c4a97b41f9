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
from stereohg.nn import BasicBlock, ConvNormAct, Hourglass, add_concat_volume_conv, concat_volume, groupwise_volume
from stereohg.nn.fusion import is_plain

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
        scale: float = 1.0,
    ):
        super().__init__(max_disp, align_corners, output_scale, scale)
        self.features = ResidualTrunk()
        self.fusion = fusion(CONCAT_CHANNELS) if use_concat_volume else None
        volume_channels = NUM_GROUPS + 2 * CONCAT_CHANNELS if use_concat_volume else NUM_GROUPS
        self.entry = nn.Sequential(ConvNormAct(volume_channels, 32, dim=3), ConvNormAct(32, 32, dim=3))
        self.refine = BasicBlock(32, 32, dim=3)
        self.stacks = nn.ModuleList(hourglass() for _ in range(3))
        self.heads = nn.ModuleList(similarity_head() for _ in range(4))
        initialise_as_published(self)

    def extract(self, left: Tensor, right: Tensor) -> tuple[Tensor, ...]:
        """Features of both images to correlate (B,320,H/4,W/4) and, of "GC", to concatenate (B,12,H/4,W/4)."""
        features = self.of_both(lambda image: torch.cat(self.features(image), 1), left, right)
        return features if self.fusion is None else (*features, *self.of_both(self.fusion, *features))

    def compare(self, left: Tensor, right: Tensor, *concatenated: Tensor) -> list[Tensor]:
        x = self.refine(self.enter(left, right, *concatenated))
        similarities = [self.heads[0](x).squeeze(1)] if self.training else []
        for stack, head in zip(self.stacks, self.heads[1:], strict=True):
            x = stack(x)
            if self.training or stack is self.stacks[-1]:
                similarities.append(head(x).squeeze(1))
        return similarities

    def enter(self, left: Tensor, right: Tensor, *concatenated: Tensor) -> Tensor:
        """Features to (B,32,D/4,H/4,W/4), by the volume (section 3.2), whose concatenated half is never there."""
        first, second = self.entry
        of_groups, of_concatenated = first.conv.weight[:, :NUM_GROUPS], first.conv.weight[:, NUM_GROUPS:]
        is_innermost = not first.conv.weight.is_contiguous()
        volume = groupwise_volume(left, right, self.num_levels, NUM_GROUPS, channels_last=is_innermost)
        if not is_plain(first.conv):
            halves = [concat_volume(*concatenated, self.num_levels)] if concatenated else []
            return second(first(torch.cat([volume, *halves], 1)))
        convolved = first.conv._conv_forward(volume, of_groups, first.conv.bias)
        if concatenated:
            convolved = add_concat_volume_conv(convolved, *concatenated, of_concatenated)
        return second(first.finish(convolved))


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
