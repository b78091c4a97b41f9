"""MATLAB's files as Python has them."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from stereohg.files import FilePath


def read_mat(path: FilePath, *names: str) -> list[Any]:
    """The named variables of a ``.mat``, in that order; structs are objects with their fields as attributes.

    Axes of length one are dropped, so that what may be one or several goes through ``as_list``.

    Raises:
        ModuleNotFoundError: scipy is not installed.
        FileNotFoundError: there is no such file.
        ValueError: it is no MATLAB file of version 7 or before, or lacks a variable.
    """
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"reading {path} needs scipy: pip install 'stereohg[pose]'") from error
    data = Path(path).read_bytes()
    try:
        content = loadmat(io.BytesIO(data), squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a damaged file can fail in any way
        raise ValueError(f"{path} is no whole MATLAB file of version 7 or before ({error})") from error
    absent = [name for name in names if name not in content]
    if absent:
        there = ", ".join(name for name in content if not name.startswith("__"))
        raise ValueError(f"{path} has no variable {absent[0]}, but {there or 'none'}")
    return [content[name] for name in names]


def as_list(value: Any) -> list:
    """What MATLAB has as an array of structs, one struct, or an empty array."""
    return list(np.atleast_1d(value)) if np.size(value) else []
