"""Text that people write by hand or save from a spreadsheet: lists, and tables whose first line names the columns."""

import csv
import io
from pathlib import Path


def read_text(path: Path) -> str:
    """The file as UTF-8, without a byte order mark; ValueError where it is in another encoding."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); save it again in that encoding") from error


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a .csv, and of each line its number and its cells by column.

    Raises:
        ValueError: a line has more cells than there are columns, as decimal commas make of it, or no end.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    lines = []
    try:
        for row in reader:
            surplus = row.pop(None, [])  # where DictReader puts them
            if any(cell.strip() for cell in surplus):
                raise ValueError(
                    f"{path}, line {reader.line_num} has {len(row) + len(surplus)} cells, and the first line names"
                    f" {len(row)} columns; are there decimal commas, or a comma too many?"
                )
            lines.append((reader.line_num, row))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}; is a quotation mark left open?") from error
    return list(reader.fieldnames or []), lines
