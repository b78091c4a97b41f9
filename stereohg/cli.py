"""The command line: one table of functions, whose typed signatures and docstrings are the options and their help."""

import inspect
import logging
import sys
import typing
from collections.abc import Callable

from docstring_parser import parse as parse_docstring
from jsonargparse import ActionYesNo, ArgumentParser

import stereohg
from stereohg.commands.data import data
from stereohg.commands.demo import demo
from stereohg.commands.evaluate import evaluate
from stereohg.commands.models import models
from stereohg.commands.pose import pose
from stereohg.commands.predict import predict
from stereohg.commands.submit import submit
from stereohg.commands.train import train
from stereohg.version import __version__

COMMANDS: dict[str, Callable[..., int | None]] = {
    "demo": demo,
    "predict": predict,
    "evaluate": evaluate,
    "submit": submit,
    "train": train,
    "data": data,
    "models": models,
    "pose": pose,
}
SHORT_OPTIONS = {"output": "-o"}
USER_ERRORS = (ValueError, OSError, ModuleNotFoundError)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; what a user can mend is told in one line, without a traceback."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("stereohg").setLevel(logging.INFO)
    parser = build_parser()
    parsed = parser.instantiate(parser.parse_args(arguments))
    command, options = parsed.command, parsed[parsed.command].as_dict()
    try:
        return COMMANDS[command](**options) or 0
    except USER_ERRORS as error:
        print(f"stereohg {command}: {error}", file=sys.stderr)
        return 1


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(prog="stereohg", description=stereohg.__doc__, version=__version__)
    commands = parser.add_subcommands(dest="command", required=True)
    for name, function in COMMANDS.items():
        commands.add_subcommand(name, _command_parser(function), help=inspect.getdoc(function).splitlines()[0])
    return parser


def _command_parser(function: Callable) -> ArgumentParser:
    """Options from the signature and its docstring; short names and plain flags are added by hand."""
    parser = ArgumentParser(description=inspect.getdoc(function).split("\n\nArgs:")[0])
    types, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
    by_hand = {name for name in parameters if name in SHORT_OPTIONS or types[name] is bool}
    for name in (name for name in parameters if name in by_hand):
        flags = [SHORT_OPTIONS[name]] if name in SHORT_OPTIONS else []
        kind = {"action": ActionYesNo(no_prefix="no_")} if types[name] is bool else {"type": types[name]}
        default = parameters[name].default
        kind |= {"required": True} if default is inspect.Parameter.empty else {"default": default}
        parser.add_argument(*flags, f"--{name}", help=_help(function, name), **kind)
    parser.add_function_arguments(function, skip=by_hand, as_positional=True)
    return parser


def _help(function: Callable, name: str) -> str:
    """What the docstring's Args section says of one parameter."""
    arguments = {argument.arg_name: argument.description for argument in parse_docstring(function.__doc__).params}
    return arguments[name]
