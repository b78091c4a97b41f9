"""Anyone's own pairs: a table, a list, or folders side by side."""

from difflib import get_close_matches
from pathlib import Path

import numpy as np

from stereohg.data.pairs import find_pairs
from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, StereoDataset, StereoFiles, Transform, read_positive
from stereohg.data.tables import read_table, read_text
from stereohg.files import DISPARITY_SUFFIXES

COLUMNS = ("left", "right", "disparity", "right_disparity")


class StereoFolder(StereoDataset):
    """Pairs that a file lists, or that lie in parallel folders; disparities in PFM, 16-bit PNG, NPY or TIFF.

    One of::

        pairs.csv                          pairs.txt, as GwcNet has them     ROOT
          left,right,disparity               a/l.png a/r.png a/d.pfm           left/000.png
          a/l.png,a/r.png,a/d.pfm            b/l.png b/r.png b/d.pfm           right/000.png
          b/l.png,b/r.png,b/d.pfm          without the third: no truth         disparity/000.pfm
                                                                               right_disparity/000.pfm

    A table names its columns in the first line: left and right, and where there is ground truth disparity and
    right_disparity; others are ignored, unless they look like one of these misspelt. Paths are relative to ``root``. In
    folders, files of one name without extension belong together. Pairs without disparity have no valid pixel.

    Args:
        source: the table (.csv), the list (.txt), or the folder that has ``left`` and ``right``.
        root: what the paths in a table or list are relative to; None is the folder that it lies in.
        scale: stored units for one pixel of disparity; None is 256 in 16-bit PNG and 1 in files of floats.
        with_truth: False leaves disparities where they are, so that nothing of them need be there, or be whole.
        transform, seed, on_error, right_truth: see ``StereoDataset``.

    Raises:
        FileNotFoundError: there is no such file or folder, or a listed file is not there.
        ValueError: a line or column of the table or list is malformed, or a file has no counterpart.
    """

    def __init__(
        self,
        source: str | Path,
        root: str | Path | None = None,
        scale: float | None = None,
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        right_truth: bool | None = None,
        with_truth: bool = True,
    ):
        source = Path(source)
        if source.is_dir():
            if root is not None:
                raise ValueError(f"{source} is a folder; a root belongs to a table or list")
            listing = list_folders(source, with_truth)
        else:
            listing = read_list(source, source.parent if root is None else Path(root), with_truth)
        self.scale = scale
        super().__init__(listing, transform, seed, on_error, right_truth)

    def read_disparity(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        return read_positive(path, self.scale)


def read_list(path: Path, root: Path, with_truth: bool = True) -> Listing:
    """The pairs of a table or a list, in its order; named by the left picture's path without its extension."""
    if path.suffix.lower() not in (".csv", ".txt"):
        raise ValueError(f"{path} is neither a folder nor a table (.csv) or list (.txt) of pairs")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; a table (.csv) or list (.txt) of pairs was expected")
    rows = _table(path) if path.suffix.lower() == ".csv" else _lines(path)
    listing = Listing()
    first_line: dict[str, int] = {}
    for number, row in rows:
        files = {column: root / row[column] for column in _columns(with_truth) if row.get(column)}
        name = Path(row["left"]).with_suffix("").as_posix()
        missing = [str(file) for file in files.values() if not file.is_file()]
        if missing:
            listing.problems.append(f"{path}, line {number}: {' and '.join(missing)} not found")
        elif name in first_line:
            listing.problems.append(f"{path}, line {number}: {name} is in line {first_line[name]} already")
        else:
            first_line[name] = number
            listing.files.append(StereoFiles(name, **files))
    if not listing.files and not listing.problems:
        raise ValueError(f"{path} lists no pair")
    return listing


def _table(path: Path) -> list[tuple[int, dict[str, str]]]:
    columns, lines = read_table(path)
    if not {"left", "right"} <= set(columns):
        raise ValueError(f"{path} begins with the columns {', '.join(columns)}; left and right are needed")
    for column in columns:
        meant = (
            [] if column in COLUMNS else get_close_matches(column, [own for own in COLUMNS if own not in columns], 1)
        )
        if meant:
            raise ValueError(f"{path} has a column {column!r}, which is none that is read; is it to be {meant[0]!r}?")
    rows = []
    for number, row in lines:
        if not (row["left"] and row["right"]):
            raise ValueError(f"{path}, line {number}: a line has a left and a right picture")
        rows.append((number, {column: row[column] or "" for column in COLUMNS if column in columns}))
    return rows


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        names = line.split()
        if len(names) not in (0, 2, 3):
            raise ValueError(
                f"{path}, line {number}: {len(names)} names; a line has left, right and perhaps disparity, apart by "
                "blanks (names with blanks in them need a .csv)"
            )
        if names:
            rows.append((number, dict(zip(COLUMNS, names, strict=False))))
    return rows


def list_folders(root: Path, with_truth: bool = True) -> Listing:
    """The pairs of ``left`` and ``right``, with what is of their name in ``disparity`` and ``right_disparity``."""
    for side in ("left", "right"):
        if not (root / side).is_dir():
            raise FileNotFoundError(f"{root} has no folder '{side}'; it must have left and right (or give a table)")
    pairs, problems = find_pairs(root / "left", root / "right")
    truths = {column: _by_stem(root / column) for column in _columns(with_truth)[2:]}
    files = []
    for pair in pairs:
        found = {column: truth[pair.name] for column, truth in truths.items() if pair.name in truth}
        if truths.get("disparity") and "disparity" not in found:
            problems.append(f"{pair.left} has no disparity of its name")
        else:
            files.append(StereoFiles(pair.name, pair.left, pair.right, **found))
    names = {pair.name for pair in pairs}
    orphans = {name: path for name, path in truths.get("disparity", {}).items() if name not in names}
    problems += [f"{path} has no pair of its name" for path in orphans.values()]
    return Listing(files, problems)


def _columns(with_truth: bool) -> tuple[str, ...]:
    return COLUMNS if with_truth else COLUMNS[:2]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in DISPARITY_SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(f"{found[path.stem]} and {path} are both named {path.stem!r}; keep one")
            found[path.stem] = path
    return found
