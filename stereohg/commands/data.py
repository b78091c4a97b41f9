"""``stereohg data check``: what a folder of stereo data holds, before training finds out."""

from pathlib import Path
from typing import Any, Literal

from stereohg.commands.telling import make_console, tell_some
from stereohg.data.check import SetName, check_data


def data(
    action: Literal["check"],
    root: Path,
    expect: SetName | None = None,
    samples: int = 8,
    options: dict[str, Any] | None = None,
) -> int:
    """Checks a folder of stereo data: the layout, the number of pairs, files, sizes, and the sign of the disparity.

    Knows Scene Flow, KITTI 2012 and 2015, Middlebury, ETH3D, and sets of one's own (.csv, .txt, or a folder with left
    and right).

    Args:
        action: check.
        root: the folder, table or list.
        expect: the set that it should be, if not any.
        samples: pairs of each part that are read fully.
        options: of a set of one's own, such as --options.scale 100, or --options.root FOLDER for a list's paths.

    Returns:
        The exit status: 1 when something is wrong.
    """
    report = check_data(root, expect, samples, options)
    console = make_console(soft_wrap=True)
    for fact in report.facts:
        console.print(fact)
    tell_some(console, "wrong", report.problems)
    if not report.problems:
        console.print("nothing is wrong")
    return 1 if report.problems else 0
