"""Disparities and errors as pictures.

Shapes: H height, W width; disparity, prediction, truth (H,W) pixels, valid (H,W) bool, pictures (H,W,3) uint8 RGB.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from stereohg.data.files import FilePath, replacing
from stereohg.metrics import disparity_metrics

INVALID = (0, 0, 0)
UNKNOWN = (128, 128, 128)  # grey is no colour of the error map
STRAY = 0.5  # percent of the pixels at either end of the colours
ERROR_LIMIT = 5.0  # pixels; what is worse looks the same

_PANEL_WIDTH = 4.5  # inches
_TITLE_HEIGHT = 0.45


def colour_disparity(
    disparity: np.ndarray, valid: np.ndarray | None = None, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Disparity in the Turbo colours, far blue to near red, unknown black: (H,W) -> (H,W,3) uint8 RGB.

    Args:
        disparity: (H,W) pixels; what is not finite is unknown.
        valid: (H,W) bool, where it is known.
        low, high: the disparities at the two ends of the colours, pixels; None is what all but the half percent of
            the known pixels at that end keep to, so that a few stray ones do not take the colours.

    Raises:
        ValueError: the mask has another shape, or ``low`` is above ``high``.
    """
    known = _known(disparity, valid)
    usual_low, usual_high = colour_range(disparity[known])
    low = usual_low if low is None else low
    high = usual_high if high is None else high
    if not low <= high:
        raise ValueError(f"low is {low} and high {high}; low must not be above high")
    return _paint(disparity, known, low, high, cv2.COLORMAP_TURBO, INVALID)


def colour_range(disparity: np.ndarray) -> tuple[float, float]:
    """What all but half a percent of the finite disparities at either end keep to, pixels."""
    values = disparity[np.isfinite(disparity)]
    if not values.size:
        return 0.0, 0.0  # any range will do
    return float(np.percentile(values, STRAY)), float(np.percentile(values, 100 - STRAY))


def error_map(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray, limit: float = ERROR_LIMIT) -> np.ndarray:
    """The absolute error in the Inferno colours, black none to yellow ``limit``: (H,W) -> (H,W,3) uint8 RGB.

    Grey is where there is no truth or no prediction.

    Raises:
        ValueError: the shapes differ, or ``limit`` is not a positive number of pixels.
    """
    if np.shape(prediction) != np.shape(truth):
        raise ValueError(f"prediction is {np.shape(prediction)} and truth {np.shape(truth)}; both must be (H,W)")
    if not 0 < limit < np.inf:
        raise ValueError(f"limit is {limit}; it must be positive, in pixels")
    known = _known(prediction, valid) & np.isfinite(truth)
    error = np.abs(np.where(known, prediction, 0) - np.where(known, truth, 0))
    return _paint(error, known, 0, limit, cv2.COLORMAP_INFERNO, UNKNOWN)


def shade(values: np.ndarray, low: float, high: float, colour_map: int) -> np.ndarray:
    """Known values (H,W) in the colours of one of OpenCV's maps: (H,W,3) uint8 RGB."""
    return _paint(values, np.ones(values.shape, bool), low, high, colour_map, INVALID)


def colour_bar(colour_map: int) -> np.ndarray:
    """All 256 colours of one of OpenCV's maps side by side: (1,256,3) uint8 RGB."""
    return _colours(colour_map)[None]


def heat(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An image (H,W,3) uint8 RGB with values (H,W) in [0,1] laid over it in the Inferno colours, half by half."""
    return cv2.addWeighted(image, 0.5, shade(values, 0, 1, cv2.COLORMAP_INFERNO), 0.5, 0)


def comparison_figure(
    path: FilePath,
    left: np.ndarray,
    ours: np.ndarray,
    other: np.ndarray,
    truth: np.ndarray,
    valid: np.ndarray,
    other_name: str = "SGBM",
    title: str = "",
) -> None:
    """Two disparity maps of one picture beside its truth, with their errors; the extension (.png, .pdf) is the format.

    Above the left picture, our disparity and the other's, below the truth and the two errors. All disparities share
    the truth's range of colours, so that a colour means one distance throughout.

    Args:
        path: of the figure; its folder is made if need be.
        left: (H,W,3) uint8 RGB.
        ours, other, truth: (H,W) pixels, ``ours`` and ``other`` finite wherever ``valid``.
        valid: (H,W) bool, where the truth is known.
        other_name: of the method compared with.
        title: above everything.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: shapes differ, no pixel is valid, or the extension is not one that matplotlib writes.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a comparison figure needs matplotlib: pip install 'stereohg[demo]'") from error

    valid = np.asarray(valid, bool)
    if np.shape(left) != (*np.shape(truth), 3):
        raise ValueError(f"left is {np.shape(left)} and truth {np.shape(truth)}; they must be (H,W,3) and (H,W)")
    metrics = [disparity_metrics(prediction, truth, valid) for prediction in (ours, other)]
    low, high = truth[valid].min(), truth[valid].max()
    upper = [("left", left)]
    lower = [("truth", colour_disparity(truth, valid, low, high))]
    for name, prediction, figures in zip(("ours", other_name), (ours, other), metrics, strict=True):
        upper.append((f"{name}: disparity", colour_disparity(prediction, None, low, high)))
        caption = f"{name}: EPE {figures['epe']:.2f} px, bad-3 {figures['bad_3']:.1f} %"
        lower.append((caption, error_map(prediction, truth, valid)))
    bars = [
        ("disparity, px", low, high, cv2.COLORMAP_TURBO, "neither"),
        ("error, px", 0, ERROR_LIMIT, cv2.COLORMAP_INFERNO, "max"),
    ]

    height, width = truth.shape
    panel_height = _PANEL_WIDTH * height / width + _TITLE_HEIGHT
    figure = Figure(figsize=(3.2 * _PANEL_WIDTH, 2 * panel_height + _TITLE_HEIGHT), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    for row, panels, (label, start, end, colours, extend) in zip(axes, (upper, lower), bars, strict=True):
        for axis, (name, picture) in zip(row, panels, strict=True):
            axis.imshow(picture, interpolation="none")
            axis.set_title(name)
            axis.set_axis_off()
        scale = ScalarMappable(Normalize(start, end), ListedColormap(_colours(colours) / 255))
        figure.colorbar(scale, ax=row, label=label, extend=extend, pad=0.01)
    if title:
        figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip(".").lower() or "png", dpi=120)


def disparity_gallery(
    path: FilePath,
    left: np.ndarray,
    disparities: dict[str, np.ndarray],
    truth: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """The left picture, the truth if there is one, and disparity maps by name, all in one scale of colours.

    Args:
        path: of the figure, .png or .pdf; its folder is made if need be.
        left: (H,W,3) uint8 RGB.
        disparities: caption to (H,W) pixels, finite.
        truth: (H,W) pixels and (H,W) bool, where it is known.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: the extension is not one that matplotlib writes.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a comparison figure needs matplotlib: pip install 'stereohg[demo]'") from error

    seen = truth[0][truth[1]] if truth is not None else np.concatenate([d.ravel() for d in disparities.values()])
    low, high = np.percentile(seen, (STRAY, 100 - STRAY))
    panels = {"left": left}
    if truth is not None:
        panels["truth"] = colour_disparity(*truth, low, high)
    panels |= {name: colour_disparity(disparity, None, low, high) for name, disparity in disparities.items()}
    columns = 2 if len(panels) in (2, 4) else 3
    rows = -(-len(panels) // columns)
    panel_height = _PANEL_WIDTH * left.shape[0] / left.shape[1] + _TITLE_HEIGHT
    figure = Figure(figsize=((columns + 0.2) * _PANEL_WIDTH, rows * panel_height), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, picture) in zip(axes.flat, panels.items(), strict=False):  # the last row may not be full
        axis.imshow(picture, interpolation="none")
        axis.set_title(name)
    scale = ScalarMappable(Normalize(low, high), ListedColormap(_colours(cv2.COLORMAP_TURBO) / 255))
    figure.colorbar(scale, ax=axes, label="disparity, px", extend="both", pad=0.01)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip(".").lower() or "png", dpi=120)


def _known(disparity: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    known = np.isfinite(disparity)
    if valid is None:
        return known
    if np.shape(valid) != known.shape:
        raise ValueError(f"the disparity is {known.shape} and its mask {np.shape(valid)}; both must be (H,W)")
    return known & np.asarray(valid, bool)


def _paint(
    values: np.ndarray, known: np.ndarray, low: float, high: float, colour_map: int, unknown: tuple[int, int, int]
) -> np.ndarray:
    """``low`` to ``high`` as the 256 colours of one of OpenCV's maps, values beyond them as the nearest end."""
    picture = np.full((*known.shape, 3), unknown, np.uint8)
    span = high - low
    share = (values[known] - low) / (span if span > 0 else 1.0)
    picture[known] = _colours(colour_map)[np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)]
    return picture


@cache
def _colours(colour_map: int) -> np.ndarray:
    """(256,3) uint8 RGB of one of OpenCV's colour maps."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], colour_map)[:, 0, ::-1]
