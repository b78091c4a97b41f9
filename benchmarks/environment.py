"""What a measurement was made with; stands beside every result."""

import platform
from pathlib import Path

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
