"""What every benchmark needs: what it was made with, a process of its own, repeated measurement."""

import multiprocessing
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import PIL
import torch

from stereohg.measure import measured


def environment() -> dict[str, str | int]:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "opencv": cv2.__version__,
        "threads": torch.get_num_threads(),
        "cpu": names[0] if names else platform.processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def new_process() -> ProcessPoolExecutor:
    """One process, whose memory nothing else has touched."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def alone(function: Callable, *arguments: Any) -> Any:
    """What the function returns in a new process."""
    with new_process() as process:
        return process.submit(function, *arguments).result()


def repeated(step: Callable[[], object], repeats: int, warm_ups: int = 1) -> dict[str, float]:
    """Seconds after the warm-up, and peak memory of the first call: what is held between calls would not count."""
    costs = []
    for _ in range(warm_ups + repeats):
        with measured() as cost:
            step()
        costs.append(cost)
    seconds = [cost.seconds for cost in costs[warm_ups:]]
    return {
        "seconds_median": round(median(seconds), 4),
        "seconds_least": round(min(seconds), 4),
        "seconds_most": round(max(seconds), 4),
        "peak_megabytes": round((costs[0].peak_bytes or 0) / 1e6, 1),
    }
