"""Files read and written as a whole: what is cut short or half-written is never taken for one.

``replacing`` puts a temporary file beside the target and moves it there when it is complete.
"""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

FilePath = str | PathLike[str]


@contextmanager
def replacing(path: FilePath) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same extension, that takes its place when the block ends well.

    The folder is made if need be; when the block raises, what it wrote is removed and ``path`` is as before.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Removes what ``replacing`` was writing into a folder when its process was killed."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}(\.\w+)?")


def write_json(path: FilePath, document: Any) -> None:
    """Strict JSON, which has no NaN."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: FilePath) -> Any:
    """What a JSON holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path} is no whole JSON ({error}); copy or download it again") from error


def read_bytes(path: FilePath) -> bytes:
    """All of a file; FileNotFoundError where there is none."""
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; a file was expected (the working folder is {Path.cwd()})")
    return path.read_bytes()
