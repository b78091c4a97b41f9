"""Where networks run, and in which precision."""

import ctypes
import os
import platform
import warnings
from typing import Literal

import torch

from stereohg.nn.onednn import multiplies_in

Precision = Literal["auto", "float32", "bfloat16", "float16"]
KEPT = 2**28
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
SETTINGS_OF_GLIBC = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES"}


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: an unknown device, or one that is not here, with those that are.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    names = [name for name, is_here in here.items() if is_here]
    try:
        chosen = torch.device(names[0] if device == "auto" else device)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; it must be 'auto' or one of {', '.join(names)}") from error
    if not (here[chosen.type] if chosen.type in here else _answers(chosen)) or not _has_number(chosen):
        raise ValueError(f"device is {device!r}, which is not here; this machine's PyTorch has {', '.join(names)}")
    return chosen


def _has_number(device: torch.device) -> bool:
    return device.type != "cuda" or device.index is None or device.index < torch.cuda.device_count()


def _answers(device: torch.device) -> bool:
    """Not asked of CUDA, since it takes memory of the device, which is another one in each process of a training."""
    try:
        return torch.zeros(1, device=device).item() == 0  # which "meta" cannot tell
    except Exception:  # each kind of device has its own way to be absent
        return False


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format; "auto" takes bfloat16 on CUDA devices that have it, float32 elsewhere.

    Warns where the processor does not multiply in it.

    Raises:
        ValueError: an unknown precision, with the known ones.
    """
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if precision in named:
        warn_of_slow(named[precision], device)
        return named[precision]
    if precision != "auto":
        raise ValueError(f"precision is {precision!r}; it must be 'auto', {', '.join(map(repr, named))}")
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32


def warn_of_slow(dtype: torch.dtype, device: torch.device) -> None:
    """Warns where the device is a CPU that does not multiply in that format."""
    if device.type == "cpu" and not multiplies_in(dtype):
        name = str(dtype).removeprefix("torch.")
        warnings.warn(
            f"this processor does not multiply in {name}, which will take many times as long as float32; leave"
            f" precision={name} out",
            stacklevel=2,
        )


def ask_for_large_pages() -> None:
    """Lets PyTorch ask Linux for pages of 2 MiB under large tensors; the program ``stereohg`` begins so.

    The system gives each new tensor its memory page by page, and fills it with zeros: with pages of 4 KiB that is up to
    a tenth of a network's time on CPUs. PyTorch looks at THP_MEM_ALLOC_ENABLE when it makes its first tensor, so this
    comes before; what the user has set stays.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def keep_freed_memory() -> None:
    """Lets glibc keep what tensors of up to KEPT bytes leave, for those that follow; ``stereohg train`` begins so.

    It would give it back to the system, and ask for new pages at once: a third of a training step's time on a CPU. The
    process holds a tenth to a third more. What the user has set stays.
    """
    if platform.libc_ver()[0] == "glibc" and os.environ.keys().isdisjoint(SETTINGS_OF_GLIBC):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 4 * KEPT)
