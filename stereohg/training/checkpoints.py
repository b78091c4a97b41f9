"""The state of a run on disk: written whole or not at all, the newest few kept, and all that is random in it."""

import errno
import io
import logging
import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import torch

from stereohg.files import clear_leftovers, replacing

logger = logging.getLogger("stereohg")

NAME = re.compile(r"step_(\d+)\.pt")


class Checkpoints:
    """The checkpoints of a run, ``step_00000500.pt`` and so on, in one folder.

    Args:
        folder: made if need be.
        keep: the newest so many stay.

    Raises:
        ValueError: none is to be kept.
    """

    def __init__(self, folder: Path, keep: int = 2):
        if keep < 1:
            raise ValueError(f"keep is {keep}; at least one checkpoint has to stay, or nothing can be resumed")
        self.folder, self.keep = folder, keep

    def paths(self) -> list[Path]:
        """Oldest first."""
        found = {path: NAME.fullmatch(path.name) for path in self.folder.glob("step_*.pt")}
        return sorted((path for path, name in found.items() if name), key=lambda path: int(NAME.match(path.name)[1]))

    def prepare(self, size: int) -> None:
        """Clears what a killed run left half-written, and makes sure that a checkpoint of so many bytes has room.

        Raises:
            OSError: the folder cannot be written to, or the disk has no room for two of them, of which the second is
                written while the first still stands.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            clear_leftovers(self.folder)
            room = self.folder / ".room.pt"
            with replacing(room) as trial:
                _reserve(trial, 2 * size)
            room.unlink()
        except OSError as error:
            why = f"{self.folder} cannot take the run's checkpoints ({error.strerror or error})"
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                free = shutil.disk_usage(self.folder).free
                why += f": two of {size / 1e6:.0f} MB are needed, and {free / 1e6:.0f} MB are free; make room"
            raise OSError(f"{why}; give another output folder") from error

    def save(self, step: int, state: dict) -> None:
        """Writes the newest, down to the disk, and only then removes the oldest.

        Those of later steps, which could not be read when the run went on, are set aside as .damaged.

        Raises:
            OSError: it could not be written; the others are as they were.
        """
        whole = io.BytesIO()
        torch.save(state, whole)  # into memory, as it tells of a full disk by a RuntimeError
        with replacing(self.folder / f"step_{step:08d}.pt") as temporary, temporary.open("wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        paths = self.paths()
        own = paths.index(self.folder / f"step_{step:08d}.pt") + 1
        for path in paths[own:]:
            path.replace(path.with_suffix(".damaged"))
        for path in paths[: max(0, own - self.keep)]:
            path.unlink()

    def newest(self) -> tuple[dict, Path] | None:
        """The newest that can be read, and its path; None when there is none. One that cannot be is told.

        Raises:
            ValueError: there are checkpoints, and none can be read.
        """
        reasons = []
        for path in reversed(self.paths()):
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                if isinstance(state, dict) and "settings" in state:
                    return state, path
                why = "it is no checkpoint of a run"
            except OSError as error:
                why = str(error)
            except Exception:  # of whatever kind; PyTorch's messages would have the user execute the file
                why = "it is no checkpoint, or damaged"
            reasons.append(f"{path} cannot be read ({why})")
            logger.warning(reasons[-1])
        if reasons:
            raise ValueError(f"{'; '.join(reasons)}; remove what is damaged to start anew")
        return None


def _reserve(path: Path, size: int) -> None:
    """Takes so much room on the disk for a moment, where the system can; a quota is met here, not in mid-run."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        elif shutil.disk_usage(path.parent).free < size:
            raise OSError(28, "No space left on device")


# --- random states --------------------------------------------------------------------------------------------------


def random_state() -> dict:
    """Of Python, NumPy, PyTorch and this process's CUDA device, in what ``torch.load`` takes without executing."""
    name, keys, *rest = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict) -> None:
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():  # the run may go on on another device
        torch.cuda.set_rng_state(state["cuda"])
