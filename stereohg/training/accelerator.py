"""Devices, processes, precision and trackers of a run, as accelerate has them."""

from pathlib import Path

import torch

from stereohg.devices import choose_device, warn_of_slow
from stereohg.training.config import LoopConfig

MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


def make_accelerator(config: LoopConfig, folder: Path):
    """Accelerate's view of devices and processes.

    Raises:
        ModuleNotFoundError: accelerate or a tracker is not installed.
        ValueError: a device or precision that is not to be had here.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("training needs accelerate: pip install 'stereohg[train]'") from error
    if config.device not in ("auto", "cpu", "cuda", "mps"):
        raise ValueError(f"device is {config.device!r}; for training it is auto, cpu, cuda or mps")
    device = choose_device(config.device)
    # another run of this program may have had another precision or, alone, another device
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    accelerator = Accelerator(
        mixed_precision=MIXED_PRECISION[config.precision],
        cpu=device.type == "cpu",
        log_with=config.report.trackers or None,
        project_dir=str(folder),
    )
    there = {getattr(tracker, "value", tracker) for tracker in accelerator.log_with}
    if absent := sorted(set(config.report.trackers) - there - {"all"}):
        raise ModuleNotFoundError(
            f"report.trackers names {', '.join(absent)}, not installed here: pip install {' '.join(absent)}, or leave"
            " it out"
        )
    if config.precision == "float16" and accelerator.device.type == "cpu":
        raise ValueError("precision is float16, which the CPU does not train in; take bfloat16 or float32")
    warn_of_slow(getattr(torch, config.precision), accelerator.device)
    return accelerator
