"""Checks that several constructors share."""


def check_at_least(least: int, **arguments: int) -> None:
    """Raises ValueError naming the first argument that is below ``least``."""
    for name, value in arguments.items():
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
