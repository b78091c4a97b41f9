"""The README's tables of figures, made of the results.

python -m benchmarks.tables
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CASE = re.compile(r"(inference|training) of (\w+), (\d+x\d+)")


def main() -> None:
    README.write_text(filled(README.read_text()))


def filled(text: str) -> str:
    """The text with each table between its marks made anew."""
    return PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]]()}{place[3]}", text)


def networks() -> str:
    """Ours beside the papers' own formulation."""
    rows = []
    for case, forms in _results("networks").items():
        found = CASE.match(case)
        if not found:
            continue
        work, name, size = found.groups()
        published, *ours = forms.items()
        for form, cost in ours:
            rows.append(
                (
                    f"{work} of `{name}`, {size}, {form.split(', ')[1]}",
                    f"{published[1]['seconds_median']:.2f} s",
                    f"{cost['seconds_median']:.2f} s",
                    f"{cost['times_as_quick']:.2f}",
                    f"{published[1]['peak_megabytes']} MB",
                    f"{cost['peak_megabytes']} MB",
                    f"{100 * cost['share_of_memory']:.0f} %",
                )
            )
    return _table(("", "published", "ours", "times as quick", "published", "ours", "share"), rows)


def large() -> str:
    """Large pictures within a stated memory."""
    rows = []
    for case, cost in _results("large").items():
        name, size, levels = case.split(", ")
        peak, estimate = (f"{cost[key] / 1000:.2f} GB" for key in ("peak_megabytes", "estimated_megabytes"))
        rows.append((f"`{name}`", size, levels.split()[0], f"{cost['seconds']:.1f} s", peak, estimate, cost["bands"]))
    return _table(("network", "pixels", "levels", "time", "peak memory", "estimated", "bands"), rows)


def motorcycle() -> str:
    """The bundled network beside StereoSGBM."""
    rows = [
        (
            f"`{case}`" if case.startswith("hg") else case,
            f"{cost['epe']:.2f} px",
            f"{cost['bad_1']:.1f} %",
            f"{cost['bad_3']:.1f} %",
            f"{cost['seconds_median']:.2f} s",
            f"{cost['peak_megabytes']:.0f} MB",
        )
        for case, cost in _results("motorcycle").items()
    ]
    return _table(("", "EPE", "bad-1", "bad-3", "time", "memory"), rows)


TABLES: dict[str, Callable[[], str]] = {"networks": networks, "large": large, "motorcycle": motorcycle}


def _results(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())["results"]


def _table(heading: tuple[str, ...], rows: Iterable[tuple]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    main()
