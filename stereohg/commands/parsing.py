"""The parser of the command line: options by their whole names, and a line for what it cannot take."""

import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from jsonargparse import ArgumentParser

MISUSED = 2  # the exit status, as shells have it
UNKNOWN = re.compile(r"unrecognized arguments: (.*)|does not accept option '([^']*)'")
MISSING = re.compile(r"required: (\w+)\.(.*)")
NOT_OF_TYPES = re.compile(
    r'Parser key "([^"]*)":\s*(?:Expected a (.*?)\. Got value: |.*Subtypes: \[(.*?)\]\n.*Given value: )(.*)', re.DOTALL
)
TYPES = {"<class 'int'>": "a whole number", "<class 'float'>": "a number", "<class 'pathlib.Path'>": "a path"}


class Parser(ArgumentParser):
    """jsonargparse's, without its page of usage before each error."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Ends the program with what is wrong and, where that can be guessed, what was meant."""
        parser = getattr(ex, "subcommand_parser", None) or self
        program = parser.prog.replace(" [options]", "")
        if found := MISSING.search(message):  # is told of without the command's parser
            program, message = f"{program} {found[1]}", f"it wants {found[2]}"
        elif found := NOT_OF_TYPES.search(message):
            message = f"--{found[1]} is {found[4]}; it must be {_in_words(found[2] or found[3])}"
        sys.stderr.write(f"{program}: {message}{parser._meant(message)}\n(what there is: {program} --help)\n")
        sys.exit(MISUSED)

    def _meant(self, message: str) -> str:
        found = UNKNOWN.search(message)
        if not found:
            return ""
        word = (found[1] or f"--{found[2]}").split()[0]
        if not word.startswith("-"):
            return "; put patterns in quotes, or give folders" if Path(word).exists() else ""
        known = [name for action in self._actions for name in action.option_strings]
        meant = get_close_matches(word.split("=")[0], known, 1)
        return f"; is it to be {meant[0]}?" if meant else ""


def _in_words(types: str) -> str:
    """Of the types that a union is written as, without that of nothing given."""
    kinds = re.findall(r"typing\.Literal\[(.*?)\]|(<class '[^']*'>)", types)
    words = [literal or TYPES.get(kind, kind) for literal, kind in kinds if "NoneType" not in kind]
    return " or ".join(", ".join(words).replace("'", "").rsplit(", ", 1))
