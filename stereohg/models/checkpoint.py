"""What any file of weights must satisfy before a network takes it."""

from collections.abc import Iterable, Mapping

from torch import Tensor

NAMES_SHOWN = 3  # of the keys that an error is about


class CheckpointError(ValueError):
    """A file of weights that cannot be used, with its name and the reason."""


def check_state(source: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], network: str) -> None:
    """Raises CheckpointError unless ``state`` has the keys and shapes of ``expected``, and finite numbers."""
    taken = f"{source} was taken for {network}"
    foreign = [key for key in state if key not in expected]
    missing = [key for key in expected if key not in state]
    if foreign:
        raise CheckpointError(
            f"{taken}, but has {len(foreign)} foreign keys: {some(foreign)}; expected are keys such as "
            f"{some(missing or expected)}"
        )
    if missing:
        raise CheckpointError(f"{taken}, of which it lacks {len(missing)} keys: {some(missing)}")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise CheckpointError(
                f"{taken}, but its {key} has the shape {tuple(value.shape)}; expected is {tuple(expected[key].shape)}"
            )
    check_finite(source, state)


def check_finite(source: str, state: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError where a weight is NaN or infinite."""
    for key, value in state.items():
        # one NaN or infinity spoils a sum, which needs no memory; a sum that overflowed proves nothing
        if not value.sum().isfinite() and not value.isfinite().all():
            raise CheckpointError(f"{source} has NaN or infinite weights in {key}; its training has diverged")


def some(names: Iterable) -> str:
    """The first few, for an error."""
    names = [str(name) for name in names]
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
