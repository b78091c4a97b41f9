"""Files on disk: each read is checked, each error names its file, and none is ever half-written."""

from stereohg.files.disparities import (
    DISPARITY_SUFFIXES,
    PNG_LIMIT,
    read_disparity,
    write_disparity,
)
from stereohg.files.metric import MILLIMETRES, write_depth, write_points
from stereohg.files.pfm import read_pfm, write_pfm
from stereohg.files.pictures import read_image, write_png
from stereohg.files.whole import FilePath, clear_leftovers, read_bytes, read_json, replacing, write_json

__all__ = [
    "DISPARITY_SUFFIXES",
    "MILLIMETRES",
    "PNG_LIMIT",
    "FilePath",
    "clear_leftovers",
    "read_bytes",
    "read_disparity",
    "read_image",
    "read_json",
    "read_pfm",
    "replacing",
    "write_depth",
    "write_disparity",
    "write_json",
    "write_pfm",
    "write_png",
    "write_points",
]
