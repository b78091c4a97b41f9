"""``stereohg models``: what there is."""

from rich.console import Console
from rich.table import Table

from stereohg.models.registry import create_model, list_models
from stereohg.models.weights import bundled_names


def models() -> None:
    """Lists the networks, their size, and which come with weights."""
    table = Table("model", "parameters", "bundled weights")
    for name in list_models():
        parameters = sum(p.numel() for p in create_model(name).parameters())
        table.add_row(name, f"{parameters / 1e6:.2f} M", "yes" if name in bundled_names() else "")
    Console().print(table)
