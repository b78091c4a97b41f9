"""Settings as plain values: what a file or a card holds, and what two runs differ in."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stereohg.training.config import LoopConfig

MAY_CHANGE = (
    "epochs",
    "steps",
    "workers",
    "device",
    "compile",
    "bad_steps",
    "time_limit",
    "checkpoints",
    "validation",
    "validation_data",
    "protocol",
    "report",
    "data.root",
)
"""What a run may go on with otherwise than it began."""


def plain(config: LoopConfig) -> dict:
    """The settings as JSON and YAML know them."""
    return _plain(asdict(config))


def without_folders(settings: Any) -> Any:
    """``plain`` settings whose absolute paths are names alone: a card travels, its maker's folders need not."""
    if isinstance(settings, dict):
        return {key: without_folders(own) for key, own in settings.items()}
    if isinstance(settings, list):
        return [without_folders(own) for own in settings]
    return Path(settings).name if isinstance(settings, str) and Path(settings).is_absolute() else settings


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return str(value) if isinstance(value, Path) else value


def refuse_another_run(path: Path, there: dict, here: dict) -> None:
    """Raises ValueError where a checkpoint's settings are not these, and names them."""
    before, now = _flat(there), _flat(here)
    other = [
        f"{name}={before.get(name)} there, {now.get(name)} here"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not name.startswith(MAY_CHANGE)
    ]
    if other:
        raise ValueError(f"{path} is of another run ({'; '.join(other)}); give those settings, or another folder")


def _flat(values: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
