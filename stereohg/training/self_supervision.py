"""Learning from pairs without ground truth: each picture has to look like the other one, moved by the disparities.

After Godard, Mac Aodha and Brostow, CVPR 2017 (section 3.3), with the disparities of both views from one network: the
right one's are those of the mirrored pair. Pixels that the other picture does not show are left out.

Shapes: B batch, C channels, H height, W width; image (B,3,H,W) in [0,1], disparity (B,H,W) pixels.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor, nn

from stereohg.data.preprocess import denormalise
from stereohg.data.stereo import StereoBatch, StereoDataset, StereoSample
from stereohg.data.transforms import Compose
from stereohg.training.config import StereoTraining
from stereohg.training.losses import masked_mean
from stereohg.training.stereo import StereoTask, open_set

SSIM_SHARE = 0.85  # of the photometric error, beside the absolute difference
SSIM_CONSTANTS = 0.01**2, 0.03**2
TOLERANCE = 1.0  # pixels; what is nearer by more hides what is behind it


class SelfSupervisedTask(StereoTask):
    """``StereoTask`` with the loss "photometric", which asks for no ground truth and looks at none.

    Raises:
        ValueError: also where the augmentation makes the two pictures differ.
    """

    measures = ("loss", "photometric", "inconsistent")
    has_loss = ("photometric",)

    def __init__(self, config: StereoTraining):
        super().__init__(config)
        check_alike(config)

    def open_samples(self) -> StereoDataset:
        config = self.config
        unread = {"with_truth": False} if config.data.name == "folder" else {}
        transform = Compose((config.augmentation.compose(), count_everywhere))
        samples = open_set(self.data, seed=config.seed, transform=transform, **unread)
        samples.files = [replace(own, disparity=None, right_disparity=None) for own in samples.files]
        return samples

    def losses(self, network: nn.Module, batch: StereoBatch, counts: Tensor) -> Tensor:
        config = self.config.loss
        views = torch.cat((batch.left, batch.right.flip(-1)))  # the second half is the mirrored pair
        others = torch.cat((batch.right, batch.left.flip(-1)))
        predictions = network(views, others)
        with torch.autocast(batch.left.device.type, enabled=False):
            views, others = (denormalise(images, **self.normalisation) for images in (views, others))
            valid, count = torch.cat((batch.valid, batch.valid.flip(-1))), 2 * counts[0]
            loss = 0.0
            for weight, disparity in zip(config.heads, predictions, strict=True):
                seen, of_other, inside = moved(others, other_views(disparity), disparity)
                apart = (of_other - disparity).abs()
                shown = valid & inside & (of_other.detach() <= disparity.detach() + TOLERANCE)
                photometric = masked_mean(photometric_error(seen, views), shown, count)
                inconsistency = masked_mean(apart / disparity.shape[-1], shown, count)
                roughness = masked_mean(smoothness_error(disparity / disparity.shape[-1], views), valid, count)
                loss = loss + weight * (
                    photometric + config.consistency * inconsistency + config.smoothness * roughness
                )
            inconsistent = masked_mean((apart > TOLERANCE).to(apart.dtype), valid, count)
            return torch.stack([loss, photometric.detach(), inconsistent])

    def pictures(self, network: nn.Module, batch: StereoBatch) -> dict[str, np.ndarray]:
        return super().pictures(network, batch._replace(valid=torch.zeros_like(batch.valid)))


def check_alike(config: StereoTraining) -> None:
    """Raises ValueError where the recipe makes one picture unlike the other, or bounds a truth that is not there."""
    changes = config.augmentation
    unlike = {
        "augmentation.horizontal_flip": changes.horizontal_flip is not None,  # it needs the right one's truth
        "augmentation.vertical_shift": changes.vertical_shift is not None,
        "window": config.window is not None,
        "augmentation.patch": changes.patch is not None,
        "augmentation.colour.asymmetric": changes.colour is not None and changes.colour.asymmetric > 0,
        "loss.above": config.loss.above is not None,
        "loss.below": config.loss.below is not None,
        "loss.coarse": config.loss.coarse > 0,
    }
    wrong = [name for name, is_set in unlike.items() if is_set]
    if wrong:
        raise ValueError(
            "the photometric loss compares the two whole pictures, and knows no truth; leave out " + ", ".join(wrong)
        )


def count_everywhere(sample: StereoSample, random: Generator) -> StereoSample:
    """Every pixel counts, whether there is ground truth or not."""
    return replace(sample, valid=np.ones(sample.size, bool))


def other_views(disparity: Tensor) -> Tensor:
    """Of pairs and their mirrored ones (2B,H,W): the disparities of each one's other picture, in that picture."""
    own, mirrored = disparity.chunk(2)
    return torch.cat((mirrored, own)).flip(-1)


def moved(image: Tensor, of_image: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The right picture and its disparities where the left one's say: at x - d, between pixels linearly.

    Returns:
        The picture (B,3,H,W), the disparities (B,H,W), and where x - d lies in the picture (B,H,W) bool.
    """
    height, width = disparity.shape[-2:]
    x = torch.arange(width, device=disparity.device, dtype=disparity.dtype) - disparity
    y = torch.arange(height, device=disparity.device, dtype=disparity.dtype)[:, None].expand_as(x)
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), -1)
    both = torch.cat((image, of_image.unsqueeze(1)), 1)
    both = F.grid_sample(both, grid, padding_mode="border", align_corners=True)
    return both[:, :3], both[:, 3], (x >= 0) & (x <= width - 1)


def photometric_error(image: Tensor, other: Tensor) -> Tensor:
    """Structural dissimilarity over 3x3 pixels and absolute difference, means over the colours: (B,H,W) (eq. 2)."""
    unlike = (1 - structural_similarity(image, other)).clamp(0, 2) / 2
    return (SSIM_SHARE * unlike + (1 - SSIM_SHARE) * (image - other).abs()).mean(1)


def structural_similarity(image: Tensor, other: Tensor) -> Tensor:
    """Over 3x3 pixels, the border repeated: (B,C,H,W) (Wang et al. 2004, eq. 13)."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)

    c1, c2 = SSIM_CONSTANTS
    mean_a, mean_b = mean(image), mean(other)
    variances = mean(image.square()) - mean_a.square() + mean(other.square()) - mean_b.square()
    covariance = mean(image * other) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def smoothness_error(disparity: Tensor, image: Tensor) -> Tensor:
    """How steep the disparity is where the picture is not: (B,H,W) (eq. 4)."""
    steepness = 0.0
    for dim in (-1, -2):
        padding = (0, 1) if dim == -1 else (0, 0, 0, 1)
        of_picture = image.diff(dim=dim).abs().mean(1)
        steepness = steepness + F.pad(disparity.diff(dim=dim).abs() * (-of_picture).exp(), padding)
    return steepness
