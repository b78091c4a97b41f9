"""Random changes of a whole sample, so that pictures, disparities and masks cannot part.

Each is a frozen dataclass that is called with a sample and a random generator; equal generators, equal results. The
published recipes use ``RandomCrop`` alone, with the default size. Of the rest, the flips and the scale change the
geometry; colour, noise, patch and vertical shift only what the cameras would have made of it. Put the geometry first,
then the crop, then the others, which are slower the larger the picture.

Shapes: H height, W width; see ``stereo.py``. Colours become float32 in [0,1].
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from stereohg.data.preprocess import as_rgb
from stereohg.data.stereo import StereoSample

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green, blue (ITU-R BT.601)


@dataclass(frozen=True)
class Compose:
    """One after the other."""

    transforms: tuple[Callable[[StereoSample, Generator], StereoSample], ...]

    @property
    def uses_right_truth(self) -> bool:
        return any(getattr(transform, "uses_right_truth", False) for transform in self.transforms)

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        for transform in self.transforms:
            sample = transform(sample, random)
        return sample


# --- geometry -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RandomCrop:
    """The same window of every image and map, in pixels; ValueError when the sample is smaller."""

    height: int = 256
    width: int = 512

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        height, width = sample.size
        if height < self.height or width < self.width:
            raise ValueError(
                f"{sample.name} is {width}x{height} pixels, too small for a crop of {self.width}x{self.height}; crop "
                "less, or scale first"
            )
        top = int(random.integers(height - self.height + 1))
        left = int(random.integers(width - self.width + 1))
        return sample.each(lambda array: array[top : top + self.height, left : left + self.width])


@dataclass(frozen=True)
class RandomScale:
    """Resizes by a factor between ``low`` and ``high``, evenly distributed in its logarithm, and so the disparity.

    Pictures are interpolated, or averaged when they shrink; maps take the nearest pixel, so that nothing is mixed
    across an edge. The result is never smaller than ``height`` and ``width``, for the crop that follows.
    """

    low: float = 0.8
    high: float = 1.5
    height: int = 1
    width: int = 1

    def __post_init__(self):
        if not 0 < self.low <= self.high:
            raise ValueError(f"the scale goes from {self.low} to {self.high}; 0 < low <= high is needed")

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        factor = np.exp(random.uniform(np.log(self.low), np.log(self.high)))
        height, width = sample.size
        factor = max(factor, self.height / height, self.width / width)
        new_height, new_width = max(round(height * factor), self.height), max(round(width * factor), self.width)
        picture = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR

        def resized(array: np.ndarray) -> np.ndarray:
            how = picture if array.ndim == 3 else cv2.INTER_NEAREST_EXACT
            flat = array.view(np.uint8) if array.dtype == bool else array
            return cv2.resize(np.ascontiguousarray(flat), (new_width, new_height), interpolation=how).view(array.dtype)

        scaled = sample.each(resized)
        stretch = np.float32(new_width / width)
        right = None if scaled.right_disparity is None else scaled.right_disparity * stretch
        return replace(scaled, disparity=scaled.disparity * stretch, right_disparity=right)


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirrors both pictures and exchanges them, which keeps disparities positive.

    The right picture's ground truth becomes the sample's; a sample without it stays as it is.
    """

    probability: float = 0.5
    uses_right_truth = True

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        flips = random.random() < self.probability
        return sample.mirrored() if flips and sample.right_disparity is not None else sample


@dataclass(frozen=True)
class VerticalFlip:
    """Turns everything upside down."""

    probability: float = 0.5

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        return sample.each(lambda array: array[::-1]) if random.random() < self.probability else sample


# --- cameras --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Colour:
    """Brightness, contrast, saturation, each a factor within 1 +- its value, and gamma, within exp(+- its value).

    With probability ``asymmetric`` each picture has its own, as two cameras would; otherwise both have the same. With
    probability ``grey`` both lose their colour.
    """

    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    gamma: float = 0.2
    asymmetric: float = 0.3
    grey: float = 0.0

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        left = self._draw(random)
        right = self._draw(random) if random.random() < self.asymmetric else left
        if random.random() < self.grey:
            left, right = ((*rest, 0.0, gamma) for *rest, _, gamma in (left, right))
        return replace(sample, left=_coloured(sample.left, *left), right=_coloured(sample.right, *right))

    def _draw(self, random: Generator) -> tuple[float, ...]:
        spans = (self.brightness, self.contrast, self.saturation)
        return *(random.uniform(1 - span, 1 + span) for span in spans), np.exp(random.uniform(-self.gamma, self.gamma))


def _coloured(image: np.ndarray, brightness: float, contrast: float, saturation: float, gamma: float) -> np.ndarray:
    """All but gamma are one affine map of the colour, c -> b k (s c + (1 - s) luma(c)) + (1 - k) b luma(mean)."""
    image = as_rgb(image)
    mix = saturation * np.eye(3) + (1 - saturation) * LUMA
    offset = (1 - contrast) * brightness * (LUMA @ cv2.mean(image)[:3])
    affine = np.column_stack([brightness * contrast * mix, np.full(3, offset)])
    return cv2.pow(np.clip(cv2.transform(image, affine), 0, 1), gamma)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise, its own in each picture, of a deviation up to ``deviation`` (of 1, white)."""

    deviation: float = 0.02

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        deviation = np.float32(random.uniform(0, self.deviation))

        def noisy(image: np.ndarray) -> np.ndarray:
            noise = random.standard_normal(image.shape, dtype=np.float32)
            return np.clip(as_rgb(image) + deviation * noise, 0, 1)

        return replace(sample, left=noisy(sample.left), right=noisy(sample.right))


@dataclass(frozen=True)
class OccludingPatch:
    """Hides a rectangle of the right picture, of sides between ``low`` and ``high`` pixels, under its mean colour.

    The ground truth stays: what is hidden has to be guessed from around it.
    """

    probability: float = 0.5
    low: int = 50
    high: int = 100

    def __post_init__(self):
        if not 0 < self.low <= self.high:
            raise ValueError(f"the patch's sides go from {self.low} to {self.high}; 0 < low <= high is needed")

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        if random.random() >= self.probability:
            return sample
        sides = random.integers(self.low, self.high, 2, endpoint=True)
        top, left = random.integers(sample.size)
        right = sample.right.copy()
        right[top : top + sides[0], left : left + sides[1]] = right.mean((0, 1))
        return replace(sample, right=right)


@dataclass(frozen=True)
class VerticalShift:
    """Moves the right picture by up to ``rows`` pixels, as imperfect rectification does.

    The right picture's own ground truth, which would not fit any more, is dropped: flip before, not after.
    """

    rows: float = 1.0
    probability: float = 0.5

    def __call__(self, sample: StereoSample, random: Generator) -> StereoSample:
        if random.random() >= self.probability:
            return sample
        move = np.float32([[1, 0, 0], [0, 1, random.uniform(-self.rows, self.rows)]])
        height, width = sample.size
        picture = np.ascontiguousarray(sample.right)
        right = cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return replace(sample, right=right, right_disparity=None, right_valid=None)
