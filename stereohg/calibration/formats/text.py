"""What the formats share: numbers out of text, with the file and the key in each error; and files that come in twos."""

from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stereohg.files import FilePath, read_bytes


def read_text(path: FilePath) -> str:
    """A file's text, without a byte order mark; what is not UTF-8 is replaced."""
    return read_bytes(path).decode("utf-8-sig", errors="replace")


def numbers(path: FilePath, key: str, values: Iterable, shape: tuple[int, ...]) -> np.ndarray:
    """Float64 of this shape (-1: any length), or a ValueError that names file and key."""
    try:
        found = np.asarray(list(values), float)
        if not np.isfinite(found).all():
            raise ValueError
        return found.reshape(shape)
    except (TypeError, ValueError):
        wanted = "x".join(map(str, shape)).replace("-1", "any number of") or "1"
        raise ValueError(f"{path}: {key} must hold {wanted} numbers") from None


@contextmanager
def naming(path: FilePath):
    """Errors of what a file holds begin with the file."""
    try:
        yield
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error


def partner(path: Path, other: FilePath | None, words: tuple[str, str]) -> Path | None:
    """The file that belongs to this one: as given, or of the name with one word in the place of the other."""
    if other is not None:
        return Path(other)
    for word, replacement in (words, words[::-1]):
        before, found, after = path.name.rpartition(word)
        beside = path.with_name(before + replacement + after)
        if found and beside.is_file():
            return beside
    return None
