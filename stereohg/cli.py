"""The command line: one table of functions, whose typed signatures and docstrings are the options and their help."""

import inspect
import logging
import sys
import typing
from collections.abc import Callable

import torch
from docstring_parser import parse as parse_docstring
from jsonargparse import ActionConfigFile, ActionYesNo

import stereohg
from stereohg.commands.calibrate import calibrate
from stereohg.commands.compare import compare
from stereohg.commands.convert import convert
from stereohg.commands.data import data
from stereohg.commands.demo import demo
from stereohg.commands.evaluate import evaluate
from stereohg.commands.export import export
from stereohg.commands.models import models
from stereohg.commands.parsing import Parser
from stereohg.commands.pose import pose
from stereohg.commands.predict import predict
from stereohg.commands.push import push
from stereohg.commands.rectify import rectify
from stereohg.commands.submit import submit
from stereohg.commands.train import train, train_keypoints
from stereohg.commands.video import video
from stereohg.devices import ask_for_large_pages, keep_freed_memory
from stereohg.training.recipes import find_recipe, list_recipes, task_of
from stereohg.version import __version__

COMMANDS: dict[str, Callable[..., int | None]] = {
    "demo": demo,
    "predict": predict,
    "video": video,
    "evaluate": evaluate,
    "submit": submit,
    "train": train,
    "data": data,
    "models": models,
    "compare": compare,
    "convert": convert,
    "export": export,
    "push": push,
    "pose": pose,
    "calibrate": calibrate,
    "rectify": rectify,
}
TRAININGS = {"stereo": train, "keypoints": train_keypoints}
SHORT_OPTIONS = {"output": "-o", "board": "-b", "square": "-s"}
OPTIONAL_POSITIONALS = {video: "right"}
INTERRUPTED = 130  # as shells have it
USER_ERRORS = (ValueError, OSError, ModuleNotFoundError, FloatingPointError)


def run() -> int:
    """The program: ``main`` in a process of its own."""
    ask_for_large_pages()
    if sys.argv[1:2] == ["train"]:  # the others might use more than --max-memory
        keep_freed_memory()
    return main()


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; what a user can mend is told in one line, without a traceback."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("stereohg").setLevel(logging.INFO)
    arguments = sys.argv[1:] if arguments is None else arguments
    command = "stereohg"
    try:
        arguments, commands = _with_recipe_file(arguments)
        parser = build_parser(commands)
        parsed = parser.instantiate(parser.parse_args(arguments))
        command, options = f"stereohg {parsed.command}", parsed[parsed.command].as_dict()
        options.pop("recipe", None)
        return commands[parsed.command](**options) or 0
    except USER_ERRORS as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    except (RuntimeError, MemoryError) as error:
        if not (why := _in_short(error)):
            raise
        print(f"{command}: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _in_short(error: Exception) -> str | None:
    """What to do where memory ran out; None for an error that is none of the user's."""
    said = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in said:
        return "there is not enough memory; make pictures, scale, max_disp or batch_size smaller (or accumulate larger)"
    if "DataLoader worker" in said and "killed" in said:
        return f"{said.splitlines()[0]} If memory ran out, give fewer workers"
    return None


def build_parser(table: dict[str, Callable[..., int | None]] = COMMANDS) -> Parser:
    parser = Parser(prog="stereohg", description=stereohg.__doc__, version=__version__)
    commands = parser.add_subcommands(dest="command", required=True)
    for name, function in table.items():
        commands.add_subcommand(name, _command_parser(function), help=inspect.getdoc(function).splitlines()[0])
    return parser


def _with_recipe_file(arguments: list[str]) -> tuple[list[str], dict[str, Callable[..., int | None]]]:
    """``train NAME`` as ``train --recipe FILE``, which is how the parser takes a file of settings.

    Returns:
        The arguments, and the table of commands, in which "train" is that of the recipe's task.
    """
    if arguments[:2] == ["train", "--recipe"]:
        arguments = ["train", *arguments[2:]]
    if arguments[:1] != ["train"] or arguments[1:2] in (["-h"], ["--help"]):
        return arguments, COMMANDS
    if not arguments[1:] or arguments[1].startswith("-"):
        raise ValueError(f"train wants a recipe first: {', '.join(list_recipes())}, or a file of your own")
    recipe = find_recipe(arguments[1])
    return ["train", "--recipe", str(recipe), *arguments[2:]], {**COMMANDS, "train": TRAININGS[task_of(recipe)]}


def _command_parser(function: Callable) -> Parser:
    """Options from the signature and its docstring; short names and plain flags are added by hand.

    A function of ``**settings`` takes them from a recipe, too.
    """
    parser = Parser(description=inspect.getdoc(function).split("\n\nArgs:")[0], print_config="--print_config")
    types, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        parser.add_argument("--recipe", action=ActionConfigFile, help="file of settings, which options override")
        parameters = {name: own for name, own in parameters.items() if own.kind is not inspect.Parameter.VAR_KEYWORD}
    by_hand = {name for name in parameters if name in SHORT_OPTIONS or types[name] is bool}
    last = OPTIONAL_POSITIONALS.get(function)
    for name in (name for name in parameters if name in by_hand):
        flags = [SHORT_OPTIONS[name]] if name in SHORT_OPTIONS else []
        kind = {"action": ActionYesNo(no_prefix="no_")} if types[name] is bool else {"type": types[name]}
        default = parameters[name].default
        kind |= {"required": True} if default is inspect.Parameter.empty else {"default": default}
        parser.add_argument(*flags, f"--{name}", help=_help(function, name), **kind)
    parser.add_function_arguments(function, skip=by_hand | {last}, as_positional=True)
    if last is not None:
        parser.add_argument(last, nargs="?", type=types[last], help=_help(function, last))
    return parser


def _help(function: Callable, name: str) -> str:
    """What the docstring's Args section says of one parameter."""
    arguments = {argument.arg_name: argument.description for argument in parse_docstring(function.__doc__).params}
    return arguments[name]
