"""One run at a time in a folder."""

import weakref
from pathlib import Path
from typing import IO

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None


class Lock:
    """Keeps a folder from other processes' runs until ``release()``, or until the process has ended, however it does.

    Args:
        folder: made if need be.

    Raises:
        ValueError: another process has it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ".lock"
        file = path.open("w")
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which workers do not inherit
        except (BlockingIOError, PermissionError):
            raise ValueError(f"another process trains in {folder}; wait for its end, or give another folder") from None
        except OSError:  # a disk without locks
            pass
        self.release = weakref.finalize(self, _release, path, file)


def _release(path: Path, file: IO) -> None:
    path.unlink(missing_ok=True)
    file.close()
