"""Which left picture belongs to which right one: by name, never by the order of two listings."""

import re
from dataclasses import dataclass
from glob import escape, glob, has_magic
from pathlib import Path

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".webp")


@dataclass(frozen=True)
class Pair:
    name: str
    left: Path
    right: Path


def find_pairs(left: str | Path, right: str | Path) -> tuple[list[Pair], list[str]]:
    """The pairs of two files, two folders or two patterns, sorted by name, and what has no partner, in words.

    In folders, pictures of the same name (without extension) belong together; in patterns, those for which every
    ``*`` stands for the same text ("scenes/*/im0.png" with "scenes/*/im1.png").

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: one side is a file and the other is not, or two pictures claim one name.
    """
    left, right = str(left), str(right)
    if _is_single(left) and _is_single(right):
        for path in (left, right):
            if not Path(path).exists():
                raise FileNotFoundError(f"{path}: no such picture or folder")
        return [Pair(Path(left).stem, Path(left), Path(right))], []
    if _is_single(left) or _is_single(right):
        raise ValueError(f"{left} and {right}: give two pictures, two folders or two patterns")
    lefts, rights = _named(left), _named(right)
    pairs = [Pair(name, lefts[name], rights[name]) for name in sorted(lefts.keys() & rights.keys())]
    alone = [f"{lefts[name]}: no right picture of that name" for name in sorted(lefts.keys() - rights.keys())]
    alone += [f"{rights[name]}: no left picture of that name" for name in sorted(rights.keys() - lefts.keys())]
    if not pairs:
        raise ValueError(f"{left} and {right}: no two pictures share a name")
    return pairs, alone


def _is_single(path: str) -> bool:
    return not has_magic(path) and not Path(path).is_dir()


def _named(where: str) -> dict[str, Path]:
    pattern = f"{escape(where)}/*" if Path(where).is_dir() else where
    keeps_suffix = not Path(where).is_dir()
    parts = [re.escape(part) for part in re.split(r"\*+", pattern if keeps_suffix else f"{where}/*")]
    matcher = re.compile("(.*?)".join(parts) + "$")
    found: dict[str, Path] = {}
    for path in sorted(map(Path, glob(pattern, recursive=True))):
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        match = matcher.match(str(path)) if keeps_suffix else None
        name = "_".join(group.replace("/", "_") for group in match.groups()) if match else path.stem
        if name in found:
            raise ValueError(f"{found[name]} and {path} are both named {name!r}; keep one")
        found[name] = path
    if not found:
        raise FileNotFoundError(f"{where}: no pictures there")
    return found
