"""hgstereo: our small stereo network, stacked hourglasses in two and in three dimensions.

After PSMNet (Chang & Chen, CVPR 2018) and GwcNet (Guo et al., CVPR 2019); the gates follow CoEx (Bangunharcana et
al., IROS 2021), the upsampling RAFT (Teed & Deng, ECCV 2020). MIT licence, weights of our own.
Where it differs from its models: features from a 2-D hourglass down to 1/32; correlation of unit vectors, so that
exposure and contrast do not matter; Bottleneck(dim=3) inside the 3-D hourglasses; regression around the likeliest
level at a quarter of the resolution; learned upsampling; and the network first looks at the pair at a quarter of the
size, where a large blank wall is a small one, then at half of it, and is told each time what it answered before.

Shapes: B batch, C channels, D disparity levels, H height, W width; image (B,3,H,W), volume (B,C,D/4,H/4,W/4),
disparity (B,H,W).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.data.preprocess import Padding
from stereohg.models.chance import as_by_chance
from stereohg.models.checks import check_at_least, check_multiple
from stereohg.models.inference import in_evaluation
from stereohg.models.search import next_multiple
from stereohg.models.stereo import MAX_DISP_MULTIPLE, Look, StereoNetwork
from stereohg.nn import (
    BasicBlock,
    Bottleneck,
    Conv3d,
    ConvNormAct,
    Hourglass,
    Peaks,
    confidence,
    convex_upsample,
    groupwise_volume,
    soft_argmin,
)

COARSEST_LEVELS = 16  # 3-D hourglasses halve the levels down to 1/16, so that max_disp is a multiple of 16
GUIDE_CHANNELS = 64
EPSILON = 1e-12  # keeps what is zero zero
UPSAMPLING_GAIN = 0.25  # keeps the first steps' weights soft, as RAFT does
LOOKS = 2  # at ever half of the size, before the pair is matched at its own
REACHES = 1, 4  # levels on either side of the coarse answer that learn of it
TRUSTED = 1.1  # at first, before the sigmoid: three quarters. Learned from nothing it came to little
UNTOLD = 4  # one training pair of so many is matched without a coarse answer, as the smallest are themselves


class HGStereo(StereoNetwork):
    """Features, group-wise volume, stacked 3-D hourglasses, regression, upsampling.

    Args:
        max_disp: levels searched, a positive multiple of 16; may be set after training.
        num_groups: groups of the correlation.
        group_channels: feature channels in each group.
        feature_channels: of the 2-D features at 1/2, 1/4, 1/8, 1/16 and 1/32.
        volume_channels: of the 3-D hourglasses at 1/4, 1/8, 1/16 and 1/32 of height and width; the levels stay 1/16.
        num_stacks: how many 3-D hourglasses, each with a head in training.
        radius: levels of the volume on either side of the likeliest one that the regression takes in; outside training
            also how near each other, in levels, disparities must be that the upsampling mixes.
        output_scale: factor on the disparity.
        scale: what pictures are enlarged by before they are matched (see ``StereoNetwork``): edges and thin things get
            sharper, for time.
    """

    multiple = 32
    padding = "replicate"  # zeros cost it a tenth of its errors, at the padded borders

    def __init__(
        self,
        max_disp: int = 192,
        num_groups: int = 8,
        group_channels: int = 8,
        feature_channels: tuple[int, ...] = (24, 48, 64, 96, 128),
        volume_channels: tuple[int, ...] = (8, 16, 32, 32),
        num_stacks: int = 2,
        radius: int = 1,
        output_scale: float = 1.0,
        scale: float = 1.0,
    ):
        super().__init__(max_disp, output_scale=output_scale, scale=scale)
        check_at_least(1, num_groups=num_groups, group_channels=group_channels, num_stacks=num_stacks, radius=radius)
        if len(feature_channels) != 5 or len(volume_channels) != 4:
            raise ValueError(
                f"there are {len(feature_channels)} feature_channels and {len(volume_channels)} volume_channels;"
                " it must be five (1/2 to 1/32) and four (1/4 to 1/32)"
            )
        check_multiple(Bottleneck.expansion, feature_channels=feature_channels, volume_channels=volume_channels)
        self.num_groups = num_groups
        self.radius = radius
        half, quarter, *_ = feature_channels
        base = volume_channels[0]

        self.stem = nn.Sequential(
            ConvNormAct(3, half, stride=2, norm="instance"),
            ConvNormAct(half, half, norm="instance"),
        )
        self.features = nn.Sequential(
            ConvNormAct(half, quarter, stride=2),
            BasicBlock(quarter, quarter),
            hourglass(feature_channels[1:], dim=2),
        )
        self.match = nn.Conv2d(quarter, num_groups * group_channels, 1)
        self.detail = nn.Conv2d(half, half, 2, stride=2, bias=False)  # of the stem, which is at 1/2
        self.context = nn.Conv2d(quarter, half, 1, bias=False)
        self.guide = ConvNormAct(half, GUIDE_CHANNELS)
        self.upsampling = nn.Conv2d(GUIDE_CHANNELS, 9 * 4**2, 1)

        self.gates = nn.ModuleList(nn.Conv2d(GUIDE_CHANNELS, base, 1) for _ in range(num_stacks))
        self.entry = ConvNormAct(num_groups, base, dim=3)
        self.told = Peaks(base, REACHES)  # the coarse answer, as far as it is trusted:
        self.trust = nn.Conv2d(GUIDE_CHANNELS + 1, len(REACHES), 1)  # by the guide, and by how sure it is
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, TRUSTED)
        self.stacks = nn.ModuleList(hourglass(volume_channels, dim=3) for _ in range(num_stacks))
        self.heads = nn.ModuleList(Conv3d(base, 1, 3, padding=1, bias=False) for _ in range(num_stacks))

    def extract(self, left: Tensor, right: Tensor, *seen: Tensor) -> tuple[Tensor, ...]:
        """Features of both images to correlate, the coarse answer, and the left one's guide of gates and upsampling.

        (B,64,H/4,W/4) is the guide's shape.
        """
        (coarse,) = seen or self.seen_beforehand(left, right)
        if self.training:
            is_untold = as_by_chance(left, UNTOLD) == 0
            coarse = coarse.masked_fill(is_untold.view(-1, 1, 1, 1), -max(REACHES))
        match_left, match_right, guide = self._features(left, right)
        return match_left, match_right, coarse, guide

    def compare(self, left: Tensor, right: Tensor, coarse: Tensor, guide: Tensor) -> list[Tensor]:
        return self._similarities(left, right, guide, self.num_levels, coarse)

    def regress(self, similarities: list[Tensor], *features: Tensor) -> list[Tensor]:
        return [self.output_scale * disparity for disparity in self._disparities(similarities, features[-1], 4)]

    @property
    def coarse_levels(self) -> tuple[int, ...]:
        levels = [self.num_levels]
        for _ in range(LOOKS):
            levels.insert(0, _levels_at_half(levels[0]))
        return tuple(levels[:-1])

    def look(self, left: Tensor, right: Tensor) -> list[Look]:
        with in_evaluation(self):
            return self._looks(left, right, self.num_levels, LOOKS)

    def _looks(self, left: Tensor, right: Tensor, levels: int, count: int) -> list[Look]:
        """At ever half of the size, the smallest first; each is told what the one before it answered."""
        if not count:
            return []
        height, width = (n // 2 for n in left.shape[-2:])
        padding = Padding(height, width, self.multiple, self.padding)
        small, levels = [padding.pad(F.avg_pool2d(x, 2)) for x in (left, right)], _levels_at_half(levels)
        before = self._looks(*small, levels, count - 1)
        *features, guide = self._features(*small)
        (similarity,) = self._similarities(*features, guide, levels, before[-1].answer if before else None)
        (disparity,) = self._disparities([similarity], guide, 2)
        sureness = confidence(similarity.detach()).unsqueeze(1)
        answer = torch.cat((disparity.unsqueeze(1), F.interpolate(sureness, scale_factor=2, mode="bilinear")), 1)
        # by numbers and not by slices: those of an export of any size would hold for sizes with the same padding alone
        rows, columns = (torch.arange(n // 2, device=left.device) for n in (height, width))
        answer = answer.index_select(2, padding.top // 2 + rows).index_select(3, columns)
        return [*before, Look(answer, similarity)]

    def _features(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stem = self.stem(torch.cat((left, right)))  # both images as one batch
        features = self.features(stem)
        match_left, match_right = self._unit_vectors(self.match(features)).chunk(2)
        guide = self.guide(self.context(features.chunk(2)[0]) + self.detail(stem.chunk(2)[0]))
        return match_left, match_right, guide

    def _similarities(
        self, left: Tensor, right: Tensor, guide: Tensor, levels: int, coarse: Tensor | None = None
    ) -> list[Tensor]:
        is_innermost = not self.entry.conv.weight.is_contiguous()
        volume = groupwise_volume(left, right, levels, self.num_groups, channels_last=is_innermost)
        x = self.entry.norm(self.entry.conv(volume))
        if coarse is not None:
            trust = self.trust(torch.cat((guide, coarse[:, 1:].to(guide.dtype)), 1)).sigmoid()
            x = self.told(x, coarse[:, 0], trust)
        x = self.entry.act(x)
        similarities = []
        for i, (gate, stack, head) in enumerate(zip(self.gates, self.stacks, self.heads, strict=True)):
            share = gate(guide).sigmoid().unsqueeze(2)
            x = stack(x * share if torch.is_grad_enabled() else x.mul_(share))  # nothing else wants it
            if self.training or i == len(self.stacks) - 1:
                similarities.append(head(x).squeeze(1))
        return similarities

    def _disparities(self, similarities: list[Tensor], guide: Tensor, factor: int) -> list[Tensor]:
        """(B,factor H/4,factor W/4), of which a pixel is the unit: 4 is the pictures' size, 2 every second pixel."""
        every = 4 // factor
        mixtures = (w.unflatten(0, (9, 4, 4)) for w in (self.upsampling.weight, self.upsampling.bias))
        chosen = (UPSAMPLING_GAIN * w[:, every - 1 :: every, every - 1 :: every].flatten(0, 2) for w in mixtures)
        weights = F.conv2d(guide, *chosen)
        radius = None if self.training else factor * self.radius  # what is left out would not learn to come in
        return [
            convex_upsample(factor * soft_argmin(similarity, self.radius), weights, factor, radius)
            for similarity in similarities
        ]

    def _unit_vectors(self, x: Tensor) -> Tensor:
        """Each group of channels scaled so that the mean product of two of them is their cosine."""
        groups = x.unflatten(1, (self.num_groups, -1)).to(torch.promote_types(x.dtype, torch.float32))
        lengths = torch.linalg.vector_norm(groups, dim=2, keepdim=True).clamp_min(EPSILON)
        return (groups * (groups.shape[2] ** 0.5 / lengths)).to(x.dtype).flatten(1, 2)


def _levels_at_half(levels: int) -> int:
    """Of the volume of pictures of half the size."""
    return next_multiple(levels / 2, MAX_DISP_MULTIPLE // 4)


def hourglass(channels: tuple[int, ...], dim: int, at: int = 4) -> Hourglass:
    """A Bottleneck at every step and at the bottom; ``channels`` from 1/``at`` of the size downwards."""
    fine, coarse, *deeper = channels
    stride = (1, 2, 2) if dim == 3 and at == COARSEST_LEVELS else 2
    has_skip = dim == 2 or at == COARSEST_LEVELS  # where a volume is large, a block would cost as much as all below it

    def block(width: int) -> Bottleneck:
        return Bottleneck(width, width // Bottleneck.expansion, dim=dim)

    return Hourglass(
        down=nn.Sequential(ConvNormAct(fine, coarse, stride=stride, dim=dim), block(coarse)),
        inner=hourglass((coarse, *deeper), dim, 2 * at) if deeper else block(coarse),
        up=nn.Sequential(block(coarse), ConvNormAct(coarse, fine, stride=stride, dim=dim, act=False, transposed=True)),
        skip=block(fine) if has_skip else None,
        act=nn.ReLU(inplace=True),
    )


def hgstereo_s(**arguments) -> HGStereo:
    """1.1 million parameters."""
    return HGStereo(**arguments)
