"""Which left picture belongs to which right one: by name, never by the order of two listings."""

import re
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".webp")
WILDCARD = re.compile(r"(\*\*/|\*\*$|\*|\?|\[!![^\]]*\]|\[!?[^!][^\]]*\])")  # []] is a bracket
STANDS_FOR = {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}


@dataclass(frozen=True)
class Pair:
    name: str
    left: Path
    right: Path


def find_pairs(left: str | Path, right: str | Path) -> tuple[list[Pair], list[str]]:
    """The pairs of two files, two folders or two patterns, sorted by name, and what has no partner, in words.

    In folders, pictures of the same name (without extension) belong together; in patterns, those for which every
    wildcard stands for the same text ("scenes/*/im0.png" with "scenes/*/im1.png").

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: both are the same, one side is a file and the other is not, two pictures claim one name, or no two
            share one.
    """
    left, right = Path(left), Path(right)
    if left == right:
        raise ValueError(f"{left} was given for both sides; give the right camera's pictures as the second")
    if _is_single(left) and _is_single(right):
        for path in (left, right):
            if not path.exists():
                raise FileNotFoundError(f"{path}: no such picture or folder")
        return [Pair(left.stem, left, right)], []
    if _is_single(left) or _is_single(right):
        raise ValueError(f"{left} and {right}: give two pictures, two folders or two patterns")
    lefts, rights = _named(left), _named(right)
    pairs = [Pair(name, lefts[name], rights[name]) for name in sorted(lefts.keys() & rights.keys())]
    alone = [f"{lefts[name]}: no right picture of that name" for name in sorted(lefts.keys() - rights.keys())]
    alone += [f"{rights[name]}: no left picture of that name" for name in sorted(rights.keys() - lefts.keys())]
    if not pairs:
        raise ValueError(
            f"{left} and {right}: no two pictures share a name; where the names tell left and right, give patterns such"
            " as 'left/left_*.png' 'right/right_*.png'"
        )
    return pairs, alone


def is_picture(path: Path) -> bool:
    """By its name; hidden files, such as a Mac leaves beside pictures, are none."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def _is_single(path: Path) -> bool:
    return path.is_file() or not (has_magic(str(path)) or path.is_dir())


def _named(where: Path) -> dict[str, Path]:
    """Name to picture, for a folder or a pattern."""
    if where.is_dir():
        paths, name_of = sorted(where.iterdir()), lambda path: path.stem
    else:
        paths, name_of = sorted(map(Path, glob(str(where), recursive=True))), _wildcard_text(where)
    found: dict[str, Path] = {}
    for path in paths:
        if is_picture(path):
            name = name_of(path)
            if name in found:
                raise ValueError(f"{found[name]} and {path} are both named {name!r}; keep one")
            found[name] = path
    if not found:
        raise FileNotFoundError(f"{where}: no pictures there")
    return found


def _wildcard_text(pattern: Path):
    """What names a file that matches the pattern: the text that the wildcards stand for, joined by "_"."""
    tokens = WILDCARD.split(pattern.as_posix())
    expressions = [
        STANDS_FOR.get(t) or (f"({_as_class(t)})" if WILDCARD.fullmatch(t) else re.escape(t)) for t in tokens
    ]
    try:
        matcher = re.compile("".join(expressions))
    except re.error as error:
        raise ValueError(f"{pattern} is no pattern ({error}); in [] stand letters, or a range of them") from error

    def name_of(path: Path) -> str:
        texts = [text.strip("/").replace("/", "_") for text in matcher.fullmatch(path.as_posix()).groups()]
        name = "_".join(filter(None, texts))
        return Path(name).stem if Path(name).suffix.lower() in PICTURE_SUFFIXES else name

    return name_of


def _as_class(brackets: str) -> str:
    """What ``glob`` means by [...] or [!...], as a regular expression, to which other letters in it are special."""
    inside = brackets[1:-1]
    negated, inside = ("^", inside[1:]) if inside.startswith("!") else ("", inside)
    escaped = re.sub(r"([][^&~|\\])", r"\\\1", inside)
    return f"[{negated}{escaped}]"
