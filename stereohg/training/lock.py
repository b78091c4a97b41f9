"""One run at a time in a folder."""

import weakref
from pathlib import Path
from typing import IO

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None


_HELD: dict[Path, list] = {}
"""The files that this process has locked, and by how many locks: closing one of two would end both."""


class Lock:
    """Keeps a folder from other processes' runs until ``release()``, or until the process has ended, however it does.

    Args:
        folder: made if need be.

    Raises:
        ValueError: another process has it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.resolve() / ".lock"
        if path not in _HELD:
            _HELD[path] = [_locked(path), 0]
        _HELD[path][1] += 1
        self.release = weakref.finalize(self, _release, path)


def _locked(path: Path) -> IO:
    file = path.open("w")
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which workers do not inherit
    except (BlockingIOError, PermissionError):
        file.close()
        raise ValueError(f"another process trains in {path.parent}; wait for its end, or give another folder") from None
    except OSError:  # a disk without locks
        pass
    return file


def _release(path: Path) -> None:
    _HELD[path][1] -= 1
    if not _HELD[path][1]:
        file, _ = _HELD.pop(path)
        path.unlink(missing_ok=True)
        file.close()
