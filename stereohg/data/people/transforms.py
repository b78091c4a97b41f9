"""Random changes of a crop and of its colours, for training; the numbers are those of pytorch-pose.

What changes the geometry goes into the crop's one affine map, so that a picture is resampled once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Change:
    """What was drawn for one sample.

    Attributes:
        scale: factor on the window's side; above one the person becomes smaller.
        rotation: degrees, anticlockwise.
        mirrored: left and right are exchanged.
        colour: factors on red, green and blue.
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirrored: bool = False
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def coloured(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) float32 in [0,1], with its channels changed."""
        return np.clip(image * np.float32(self.colour), 0, 1)


UNCHANGED = Change()


@dataclass(frozen=True)
class Augmentation:
    """How changes are drawn; equal generators, equal changes.

    Args:
        scale: deviation of the scale from 1, and the most of it.
        rotation: deviation of the rotation, degrees; twice that is the most.
        turned: probability of a rotation.
        mirrored: probability of a mirror image.
        colour: each channel is multiplied by a factor within 1 +- this.

    Raises:
        ValueError: a number is out of its range.
    """

    scale: float = 0.25
    rotation: float = 30.0
    turned: float = 0.6
    mirrored: float = 0.5
    colour: float = 0.2

    def __post_init__(self):
        for name in ("scale", "turned", "mirrored", "colour"):
            if not 0 <= getattr(self, name) <= 1 or (name == "scale" and self.scale == 1):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0 and at most 1 (scale below)")
        if not 0 <= self.rotation < np.inf:
            raise ValueError(f"rotation is {self.rotation}; it must be 0 or more degrees")

    def draw(self, random: Generator) -> Change:
        scale = 1 + float(np.clip(self.scale * random.standard_normal(), -self.scale, self.scale))
        rotation = float(np.clip(self.rotation * random.standard_normal(), -2 * self.rotation, 2 * self.rotation))
        turns, mirrors = random.random(2)
        return Change(
            scale=scale,
            rotation=rotation if turns < self.turned else 0.0,
            mirrored=bool(mirrors < self.mirrored),
            colour=tuple(random.uniform(1 - self.colour, 1 + self.colour, 3)),
        )
