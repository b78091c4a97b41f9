"""Sizes of pictures on the command line."""

import re

SIZE = re.compile(r"([1-9]\d*)x([1-9]\d*)")


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of "384x1248".

    Raises:
        ValueError: it is no such text.
    """
    found = SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"size is {text!r}; it must be height x width, such as 384x1248")
    return int(found[1]), int(found[2])
