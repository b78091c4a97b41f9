"""From disparity to metres: depth maps and coloured points.

Shapes: H height, W width, N points; disparity (H,W) pixels, depth (H,W) metres along the optical axis, NaN where
unknown; points (N,3) metres, x right, y down, z forward, the left camera at the origin; colours (N,3) uint8 RGB.
"""

import numpy as np


def disparity_to_depth(
    disparity: np.ndarray, focal: float, baseline: float, doffs: float = 0.0, valid: np.ndarray | None = None
) -> np.ndarray:
    """``focal * baseline / (disparity + doffs)``: (H,W) float32 metres, NaN where that is unknown.

    Args:
        disparity: (H,W) pixels, positive, of the image that ``focal`` belongs to.
        focal: length in pixels of that image; an image at half its size has half of it.
        baseline: distance of the two cameras in metres.
        doffs: right principal point less the left one along x, pixels (Middlebury's ``doffs``).
        valid: (H,W) bool, where the disparity is known; None takes all that is finite.

    Unknown is what is not valid or not finite, and what would not lie in front of the camera: ``disparity + doffs``
    of zero or less.

    Raises:
        ValueError: focal length or baseline is not positive and finite, doffs not finite, or the mask of another shape.
    """
    check_positive(focal=focal, baseline=baseline)
    if not np.isfinite(doffs):
        raise ValueError(f"doffs is {doffs}; it must be a number of pixels, 0 where the principal points agree")
    total = np.asarray(disparity, np.float32) + np.float32(doffs)
    known = np.isfinite(total) & (total > 0)
    if valid is not None:
        if np.shape(valid) != total.shape:
            raise ValueError(f"the disparity is {total.shape} and its mask {np.shape(valid)}; both must be (H,W)")
        known &= np.asarray(valid, bool)
    depth = np.full(total.shape, np.nan, np.float32)
    with np.errstate(over="ignore"):  # a disparity of next to nothing is infinitely far
        depth[known] = np.float32(focal * baseline) / total[known]
    return depth


def depth_to_points(
    depth: np.ndarray,
    colours: np.ndarray,
    focal: float,
    centre: tuple[float, float] | None = None,
    focal_y: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Every known pixel as a point: (N,3) float32 metres and its colour (N,3), row by row.

    Args:
        depth: (H,W) metres; what is NaN, infinite or not positive is left out.
        colours: (H,W,3) uint8 RGB.
        focal: length in pixels of this image, along x.
        centre: principal point (x, y) in pixels, the first pixel's middle being (0, 0); None is the image's middle.
        focal_y: the focal length along y; None is that along x.

    Raises:
        ValueError: a focal length is not positive, or colours do not fit the depth.
    """
    focal_y = focal if focal_y is None else focal_y
    check_positive(focal=focal, focal_y=focal_y)
    depth, colours = np.asarray(depth), np.asarray(colours)
    if depth.ndim != 2 or colours.shape != (*depth.shape, 3) or colours.dtype != np.uint8:
        raise ValueError(
            f"depth is {depth.shape} and colours {colours.shape} {colours.dtype}; they must be (H,W) and (H,W,3) uint8"
        )
    height, width = depth.shape
    centre_x, centre_y = centre if centre is not None else ((width - 1) / 2, (height - 1) / 2)
    y, x = np.nonzero(np.isfinite(depth) & (depth > 0))
    z = depth[y, x].astype(np.float64)
    points = np.stack([(x - centre_x) * z / focal, (y - centre_y) * z / focal_y, z], axis=1)
    return points.astype(np.float32), colours[y, x]


def crop_depth(depth: np.ndarray, min_depth: float = 0.0, max_depth: float = np.inf) -> np.ndarray:
    """The same with NaN where the depth is below ``min_depth`` or above ``max_depth``, metres."""
    if not max_depth > 0:
        raise ValueError(f"max_depth is {max_depth}; it must be positive, in metres")
    if not 0 <= min_depth < max_depth:
        raise ValueError(f"min_depth is {min_depth}; it must lie between 0 and max_depth, {max_depth} m")
    depth = np.asarray(depth)
    with np.errstate(invalid="ignore"):
        return np.where((depth >= min_depth) & (depth <= max_depth), depth, np.float32(np.nan))


def check_positive(**lengths: float) -> None:
    """ValueError for the first that is not positive and finite."""
    units = {"focal": ", in pixels", "focal_y": ", in pixels", "baseline": ", in metres"}
    for name, value in lengths.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value}; it must be positive and finite{units.get(name, '')}")
