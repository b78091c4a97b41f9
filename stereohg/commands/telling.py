"""How the commands tell what they have to say."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

LISTED = 20  # of the same kind


def make_console(**options: Any) -> Console:
    """One that prints what it is given as it is: a file's name may look like markup."""
    return Console(markup=False, highlight=False, **options)


def tell_some(console: Console, word: str, messages: Sequence[str], style: str = "bold red") -> None:
    """A line for each of the first, and how many more there are."""
    for message in messages[:LISTED]:
        console.print(f"{word}: {message}", style=style, soft_wrap=True)
    if len(messages) > LISTED:
        console.print(f"{word}: {len(messages) - LISTED} more", style=style)
