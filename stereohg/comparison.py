"""Figures of disparity maps side by side, by matplotlib, which they import when they are drawn.

Shapes: H height, W width; pictures (H,W,3) uint8 RGB, disparities (H,W) pixels.
"""

from pathlib import Path

import cv2
import numpy as np

from stereohg.files import FilePath, replacing
from stereohg.metrics import disparity_metrics
from stereohg.visual import ERROR_LIMIT, STRAY, colour_disparity, colour_table, error_map

PANEL_WIDTH, TITLE_HEIGHT = 4.5, 0.45  # inches

Panel = tuple[str, np.ndarray]
Bar = tuple[str, float, float, int, str]  # label, the ends, OpenCV's colours, which end goes on


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
    check_figure(path)
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
    _draw(path, [upper, lower], bars, title)


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
        ValueError: the extension is not one that matplotlib writes, or the truth is nowhere known.
    """
    check_figure(path)
    if truth is not None and not truth[1].any():
        raise ValueError("the truth is nowhere known; leave it out")
    seen = truth[0][truth[1]] if truth is not None else np.concatenate([d.ravel() for d in disparities.values()])
    low, high = np.percentile(seen, (STRAY, 100 - STRAY))
    panels = [("left", left)]
    if truth is not None:
        panels.append(("truth", colour_disparity(*truth, low, high)))
    panels += [(name, colour_disparity(disparity, None, low, high)) for name, disparity in disparities.items()]
    columns = 2 if len(panels) in (2, 4) else 3
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    _draw(path, rows, [("disparity, px", low, high, cv2.COLORMAP_TURBO, "both")])


def check_figure(path: FilePath) -> None:
    """That it can be drawn, before there is something to draw.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: the extension is not one that matplotlib writes.
    """
    try:
        from matplotlib.figure import FigureCanvasBase
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a comparison figure needs matplotlib: pip install 'stereohg[demo]'") from error
    known = FigureCanvasBase.get_supported_filetypes()
    if _format(path) not in known:
        raise ValueError(f"{path} would be a figure; name it .png or .pdf (known are {', '.join(sorted(known))})")


def _format(path: FilePath) -> str:
    return Path(path).suffix.lstrip(".").lower() or "png"


def _draw(path: FilePath, rows: list[list[Panel]], bars: list[Bar], title: str = "") -> None:
    """Rows of pictures of one size, of which the last may not be full; a bar a row, or one for all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure

    columns = len(rows[0])
    height, width = rows[0][0][1].shape[:2]
    panel_height = PANEL_WIDTH * height / width + TITLE_HEIGHT
    total_height = len(rows) * panel_height + (TITLE_HEIGHT if title else 0)
    figure = Figure(figsize=((columns + 0.2) * PANEL_WIDTH, total_height), layout="compressed")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for own_axes, panels in zip(axes, rows, strict=True):
        for axis, (name, picture) in zip(own_axes, panels, strict=False):
            axis.imshow(picture, interpolation="none")
            axis.set_title(name)
    beside = axes if len(bars) == len(rows) else [axes]
    for own_axes, (label, start, end, colours, extend) in zip(beside, bars, strict=True):
        scale = ScalarMappable(Normalize(start, end), ListedColormap(colour_table(colours) / 255))
        figure.colorbar(scale, ax=own_axes, label=label, extend=extend, pad=0.01)
    if title:
        figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=_format(path), dpi=120)
