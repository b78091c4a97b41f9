"""The tables of figures in the README and the guides, made of the results.

python -m benchmarks.tables
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CASE = re.compile(r"(inference|training) of (\w+), (\d+x\d+)")


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))


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


def answers() -> str:
    """How far PSMNet's answers lie from the papers' own formulation."""
    rows = []
    for pair, forms in _results("answers").items():
        for form, own in list(forms.items())[1:]:
            apart = (own[f"{which}_difference_from_published, float32"] for which in ("mean", "largest"))
            errors = (f"{own['epe']:.3f} px", f"{own['d1']:.2f} %") if "epe" in own else ("", "")
            rows.append((pair, form, *(f"{difference:.1e} px" for difference in apart), *errors))
    return _table(("pair", "answers", "mean difference", "largest", "EPE", "D1"), rows)


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


def confidence() -> str:
    """How the confidence orders the errors, and what the left-right check marks."""
    rows = []
    for case, own in _results("trust")["confidence"].items():
        checks = (own.get(key) for key in ("occluded_marked_percent", "visible_kept_percent"))
        marked, kept = ("" if share is None else f"{share:.0f} %" for share in checks)
        rows.append((case, f"{own['bad_3']:.1f} %", f"{own['sparsification_area']:.2f}", marked, kept))
    return _table(("", "bad-3", "area", "occluded marked", "visible kept"), rows)


def cameras() -> str:
    """What worse cameras cost."""
    rows = [
        (case, *(f"{own[f'{method}_bad_3']:.1f} %" for method in ("hgstereo_s", "StereoSGBM")))
        for case, own in _results("trust")["worse cameras"].items()
    ]
    return _table(("the Motorcycle", "`hgstereo_s`", "StereoSGBM"), rows)


def adapting() -> str:
    """What the bundled weights gain on pairs of one's own."""
    rows = []
    for case, own in _results("adapting").items():
        figures = (f"{own['before'][key]:.1f} to {own['after'][key]:.1f}" for key in ("epe", "bad_1", "bad_3"))
        rows.append((f"`{case.split(', ')[0]}`", case.split(", ")[1], own["steps"], *figures))
    return _table(("recipe", "tried on", "steps", "EPE, px", "bad-1, %", "bad-3, %"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "networks": networks,
    "answers": answers,
    "large": large,
    "motorcycle": motorcycle,
    "confidence": confidence,
    "cameras": cameras,
    "adapting": adapting,
}


def _results(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())["results"]


def _table(heading: tuple[str, ...], rows: Iterable[tuple]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    main()
