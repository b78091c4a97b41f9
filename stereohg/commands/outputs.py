"""What a command may write: nothing that it reads, and nothing twice."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from stereohg.data.pairs import PICTURE_SUFFIXES
from stereohg.files import FilePath


def check_outputs(outputs: Iterable[FilePath], inputs: Iterable[FilePath]) -> None:
    """ValueError where a file to be written is one that is read, or is two files in one."""
    read = {place for path in inputs for place in _places(Path(path))}
    written: set[Path] = set()
    for path in outputs:
        place = Path(path).resolve()
        if not read.isdisjoint(_places(Path(path))):
            raise ValueError(f"{path} is read, and would be overwritten; choose another output")
        if place in written:
            raise ValueError(f"{path} would be written twice, for two pairs or pictures; rename one of them")
        written.add(place)


def check_not_taken_for_pictures(outputs: Iterable[FilePath], given: FilePath, inputs: Iterable[Path]) -> None:
    """ValueError where a picture to be written would lie among those that a folder or pattern gives the next time."""
    if Path(given).is_file():
        return
    folders = {path.parent.resolve() for path in inputs}
    for path in map(Path, outputs):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.parent.resolve() in folders:
            raise ValueError(
                f"{path} would lie among the pictures that are read, and be taken for one of them; choose another"
                " output"
            )


def open_folder(folder: Path) -> None:
    """Makes the folder and tries it, before the hours whose result is to lie there.

    Raises:
        OSError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"{folder} cannot take the output ({error.strerror or error}); give another folder") from error


def _places(path: Path) -> set:
    """What says that two paths are one file: where they lead to, and which file of the disk is there."""
    try:
        status = path.stat()
    except OSError:
        return {path.resolve()}
    return {path.resolve(), (status.st_dev, status.st_ino)}
