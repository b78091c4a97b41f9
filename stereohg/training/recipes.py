"""The recipes in the package: settings of ``stereohg train`` by name."""

from argparse import ArgumentError
from importlib import resources
from pathlib import Path

import yaml
from jsonargparse import ArgumentParser

from stereohg.training.config import KeypointTraining, StereoTraining

PACKAGE, SUFFIX = "stereohg.recipes", ".yaml"
TRAININGS = {"stereo": StereoTraining, "keypoints": KeypointTraining}


def list_recipes() -> list[str]:
    """The names that ``stereohg train`` takes, sorted."""
    files = resources.files(PACKAGE).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe of the package, which goes first, or of one's own.

    Raises:
        FileNotFoundError: there is neither; the package's are listed.
    """
    names = list_recipes()
    if str(name_or_path) in names:
        return Path(str(resources.files(PACKAGE) / f"{name_or_path}{SUFFIX}"))
    if not Path(name_or_path).is_file():
        raise FileNotFoundError(f"{name_or_path} is neither a recipe nor a file; recipes are {', '.join(names)}")
    return Path(name_or_path)


def is_recipe(name_or_path: str) -> bool:
    """Whether this is one of the package's, or a file that is called as if it were one."""
    return name_or_path in list_recipes() or name_or_path.endswith((SUFFIX, ".yml"))


def task_of(path: Path) -> str:
    """What a recipe trains for: "stereo" unless it says otherwise.

    Raises:
        ValueError: the file is no recipe, or its task is unknown.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no recipe, which is settings in YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is no recipe, which is settings in YAML: {settings!r:.40}")
    task = settings.get("task", "stereo")
    if task not in list(TRAININGS):  # whatever YAML makes of it
        raise ValueError(f"{path} has the task {task!r}; known are {', '.join(TRAININGS)}")
    return task


def load_recipe(name_or_path: str | Path) -> StereoTraining | KeypointTraining:
    """The settings of a recipe; ``dataclasses.replace`` changes them.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: it has unknown settings, or values that do not fit.
    """
    path = find_recipe(name_or_path)
    training = TRAININGS[task_of(path)]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(training, as_positional=False)
    try:
        return training(**parser.instantiate(parser.parse_path(path)).as_dict())
    except ArgumentError as error:
        raise ValueError(f"{path} is no recipe: {error}") from error
