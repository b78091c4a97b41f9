"""Checks that several constructors share."""

from collections.abc import Sequence


def check_at_least(least: int, **arguments: int) -> None:
    """Raises ValueError naming the first argument that is no whole number, or below ``least``."""
    for name, value in arguments.items():
        if value != int(value) or value < least:
            raise ValueError(f"{name} is {value}; it must be a whole number, at least {least}")


def check_multiple(of: int, **arguments: Sequence[int]) -> None:
    """Raises ValueError naming the first argument of which not every number is a positive multiple."""
    for name, values in arguments.items():
        if any(value <= 0 or value % of for value in values):
            raise ValueError(f"{name} is {tuple(values)}; they must be positive multiples of {of}")
