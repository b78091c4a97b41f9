"""What a measurement was made with, which stands beside every result; and a process of its own to make it in."""

import multiprocessing
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import PIL
import torch


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


def alone(function: Callable, *arguments: Any) -> Any:
    """What the function returns in a new process, whose memory nothing else has touched."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()
