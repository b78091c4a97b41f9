"""The architecture, as the imports have it."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import stereohg

ROOT = Path(stereohg.__file__).parent


def imported(path: Path) -> set[str]:
    """Modules that a file names in its imports, wherever they stand."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    return names


def part(module: str) -> str:
    """The folder or file of the package that a module belongs to."""
    return ".".join(module.split(".")[:2])


def test_imports_go_in_no_circle():
    graph: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        own = part(".".join(("stereohg", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"))
        others = {part(name) for name in imported(path) if name.startswith("stereohg")}
        graph.setdefault(own, set()).update(others - {own})
    order = list(TopologicalSorter(graph).static_order())  # CycleError where there is one
    upwards = ("files", "data", "models", "prediction", "training", "commands")
    places = [order.index(f"stereohg.{name}") for name in upwards]
    assert places == sorted(places)


def test_what_networks_are_made_of_knows_torch_alone():
    names = {name for path in (ROOT / "nn").rglob("*.py") for name in imported(path)}
    outside = {name.split(".")[0] for name in names if part(name) != "stereohg.nn"}
    assert outside - sys.stdlib_module_names == {"torch", "triton"}
