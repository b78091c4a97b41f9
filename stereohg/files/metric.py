"""Depths (H,W) float32 metres, and points (N,3) in space."""

from pathlib import Path

import numpy as np
from PIL import Image

from stereohg.files.disparities import write_npy
from stereohg.files.whole import FilePath, replacing

MILLIMETRES = 1000  # in a metre
DEPTH_SUFFIXES = ".npy", ".png"
POINT_SUFFIXES = ".ply", ".npz"


def write_depth(path: FilePath, depth: np.ndarray) -> None:
    """Metres (H,W), unknown NaN, to ``.npy`` (float32, the same), or ``.png`` (16-bit millimetres, unknown 0).

    Raises:
        ValueError: the extension is another, the array not (H,W), or a depth does not fit the PNG.
    """
    depth = np.asarray(depth, np.float32)
    suffix = Path(path).suffix.lower()
    if suffix not in DEPTH_SUFFIXES or depth.ndim != 2:
        raise ValueError(
            f"{path} would hold {depth.shape}; a depth map is (H,W), in one of {', '.join(DEPTH_SUFFIXES)}"
        )
    known = np.isfinite(depth)
    if suffix == ".npy":
        return write_npy(path, depth, known)
    millimetres = np.where(known, np.rint(depth.astype(np.float64) * MILLIMETRES), 0)
    if millimetres.max(initial=0) > np.iinfo(np.uint16).max or millimetres.min(initial=0) < 0:
        raise ValueError(
            f"the depth for {path} reaches to {depth[known].max():g} m, and 16-bit millimetres to 65.535; leave out "
            "what is farther (max_depth), or write a .npy"
        )
    with replacing(path) as temporary:
        Image.fromarray(millimetres.astype(np.uint16)).save(temporary, "PNG")


def write_points(path: FilePath, points: np.ndarray, colours: np.ndarray) -> None:
    """Points (N,3) metres and colours (N,3) uint8 RGB to a binary ``.ply``, or to a ``.npz`` of both arrays.

    Raises:
        ValueError: the extension is another, the arrays are not (N,3) both, or the colours not uint8.
    """
    points, colours = np.asarray(points, np.float32), np.asarray(colours)
    if points.ndim != 2 or points.shape[1] != 3 or colours.shape != points.shape or colours.dtype != np.uint8:
        raise ValueError(
            f"points are {points.shape} and colours {colours.shape} {colours.dtype}; they must be (N,3) and (N,3) uint8"
        )
    suffix = Path(path).suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise ValueError(f"{path} has the extension {suffix!r}; points have one of {', '.join(POINT_SUFFIXES)}")
    with replacing(path) as temporary:
        if suffix == ".npz":
            with temporary.open("wb") as file:  # of a path numpy would change the ending .NPZ
                np.savez_compressed(file, points=points, colours=colours)
        else:
            from trimesh import PointCloud  # takes a second to import

            temporary.write_bytes(PointCloud(points, colours).export(file_type="ply"))
