"""Stacked hourglass network for keypoints (Alejandro Newell, Kaiyu Yang and Jia Deng, ECCV 2016).

Reproduces, number for number, the network of pytorch-pose (bearpaw), which is where published PyTorch weights come
from; written anew from the paper and that network's parameter names.

Shapes: B batch, K keypoints, H height, W width; image (B,3,H,W), features (B,256,H/4,W/4), heatmaps (B,K,H/4,W/4).
"""

from collections.abc import Iterator

from torch import Tensor, nn

from stereohg.models.checks import check_at_least
from stereohg.nn import Bottleneck, Hourglass
from stereohg.nn.layers import normalisation

STEM_CHANNELS = 64
BLOCK_CHANNELS = 128
CHANNELS = Bottleneck.expansion * BLOCK_CHANNELS
DEPTH = 4


class KeypointHourglass(nn.Module):
    """A stem to 1/4 of the image, then ``num_stacks`` hourglasses with heatmaps after each (figure 2 and 4).

    Args:
        num_stacks: hourglasses, each supervised.
        num_blocks: Bottlenecks on each branch of an hourglass.
        num_keypoints: heatmaps of each stack.
        norm: "batch", or "group" (32 groups).
    """

    multiple = 64
    """Height and width of the input must be multiples of this: 1/4 by the stem, 1/16 by an hourglass of depth 4."""

    def __init__(self, num_stacks: int = 2, num_blocks: int = 1, num_keypoints: int = 16, norm: str = "batch"):
        super().__init__()
        check_at_least(1, num_stacks=num_stacks, num_blocks=num_blocks, num_keypoints=num_keypoints)
        if norm not in ("batch", "group"):
            raise ValueError(f"norm is {norm!r}; it must be 'batch' or 'group'")
        self.num_keypoints = num_keypoints
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3),
            normalisation(norm, STEM_CHANNELS),
            nn.ReLU(inplace=True),
            Bottleneck(STEM_CHANNELS, STEM_CHANNELS, norm=norm),
            nn.MaxPool2d(2),
            Bottleneck(2 * STEM_CHANNELS, BLOCK_CHANNELS, norm=norm),
            Bottleneck(CHANNELS, BLOCK_CHANNELS, norm=norm),
        )
        self.stacks = nn.ModuleList(
            nn.Sequential(
                hourglass(DEPTH, num_blocks, norm),
                residual_blocks(num_blocks, norm),
                nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), normalisation(norm, CHANNELS), nn.ReLU(inplace=True)),
            )
            for _ in range(num_stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(CHANNELS, num_keypoints, 1) for _ in range(num_stacks))
        self.merge_features = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(num_stacks - 1))
        self.merge_heatmaps = nn.ModuleList(nn.Conv2d(num_keypoints, CHANNELS, 1) for _ in range(num_stacks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B,3,H,W) -> heatmaps (B,K,H/4,W/4), one a stack, the last the answer; each is for the loss.

        ``image`` is RGB in [0,1] less the mean of the training set. H and W are any multiples of 64;
        ``predict_keypoints`` pads what is not.
        """
        return [heatmaps for _, heatmaps in self._stacked(image)]

    def features(self, image: Tensor) -> list[Tensor]:
        """(B,3,H,W) -> what the heads read, (B,256,H/4,W/4), one a stack, the last from the whole depth.

        Other heads, for segmentation or dense regression, may be built on any of them; they are never negative, as a
        ReLU is before them, and gradients reach the whole network but its last head.
        """
        return [features for features, _ in self._stacked(image)]

    def _stacked(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        height, width = image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(f"image is {height}x{width}; height and width must be multiples of {self.multiple}")
        x = self.stem(image)
        for i, (stack, head) in enumerate(zip(self.stacks, self.heads, strict=True)):
            features = stack(x)
            heatmaps = head(features)
            yield features, heatmaps
            if i < len(self.merge_features):  # what this stack saw goes into the next one (section 3.3)
                x = x + self.merge_features[i](features) + self.merge_heatmaps[i](heatmaps)


def hourglass(depth: int, num_blocks: int, norm: str) -> Hourglass:
    """``depth`` nested levels of max-pooling and nearest upsampling (section 3.1)."""
    return Hourglass(
        down=nn.Sequential(nn.MaxPool2d(2), residual_blocks(num_blocks, norm)),
        inner=hourglass(depth - 1, num_blocks, norm) if depth > 1 else residual_blocks(num_blocks, norm),
        up=nn.Sequential(residual_blocks(num_blocks, norm), nn.Upsample(scale_factor=2)),
        skip=residual_blocks(num_blocks, norm),
    )


def residual_blocks(num_blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(*(Bottleneck(CHANNELS, BLOCK_CHANNELS, norm=norm) for _ in range(num_blocks)))
