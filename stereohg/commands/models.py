"""``stereohg models``: what there is."""

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stereohg.commands.sizes import parse_size
from stereohg.commands.telling import make_console
from stereohg.models.quantities import quantities
from stereohg.models.registry import create_model, list_models
from stereohg.models.weights import bundled_names, read_card

METRICS = ("epe", "bad_1", "bad_2", "bad_3")


def models(verbose: bool = False, size: str = "256x512", max_disp: int = 192) -> None:
    """Lists the networks, their size, and which come with weights.

    Args:
        verbose: also what a prediction costs at a size, and how good the bundled weights are.
        size: height x width of the pictures, such as 384x1248.
        max_disp: largest disparity looked for, pixels.
    """
    console = make_console()
    if verbose:
        _tell_quantities(size, max_disp, console)
        return
    table = Table("model", "parameters", "bundled weights")
    for name in list_models():
        parameters = sum(p.numel() for p in create_model(name).parameters())
        table.add_row(name, f"{parameters / 1e6:.2f} M", "yes" if name in bundled_names() else "")
    console.print(table)


def _tell_quantities(size: str, max_disp: int, console: Console) -> None:
    height, width = parse_size(size)
    title = f"one prediction of {height}x{width} (height x width), disparities to {max_disp} px"
    table = Table("model", box=SIMPLE, title=title)
    for heading in ("parameters", "scale", "GFLOP", "peak memory"):
        table.add_column(heading, justify="right")
    for name in list_models():
        scale = read_card(name)["arguments"].get("scale", 1.0) if name in bundled_names() else 1.0
        own = quantities(name, height, width, max_disp, scale)
        cost = f"{own.flop / 1e9:.1f}", f"{own.peak_bytes / 1e6:.0f} MB"
        table.add_row(name, f"{own.parameters / 1e6:.2f} M", f"{scale:g}", *cost)
    console.print(table)
    console.print(
        "A multiply-add counts as two FLOP. The memory is estimated, in float32 on a CPU, beside what the process "
        "holds before. The scale is what bundled weights enlarge pictures by. keypoint_hourglass takes one picture, "
        "and no disparities."
    )
    for name in bundled_names():
        for data, metrics in read_card(name)["metrics"].items():
            known = ", ".join(f"{key} {metrics[key]:g} {_unit(key)}" for key in METRICS if key in metrics)
            console.print(f"{name}, bundled weights, {data}: {known}", soft_wrap=True)


def _unit(metric: str) -> str:
    return "px" if metric == "epe" else "%"
