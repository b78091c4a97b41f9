"""What every source of synthetic scenes gives, and what two real cameras would have made of it.

Shapes: B scenes, H height, W width; of one, images (H,W,3), disparity (H,W) float32 pixels, occluded (H,W) bool.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BLURRED = 1.0  # pixels, the largest deviation of a camera's blur
REACH = 4  # pixels on either side that it mixes, four deviations


@dataclass(frozen=True)
class Scene:
    """One rendered pair. ``disparity`` and ``occluded`` belong to the left image; nothing in it is unknown."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    occluded: np.ndarray


@dataclass(frozen=True)
class Cameras:
    """In what the two differ from ideal ones, and from each other; the first of each is the left one's.

    Attributes:
        offset: rows by which the right one looks lower.
        gain: (2,3) on the colours.
        gamma: (2,).
        blur: (2,) deviation, pixels; zero is none.
        noise: deviation, of 255.
        seed: of the noise.
    """

    offset: float
    gain: np.ndarray
    gamma: np.ndarray
    blur: np.ndarray
    noise: float
    seed: int


def vertical_offset(random, asymmetry: float) -> float:
    """Rows by which the right camera looks lower: none more often than not."""
    return float(asymmetry * random.choice([0.0, random.uniform(-1, 1)], p=[0.6, 0.4]))


def draw_cameras(random, offset: float, asymmetry: float) -> Cameras:
    """A shared exposure, then each with its own gain, gamma, colour, blur and noise; ideal ones where nothing is."""
    shared_gain, shared_gamma = np.exp(random.normal(0, 0.15)), np.exp(random.normal(0, 0.15))
    noise = random.choice([0.0, random.uniform(0, 6)]) * asymmetry
    gain, gamma, blur = np.ones((2, 3)), np.ones(2), np.zeros(2)
    for i in range(2):
        own_gain = shared_gain * np.exp(asymmetry * (random.normal(0, 0.08) + random.normal(0, 0.03, 3)))
        own_gamma = shared_gamma * np.exp(asymmetry * random.normal(0, 0.08))
        blur[i] = asymmetry * random.choice([0.0, random.uniform(0.3, BLURRED)], p=[0.6, 0.4])
        if asymmetry:
            gain[i], gamma[i] = own_gain, own_gamma
    return Cameras(offset, gain, gamma, blur, float(noise), int(random.integers(2**31)))


def photograph(cameras: list[Cameras], left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both views (B,H,W,3) in [0,255], which each camera takes as uint8. Devices differ in the noise."""
    views = []
    for i, view in enumerate((left, right)):
        gain, gamma = (
            view.new_tensor(np.stack([getattr(own, name)[i] for own in cameras]))[:, None, None]
            for name in ("gain", "gamma")
        )
        view = 255 * ((view * gain).clamp(0, 255) / 255) ** gamma.unsqueeze(-1)
        view = _blurred(view, [own.blur[i] for own in cameras])
        for one, own in zip(view, cameras, strict=True):
            if own.noise:
                generator = torch.Generator(view.device).manual_seed(2 * own.seed + i)
                one += own.noise * torch.randn(one.shape, generator=generator, device=view.device)
        views.append(view.round().clamp(0, 255).byte())
    return views[0], views[1]


def _blurred(view: Tensor, deviations: list[float]) -> Tensor:
    """(B,H,W,3), by a Gaussian of so many pixels, each its own."""
    if not any(deviations):
        return view
    away = torch.arange(-REACH, REACH + 1) ** 2
    weights = torch.stack([(-away / (2 * own**2)).exp() if own else (away == 0).float() for own in deviations])
    weights = (weights / weights.sum(1, keepdim=True)).float().to(view.device)
    planes = F.pad(view.permute(3, 0, 1, 2), 4 * (REACH,), mode="reflect")  # (3,B,H,W), a group of it for each scene
    groups = len(deviations)
    planes = F.conv2d(planes, weights[:, None, :, None], groups=groups)
    return F.conv2d(planes, weights[:, None, None, :], groups=groups).permute(1, 2, 3, 0).contiguous()


def occlusion(disparity: Tensor, right_disparity: Tensor, offset: Tensor) -> Tensor:
    """(B,H,W) true where the left pixel's point is outside the right view or behind something there; offset (B,).

    Visible means that both right pixels beside the point show a surface within a pixel of its disparity.
    """
    _, height, width = disparity.shape
    rows, columns = (torch.arange(count, device=disparity.device) for count in (height, width))
    x_right = columns - disparity
    y_right = (rows - offset[:, None]).round().long().clamp(0, height - 1)  # (B,H)
    seen = right_disparity.gather(1, y_right.unsqueeze(-1).expand(-1, -1, width))
    occluded = (x_right < 0) | (x_right > width - 1)
    for side in (x_right.floor(), x_right.ceil()):
        occluded |= (seen.gather(2, side.long().clamp(0, width - 1)) - disparity).abs() > 1
    return occluded


def as_scenes(left: Tensor, right: Tensor, disparity: Tensor, occluded: Tensor) -> list[Scene]:
    """A batch of them."""
    arrays = (x.cpu().numpy() for x in (left, right, disparity, occluded))
    return [Scene(*own) for own in zip(*arrays, strict=True)]
