"""How far a disparity map is from the truth: pure functions of arrays, for one image or any number of them.

Shapes: disparities (H,W), or any shape that the three arrays share, in pixels; valid the same, bool.
Only valid pixels count, and each counts once, so that the figures of a whole set do not depend on its batches.
"""

import numpy as np

BAD_THRESHOLDS = (1, 2, 3)  # pixels
D1_PIXELS = 3.0
D1_SHARE = 0.05  # of the true disparity


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
    prediction, truth, valid = np.asarray(prediction), np.asarray(truth), np.asarray(valid, bool)
    if not prediction.shape == truth.shape == valid.shape:
        raise ValueError(
            f"prediction is {prediction.shape}, truth {truth.shape} and valid {valid.shape}; all must be of one shape"
        )
    if not valid.any():
        raise ValueError("no pixel is valid, and over none there is no error; leave such an image out")
    prediction, truth = prediction[valid].astype(np.float64), truth[valid].astype(np.float64)
    for name, values in (("prediction", prediction), ("truth", truth)):
        lost = np.count_nonzero(~np.isfinite(values))
        if lost:
            raise ValueError(f"{name} is not finite at {lost} of {values.size} valid pixels; fill or unmark them")

    error = np.abs(prediction - truth)
    outlier = (error > D1_PIXELS) & (error > D1_SHARE * np.abs(truth))
    return {
        "epe": float(error.mean()),
        **{f"bad_{limit}": _percentage(error > limit) for limit in BAD_THRESHOLDS},
        "d1": _percentage(outlier),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "pixels": error.size,
    }


def _percentage(mask: np.ndarray) -> float:
    return 100 * float(mask.mean())
