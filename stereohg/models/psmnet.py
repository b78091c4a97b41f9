"""PSMNet: Pyramid Stereo Matching Network (Jia-Ren Chang and Yong-Sheng Chen, CVPR 2018).

The authors' code (MIT licence) is reproduced number for number. It differs in that the basic network runs (its
integer division needed Python 2), small images work (see features.py), and evaluation returns a list as training does.

Shapes: B batch, D disparity levels, H height, W width; image (B,3,H,W), volume (B,32,D/4,H/4,W/4),
similarity (B,D/4,H/4,W/4), disparity (B,H,W).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from stereohg.models.features import PyramidFeatures, initialise_as_published, similarity_head
from stereohg.models.stereo import StereoNetwork
from stereohg.nn import BasicBlock, ConvNormAct, Hourglass, concat_volume, concat_volume_conv
from stereohg.nn.fusion import is_plain


class StackedHourglass(nn.Module):
    """One hourglass of PSMNet's stack (figure 2, table 1), joined to the others by ``pre`` and ``post``.

    The outer level is written out because two things cross it: ``post`` of the stack before comes in at 1/8, and
    this stack's own ``pre`` and ``post`` go out. The inner level is the shared Hourglass.
    """

    def __init__(self, channels: int = 32):
        super().__init__()
        wide = 2 * channels
        self.down = ConvNormAct(channels, wide, stride=2, dim=3)
        self.pre = ConvNormAct(wide, wide, dim=3, act=False)
        self.inner = Hourglass(
            down=nn.Sequential(ConvNormAct(wide, wide, stride=2, dim=3), ConvNormAct(wide, wide, dim=3)),
            inner=nn.Identity(),
            up=ConvNormAct(wide, wide, stride=2, dim=3, act=False, transposed=True),
            act=nn.ReLU(),
        )
        self.up = ConvNormAct(wide, channels, stride=2, dim=3, act=False, transposed=True)

    def forward(
        self, x: Tensor, first_pre: Tensor | None = None, last_post: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (B,C,D,h,w) -> out of the same shape, and pre and post (B,2C,D/2,h/2,w/2) for the stacks that follow."""
        pre = self.pre(self.down(x))
        pre = F.relu_(pre if last_post is None else pre.add_(last_post))
        post = self.inner(pre, skip=first_pre)
        return self.up(post), pre, post


class _PSMNet(StereoNetwork):
    """What the two networks share: features, and the first convolutions of their volume."""

    def __init__(self, max_disp: int = 192, align_corners: bool = False, output_scale: float = 1.0, scale: float = 1.0):
        super().__init__(max_disp, align_corners, output_scale, scale)
        self.features = PyramidFeatures()
        self.entry = nn.Sequential(ConvNormAct(64, 32, dim=3), ConvNormAct(32, 32, dim=3))

    def extract(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return self.of_both(lambda image: self.features(image, self.align_corners), left, right)

    def enter(self, left: Tensor, right: Tensor) -> Tensor:
        """Features to (B,32,D/4,H/4,W/4). The concatenation volume itself, the largest tensor, is never there."""
        first, second = self.entry
        if not is_plain(first.conv):
            return second(first(concat_volume(left, right, self.num_levels)))
        weight, bias = first.conv.weight, first.conv.bias
        return second(first.finish(concat_volume_conv(left, right, self.num_levels, weight, bias)))


class PSMNet(_PSMNet):
    """The stacked hourglass network."""

    def __init__(self, max_disp: int = 192, align_corners: bool = False, output_scale: float = 1.0, scale: float = 1.0):
        super().__init__(max_disp, align_corners, output_scale, scale)
        self.refine = BasicBlock(32, 32, dim=3)
        self.stacks = nn.ModuleList(StackedHourglass() for _ in range(3))
        self.heads = nn.ModuleList(similarity_head() for _ in range(3))
        initialise_as_published(self)

    def compare(self, left: Tensor, right: Tensor) -> list[Tensor]:
        x = first = self.refine(self.enter(left, right))
        first_pre, post, similarities = None, None, []
        for stack, head in zip(self.stacks, self.heads, strict=True):
            out, pre, post = stack(x, first_pre, post)
            first_pre = pre if first_pre is None else first_pre
            x = out.add_(first)
            own = head(x).squeeze(1)
            similarities.append(similarities[-1] + own if similarities else own)  # the answer needs all three heads
        return similarities if self.training else similarities[-1:]


class PSMNetBasic(_PSMNet):
    """The network without hourglasses (table 1, "basic"): four residual blocks in their place."""

    def __init__(self, max_disp: int = 192, align_corners: bool = False, output_scale: float = 1.0, scale: float = 1.0):
        super().__init__(max_disp, align_corners, output_scale, scale)
        self.refine = nn.Sequential(*(BasicBlock(32, 32, dim=3) for _ in range(4)))
        self.head = similarity_head()
        initialise_as_published(self)

    def compare(self, left: Tensor, right: Tensor) -> list[Tensor]:
        return [self.head(self.refine(self.enter(left, right))).squeeze(1)]
