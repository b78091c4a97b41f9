"""How much memory there is, and how much a network will want, found out before it runs."""

import math
import re
import weakref
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stereohg.nn.convolution import SMALL
from stereohg.nn.layout import innermost_format, is_channels_last

UNITS = {"B": 1} | {
    f"{p}{kind}": base**i for kind, base in (("B", 1000), ("iB", 1024)) for i, p in enumerate("KMGT", 1)
}
AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kKMGT]?i?B)?\s*")
OVERHEAD, GAPS = 224 * 2**20, 1.25
"""What no tensor accounts for: code and kernels made at the first run, and gaps that freed tensors leave in the heap.
With both, the estimates of `benchmarks.large` are 16 to 34 % above what was measured."""


def parse_memory(amount: str | float) -> int:
    """Bytes of "4GB" (1000^3), "1.5GiB" (1024^3), "500MB", "123456", or a number.

    Raises:
        ValueError: anything else, or nothing at all.
    """
    found = AMOUNT.fullmatch(str(amount))
    size = float(found[1]) * UNITS[(found[2] or "B").replace("k", "K")] if found and found[2] != "iB" else 0
    if size < 1:
        raise ValueError(f"max_memory is {amount!r}; it must be such as '4GB', '1.5GiB', '500MB' or a number of bytes")
    return int(size)


def in_words(size: float) -> str:
    """Bytes as "4.2GB", rounded up, so that the amount told is enough, in a form that ``parse_memory`` takes."""
    unit = "GB" if size >= 1e9 else "MB"
    return f"{math.ceil(10 * size / UNITS[unit]) / 10:.1f}{unit}"


# --- what there is --------------------------------------------------------------------------------------------------


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process may still take on the device; None where the system does not say."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    return free_ram() if device.type == "cpu" else None


def free_ram(root: Path = Path("/")) -> int | None:
    """What Linux calls available, or less where a control group (version 1 or 2) of the process sets a limit."""
    try:
        fields = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
        available = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return None
    return max(0, min([available, *_left_by_groups(root)]))


def _left_by_groups(root: Path) -> list[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    left = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        own = base / path.lstrip("/")
        groups = [group for group in (own, *own.parents) if group.is_relative_to(base)]  # a parent's limit holds, too
        left += [room for group in groups if (room := _room(group, *names)) is not None]
    return left


def _room(group: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Limit less usage, of which cached files do not count; None where the group sets no limit."""
    try:
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / usage).read_text()) - int(statistics.get(reclaimable, 0))
        return int((group / limit).read_text()) - used
    except (OSError, ValueError):  # "max" is no number
        return None


# --- what is wanted -------------------------------------------------------------------------------------------------


def peak_memory(run: Callable[[], object]) -> int:
    """Most bytes held at once while ``run`` works on meta tensors, which have no memory, with GAPS and OVERHEAD.

    What convolutions want beside their result is added: a copy of the input in the kernel's own layout, or, in small
    volumes, the columns that PyTorch makes of it. What ``run`` was given counts from when it is first used; weights
    do not.
    """
    with torch.no_grad(), _LiveBytes() as live:
        run()
    return math.ceil(GAPS * live.peak) + OVERHEAD


class _LiveBytes(TorchDispatchMode):
    """Follows the storages of all tensors that operations take and return, until they are freed."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.convolution.default and not args[1].is_contiguous():
            result = result.contiguous(memory_format=innermost_format(result))  # as kernels leave it, but not on meta
        for value in tree_leaves((args, result)):
            if isinstance(value, Tensor) and not isinstance(value, torch.nn.Parameter):
                self._follow(value.untyped_storage())
        beside = _columns_or_copy(*args[:2], result, args[6]) if function is torch.ops.aten.convolution.default else 0
        self.peak = max(self.peak, self.now + beside)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.seen:
            self.seen.add(key)
            self.now += size
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def _columns_or_copy(x: Tensor, weight: Tensor, result: Tensor, transposed: bool) -> int:
    if x.dim() == 5 and x.dtype == torch.float32:
        batch, channels, levels, height, width = x.shape
        if batch * channels * height * max(levels, width) <= SMALL:
            positions = (x if transposed else result).shape[2:]
            return weight[0].numel() * math.prod(positions) * x.element_size()
    is_copied = weight.is_contiguous() or not is_channels_last(x)
    return x.numel() * x.element_size() if is_copied else 0
