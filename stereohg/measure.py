"""How long something took and how much memory it wanted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Seconds of wall time, and peak bytes above what the process held before (None where the system cannot say)."""

    seconds: float = 0.0
    peak_bytes: int | None = None


@contextmanager
def measured() -> Iterator[Cost]:
    """``with measured() as cost: ...`` fills ``cost`` when the block ends. The peak is known on Linux."""
    cost = Cost()
    before = _reset_peak()
    start = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - start
    if before is not None:
        cost.peak_bytes = max(0, _status("VmHWM") - before)


def _reset_peak() -> int | None:
    """Sets the peak to what is held now and returns that; None where the system has no such thing."""
    try:
        RESET.write_text("5")
        return _status("VmRSS")
    except (OSError, KeyError):
        return None


def _status(field: str) -> int:
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return 1024 * int(fields[field].split()[0])
