"""How far a disparity map is from the truth: pure functions of arrays, for one image or any number of them.

Shapes: disparities (H,W), or any shape that the three arrays share, in pixels; valid the same, bool.
Only valid pixels count, and each counts once, so that the figures of a whole set do not depend on its batches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BAD_THRESHOLDS = (1, 2, 3)  # pixels
D1_PIXELS = 3.0
D1_SHARE = 0.05  # of the true disparity


@dataclass(frozen=True)
class ErrorSums:
    """Errors summed over pixels, in float64; ``+`` joins those of two images, or of any two sets of pixels.

    Attributes:
        pixels: how many there were.
        absolute: sum of the absolute errors, pixels.
        squared: sum of their squares.
        bad: by threshold, how many errors are above it.
        outliers: how many errors are above 3 pixels *and* 5 % of the truth.
    """

    pixels: int
    absolute: float
    squared: float
    bad: Mapping[float, int]
    outliers: int

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        if self.bad.keys() != other.bad.keys():
            raise ValueError(f"thresholds {list(self.bad)} and {list(other.bad)} do not add up; count the same ones")
        return ErrorSums(
            self.pixels + other.pixels,
            self.absolute + other.absolute,
            self.squared + other.squared,
            {limit: self.bad[limit] + other.bad[limit] for limit in self.bad},
            self.outliers + other.outliers,
        )

    def figures(self) -> dict[str, float]:
        """What ``disparity_metrics`` returns, without ``pixels``.

        Raises:
            ValueError: there is no pixel.
        """
        if not self.pixels:
            raise ValueError("no pixel is valid, and over none there is no error; leave such an image out")
        return {
            "epe": self.absolute / self.pixels,
            **{f"bad_{limit}": 100 * (count / self.pixels) for limit, count in self.bad.items()},
            "d1": 100 * (self.outliers / self.pixels),
            "rmse": (self.squared / self.pixels) ** 0.5,
        }


def error_sums(
    prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray, thresholds: Sequence[float] = BAD_THRESHOLDS
) -> ErrorSums:
    """The sums over the valid pixels, of which there may be none.

    Raises:
        ValueError: the shapes differ, or a valid pixel is not finite in prediction or truth.
    """
    prediction, truth, valid = np.asarray(prediction), np.asarray(truth), np.asarray(valid, bool)
    if not prediction.shape == truth.shape == valid.shape:
        raise ValueError(
            f"prediction is {prediction.shape}, truth {truth.shape} and valid {valid.shape}; all must be of one shape"
        )
    prediction, truth = prediction[valid].astype(np.float64), truth[valid].astype(np.float64)
    for name, values in (("prediction", prediction), ("truth", truth)):
        lost = np.count_nonzero(~np.isfinite(values))
        if lost:
            raise ValueError(f"{name} is not finite at {lost} of {values.size} valid pixels; fill or unmark them")

    error = np.abs(prediction - truth)
    return ErrorSums(
        pixels=error.size,
        absolute=float(error.sum()),
        squared=float(np.sum(error**2)),
        bad={limit: int(np.count_nonzero(error > limit)) for limit in thresholds},
        outliers=int(np.count_nonzero((error > D1_PIXELS) & (error > D1_SHARE * np.abs(truth)))),
    )


def disparity_metrics(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """The usual figures, over the valid pixels.

    Returns:
        ``epe`` and ``rmse``, the mean and the root of the mean square of the absolute error in pixels;
        ``bad_1``, ``bad_2``, ``bad_3``, the percentage of pixels with an error above 1, 2, 3 pixels (Middlebury);
        ``d1``, the percentage with an error above 3 pixels *and* 5 % of the truth (KITTI 2015's development kit);
        ``pixels``, how many there were.

    Raises:
        ValueError: the shapes differ, no pixel is valid, or a valid one is not finite in prediction or truth.
    """
    sums = error_sums(prediction, truth, valid)
    return {**sums.figures(), "pixels": sums.pixels}


def per_pixel(images: Iterable[ErrorSums]) -> dict[str, float]:
    """The figures over all pixels of all images, each pixel counting the same.

    Raises:
        ValueError: there is no image, or no pixel in them.
    """
    first, *others = _some(images)
    return sum(others, start=first).figures()


def per_image(images: Iterable[ErrorSums]) -> dict[str, float]:
    """The mean of the images' own figures, each image counting the same.

    Raises:
        ValueError: there is no image, or one has no pixel.
    """
    figures = [sums.figures() for sums in _some(images)]
    return {name: float(np.mean([own[name] for own in figures])) for name in figures[0]}


def _some(images: Iterable[ErrorSums]) -> list[ErrorSums]:
    images = list(images)
    if not images:
        raise ValueError("there is no image, and over none there is no error")
    return images


def sparsification_area(
    prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray, sureness: np.ndarray, steps: int = 100
) -> float:
    """How far from ideal the order of the confidences is: 0 where the largest errors are the least sure, 1 for chance.

    The mean error of what is kept, while the least sure pixels are left out share by share, less that of the oracle,
    which leaves out the largest errors; as a share of what chance would give (Ilg et al., ECCV 2018, section 5.2).

    Args:
        prediction: (H,W) pixels.
        truth: (H,W) pixels.
        valid: (H,W) bool.
        sureness: (H,W), larger is surer.
        steps: shares at which the curves are taken.

    Raises:
        ValueError: no pixel is valid, an error is not finite, or all are the same.
    """
    error = np.abs(prediction[valid].astype(np.float64) - truth[valid])
    if not np.isfinite(error).all():
        raise ValueError(f"prediction or truth is not finite at {np.count_nonzero(~np.isfinite(error))} valid pixels")
    if not error.size or error.min() == error.max():
        raise ValueError("no valid pixel has an error of its own, so there is nothing to put in order")
    kept = np.unique(np.ceil(error.size * np.arange(1, steps + 1) / steps).astype(int))

    def curve(order: np.ndarray) -> np.ndarray:
        return np.cumsum(error[order])[kept - 1] / kept

    ours, oracle = curve(np.argsort(-sureness[valid], kind="stable")), curve(np.argsort(error, kind="stable"))
    return float((ours - oracle).mean() / (error.mean() - oracle).mean())
