"""What every stereo network here has in common: its range of disparities, its input check and its answer.

Shapes: image (B,3,H,W) normalised, similarity (B,D/4,H/4,W/4), disparity (B,H,W) float32 pixels, positive,
left x minus right x.
"""

from collections.abc import Callable
from contextlib import nullcontext
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stereohg.models.recompute import recomputed
from stereohg.nn import upsampled_soft_argmin

LARGEST_SCALE = 4
MAX_DISP_MULTIPLE = 16  # 1/4 by the features, then twice 1/2 by the 3-D hourglasses


class Look(NamedTuple):
    """What a network makes of a pair at half of its size."""

    answer: Tensor
    """Disparities in levels of the pair's volume, and how sure they are: (B,2,H/4,W/4)."""
    similarity: Tensor
    """Behind it, of the small pair and what it was padded with at the top and on the right: (B,D/8,H/8,W/8)."""


class StereoNetwork(nn.Module):
    """Base of the stereo networks; a subclass gives ``extract`` and ``compare``.

    Args:
        max_disp: levels searched, 0 to ``max_disp`` - 1 pixels; a positive multiple of 16. No weight depends on it,
            so it may be set on a trained model: ``model.max_disp = 288``.
        align_corners: how volumes and pooled features are upsampled; weights trained before PyTorch 0.4.1 want True.
        output_scale: factor on the disparity.
        scale: what ``stereohg.predict`` enlarges pictures by before they are matched, where its caller does not say,
            above 0 and at most 4; ``max_disp`` counts pixels of the enlarged ones. ``forward`` takes what it is given.
    """

    multiple = 16
    """Height and width of the input must be multiples of this; ``stereohg.predict`` pads by itself."""
    padding = "constant"
    """What it pads with: zeros, as the papers' own test code does, or "replicate"."""
    recomputes_features = False
    """Whether training keeps nothing of the 2-D features for the backward pass: less memory, a little more time."""

    def __init__(self, max_disp: int = 192, align_corners: bool = False, output_scale: float = 1.0, scale: float = 1.0):
        super().__init__()
        check_scale(scale)
        self.max_disp = max_disp
        self.align_corners = align_corners
        self.output_scale = output_scale
        self.scale = scale

    @property
    def max_disp(self) -> int:
        return self._max_disp

    @max_disp.setter
    def max_disp(self, value: int) -> None:
        if not isinstance(value, Real) or not value > 0 or value % MAX_DISP_MULTIPLE:
            raise ValueError(f"max_disp is {value!r}; it must be a positive multiple of {MAX_DISP_MULTIPLE}, say 192")
        self._max_disp = int(value)

    @property
    def num_levels(self) -> int:
        """Levels of the volume, at a quarter of the resolution."""
        return self.max_disp // 4

    coarse_levels: tuple[int, ...] = ()
    """Levels of the similarities of each ``look``."""

    def look(self, left: Tensor, right: Tensor) -> list[Look]:
        """What is to be seen of the whole pair before any part of it is extracted, the coarsest first: mostly nothing.

        Each is at half of the size of the next, and the last at half of that of the pair.
        """
        return []

    def seen_beforehand(self, left: Tensor, right: Tensor) -> tuple[Tensor, ...]:
        """The last look's answer, if there is a look; no gradient goes through it."""
        # an exported graph with a change of modes in it cannot be read again
        with nullcontext() if torch.compiler.is_exporting() else torch.no_grad():
            return tuple(look.answer for look in self.look(left, right)[-1:])

    def extract(self, left: Tensor, right: Tensor, *seen: Tensor) -> tuple[Tensor, ...]:
        """What the whole images come to before they are compared, such as 2-D features: each (B,C,H/4,W/4).

        ``seen`` is the last look's answer, if it is known: of these images, or of larger ones that they are a part of.
        """
        raise NotImplementedError

    def compare(self, *features: Tensor) -> list[Tensor]:
        """Similarity volumes (B,D/4,H/4,W/4) from what ``extract`` gave, coarse to fine; larger = likelier.

        It is local: features far away in the image have no part in a row's similarities.
        """
        raise NotImplementedError

    def regress(self, similarities: list[Tensor], *features: Tensor) -> list[Tensor]:
        """Each similarity volume to disparities (B,H,W), in float32 at least."""
        return [self.output_scale * self._expectation(similarity) for similarity in similarities]

    def _expectation(self, similarity: Tensor) -> Tensor:
        height, width = similarity.shape[-2:]
        return upsampled_soft_argmin(similarity, self.max_disp, (4 * height, 4 * width), self.align_corners)

    def forward(self, left: Tensor, right: Tensor) -> list[Tensor]:
        """Disparities (B,H,W), coarse to fine, the last the answer: all heads in training, a list of one in eval."""
        return self.forward_with_similarities(left, right)[0]

    def forward_with_similarities(
        self, left: Tensor, right: Tensor, *seen: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The disparities and the similarity volumes behind them, in one pass; ``seen`` as ``extract`` has it."""
        self.check_input(left, right)
        if self.training and self.recomputes_features:
            seen = seen or self.seen_beforehand(left, right)  # once, and not once more
            features = recomputed(self, self.extract, left, right, *seen)
        else:
            features = self.extract(left, right, *seen)
        similarities = self.compare(*features)
        return self.regress(similarities, *features), similarities

    def of_both(self, features: Callable[[Tensor], Tensor], left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the two images: as one batch in eval; one by one in training, each with its own statistics."""
        if self.training:
            return features(left), features(right)
        return features(torch.cat((left, right))).chunk(2)

    def check_input(self, left: Tensor, right: Tensor) -> None:
        """Raises ValueError where the pair cannot be fed to the network, with the mend."""
        if left.shape != right.shape or left.dim() != 4 or left.shape[1] != 3:
            raise ValueError(
                f"left is {tuple(left.shape)} and right {tuple(right.shape)}; both must be (B,3,H,W) of one size"
            )
        height, width = left.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"images of {height}x{width} do not fit: height and width must be multiples of {self.multiple}; "
                "pad them, or call stereohg.predict, which does"
            )


def check_scale(scale: float) -> None:
    """Raises ValueError where pictures cannot be resized by it."""
    if not (isinstance(scale, Real) and 0 < scale <= LARGEST_SCALE):
        raise ValueError(f"scale is {scale!r}; it must be a number above 0 and at most {LARGEST_SCALE}")


def check_stereo(network: nn.Module) -> None:
    """Raises ValueError where it is no stereo network."""
    if not isinstance(network, StereoNetwork):
        raise ValueError(
            f"{type(network).__name__} is no stereo network; those of keypoints are asked by stereohg pose or"
            " stereohg.pose.KeypointPredictor"
        )
