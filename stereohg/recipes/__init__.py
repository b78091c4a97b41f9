"""The recipes in the package: settings of ``stereohg train`` by name."""

from argparse import ArgumentError
from importlib import resources
from pathlib import Path

from jsonargparse import ArgumentParser

from stereohg.training.config import StereoTraining

SUFFIX = ".yaml"


def list_recipes() -> list[str]:
    """The names that ``stereohg train`` takes, sorted."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe of the package, which goes first, or of one's own.

    Raises:
        FileNotFoundError: there is neither; the package's are listed.
    """
    names = list_recipes()
    if str(name_or_path) in names:
        return Path(str(resources.files(__name__) / f"{name_or_path}{SUFFIX}"))
    if not Path(name_or_path).is_file():
        raise FileNotFoundError(f"{name_or_path} is neither a recipe nor a file; recipes are {', '.join(names)}")
    return Path(name_or_path)


def load_recipe(name_or_path: str | Path) -> StereoTraining:
    """The settings of a recipe; ``dataclasses.replace`` changes them.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: it has unknown settings, or values that do not fit.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(StereoTraining, as_positional=False)
    path = find_recipe(name_or_path)
    try:
        return StereoTraining(**parser.instantiate(parser.parse_path(path)).as_dict())
    except ArgumentError as error:
        raise ValueError(f"{path} is no recipe: {error}") from error
