"""Settings as plain values: what a file or a card holds, and what two runs differ in."""

import logging
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from filecmp import cmp
from pathlib import Path
from typing import Any

from stereohg.training.config import DataConfig, LoopConfig, PeopleConfig

logger = logging.getLogger("stereohg")

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
    "data.on_error",
    "model.saved_max_disp",
    "model.half",
)
"""What a run may go on with otherwise than it began."""


def plain(config: LoopConfig | dict) -> dict:
    """The settings as JSON and YAML know them."""
    values = asdict(config) if is_dataclass(config) else config
    return _mapped(values, lambda value: str(value) if isinstance(value, Path) else value)


def without_folders(settings: Any) -> Any:
    """``plain`` settings whose absolute paths are names alone: a card travels, its maker's folders need not."""
    return _mapped(settings, _without_folder)


def _without_folder(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Whatever is in dictionaries and lists, changed."""
    if isinstance(value, dict):
        return {key: _mapped(own, change) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(own, change) for own in value]
    return change(value)


def refuse_another_run(path: Path, there: dict, config: LoopConfig) -> None:
    """Raises ValueError where a checkpoint's settings are not these, and names them.

    Settings that the checkpoint does not know, of an older version, were what they are by default.
    """
    before, now = _flat(there), _flat(plain(config))
    defaults = _flat(_defaults(config)).items()
    before |= {name: value for name, value in defaults if not any(f"{name}.".startswith(f"{own}.") for own in before)}
    if _are_the_same(before.get("model.weights"), now.get("model.weights")):
        before["model.weights"] = now["model.weights"]
    other = [
        f"{name}={before.get(name)} there, {now.get(name)} here"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not _may_change(name)
    ]
    if other:
        raise ValueError(f"{path} is of another run ({'; '.join(other)}); give those settings, or another folder")


def _may_change(name: str) -> bool:
    return any(name == own or name.startswith(f"{own}.") for own in MAY_CHANGE)


def _defaults(config: Any) -> dict:
    """Of everything that has one, as far down as the settings go."""
    found = {}
    for own in fields(config):
        value = getattr(config, own.name)
        if is_dataclass(value):
            found[own.name] = _defaults(value)
        elif own.default is not MISSING or own.default_factory is not MISSING:
            found[own.name] = own.default if own.default is not MISSING else own.default_factory()
    return plain(found)


def warn_of_the_same(learnt: DataConfig | PeopleConfig, tried: DataConfig | PeopleConfig) -> None:
    """Where what is validated on is what is learnt, as when one folder is given for both and has no splits."""
    if replace(tried, on_error=learnt.on_error) == learnt:
        logger.warning(
            f"validation_data is what is learnt from ({tried.root}), so that the best weights are those that know it"
            " best; give --validation_data.root of others"
        )


def validates_otherwise(there: dict, here: dict) -> bool:
    """Whether the best figure so far would be compared with one of another kind, or of other data."""
    decide = (
        *("validation.metric", "protocol", "model.saved_max_disp"),
        *(f"validation_data.{name}" for name in ("name", "split", "options")),
    )
    roots = (Path(found_in(settings, "validation_data.root") or "").name for settings in (there, here))
    return len(set(roots)) > 1 or any(found_in(there, name) != found_in(here, name) for name in decide)


def found_in(settings: dict, name: str) -> Any:
    """The setting of a name such as data.root; None where there is none."""
    for part in name.split("."):
        settings = (settings or {}).get(part)
    return settings


def _are_the_same(before: str | None, now: str | None) -> bool:
    """Whether weights are the same file or a copy; where there is nothing at the old place, the name has to do."""
    if None in (before, now):
        return False
    if Path(before).is_file() and Path(now).is_file():
        return cmp(before, now, shallow=False)
    return Path(before).name == Path(now).name and not Path(before).exists()


def _flat(values: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
