"""Weights of our own: a safetensors file with a card inside, which says what they are; and the loader of all weights.

The card is JSON in the file's metadata under "card": format ("stereohg"), version (of the package), architecture,
arguments (of its constructor), normalisation (mean and std of RGB in [0,1]), training, metrics, licence, dtype (of the
weights on disk), and whatever else it was given.
"""

import hashlib
import inspect
import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from stereohg.files import FilePath, replacing
from stereohg.models.checkpoint import CheckpointError, check_finite, check_state
from stereohg.models.hub import download
from stereohg.models.published import Container, load_published_state, read_published
from stereohg.models.recognition import (
    KNOWN_FILES,
    describe,
    published_normalisation,
    published_settings,
    recognise,
)
from stereohg.models.registry import MODELS, create_model, list_models
from stereohg.models.search import set_search
from stereohg.version import __version__

logger = logging.getLogger("stereohg")

FORMAT = "stereohg"
SUFFIX = ".safetensors"
SETTINGS = ("max_disp", "align_corners", "output_scale", "scale")
"""Arguments that no weight depends on, so that they may be changed afterwards; a card has them as they are then."""


def save_model(model: nn.Module, path: FilePath, card: dict | None = None, *, half: bool = False) -> None:
    """Writes weights and card; the file appears whole or not at all.

    Args:
        model: from ``create_model`` or ``load_model``; what its own card says is kept.
        path: of the file, by custom .safetensors.
        card: goes before the model's own card: training, metrics, licence, normalisation, anything that is JSON.
            Format, version, architecture, arguments and dtype are the model's, whatever it says.
        half: store float16, half the size; ``load_model`` gives float32 again, with 11 bits of precision.

    Raises:
        ValueError: the model was made without ``create_model``.
        CheckpointError: a weight is not finite, or too large for float16.
        TypeError: the card is not JSON.
    """
    if getattr(model, "architecture", None) not in MODELS:
        raise ValueError(f"{type(model).__name__} is no registered network; make it with create_model")
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    check_finite(f"the network for {path}", state)
    dtype = torch.float16 if half else torch.float32
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
    if half:
        large = [key for key, value in state.items() if not value.isfinite().all()]
        if large:
            raise CheckpointError(f"{large[0]} is too large for float16; save {path} without half")
    card = {
        "training": {},
        "metrics": {},
        "licence": "not stated",
        "normalisation": {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)},
        **{key: value for key, value in getattr(model, "card", {}).items() if key != "overridden"},
        **(card or {}),
        "format": FORMAT,
        "version": __version__,
        "architecture": model.architecture,
        "arguments": _arguments(model),
        "dtype": "float16" if half else "float32",
    }
    text = json.dumps(card)
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, metadata={"card": text}))


def read_card(name_or_path: FilePath) -> dict:
    """The card of bundled weights or of a file of ours; the weights are not read.

    Raises:
        FileNotFoundError: neither a bundled name nor a file.
        CheckpointError: the file is not ours, or damaged.
    """
    with _located(name_or_path) as path:
        return _read_card(path)


def fingerprint(model: nn.Module) -> str:
    """The same for the same weights, wherever they came from; 16 hexadecimal digits."""
    found = hashlib.sha256()
    for key, value in model.state_dict().items():
        found.update(key.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def bundled_names() -> list[str]:
    """The names of the weights that come with the package, sorted."""
    folder = _bundled_folder()
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def load_model(
    name_or_path: FilePath,
    *,
    max_disp: int | None = None,
    align_corners: bool | None = None,
    output_scale: float | None = None,
) -> nn.Module:
    """A network with its weights, in float32 on the CPU, in ``eval()``; its card is ``model.card``.

    What a published file was taken for, and how it will be run, is logged ("stereohg", INFO) and in the card under
    "recognised". Nothing in a file is ever executed.

    Args:
        name_or_path: bundled weights by name (which goes first), or a file: ours, or one of those in ``published.py``;
            "hf://owner/name[/file][@revision]" is one on the Hugging Face hub (``hub.py``).
        max_disp: the range in pixels of the given pictures, instead of the file's; see ``set_search``.
        align_corners: how volumes and pooled features are upsampled, instead of the file's or the rule's.
        output_scale: factor on the disparity, instead of the file's; 1.17 has been seen to mend the authors' SceneFlow
            weights of PSMNet.

    Raises:
        FileNotFoundError: neither a bundled name nor a file; the bundled names are listed.
        CheckpointError: the file is damaged, would have to be executed, or is not of a network here; or weights are
            missing, foreign, of a wrong shape, NaN or infinite. Which, it says.
        ValueError: a setting out of range, or one that the network does not have.
    """
    given = {"max_disp": max_disp, "align_corners": align_corners, "output_scale": output_scale}
    overrides = {name: value for name, value in given.items() if value is not None}
    with _located(name_or_path) as path:
        own = _is_own(path)
        model = _load_own(path) if own else _load_published(path)
    _override(model, overrides)
    if not own:
        if overrides:
            model.card["recognised"] += f"; as asked, {_in_words(overrides)}"
        logger.info(model.card["recognised"])
    return model.eval()


# --- files ----------------------------------------------------------------------------------------------------------


def _bundled_folder():
    return resources.files("stereohg") / "weights"


@contextmanager
def _located(name_or_path: FilePath) -> Iterator[Path]:
    names = bundled_names()
    if str(name_or_path) in names:
        with resources.as_file(_bundled_folder() / f"{name_or_path}{SUFFIX}") as path:
            yield path
        return
    if str(name_or_path).startswith("hf://"):
        name_or_path = download(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is neither bundled weights nor a file"
        network = "; create_model makes that network with random weights" if str(name_or_path) in list_models() else ""
        raise FileNotFoundError(f"{name_or_path} {what}{network}; bundled are: {', '.join(names) or 'none'}")
    yield path


def _is_own(path: Path) -> bool:
    """A safetensors file begins with the length of its header, 8 bytes, and the header, which is JSON."""
    with path.open("rb") as file:
        return path.suffix == SUFFIX or file.read(9)[8:] == b"{"


def _read_card(path: Path) -> dict:
    if not _is_own(path):
        raise CheckpointError(f"{path} is no file of ours and has no card; load_model reads published files")
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is truncated or corrupt ({error}); download or copy it again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f"{path} has no card of {FORMAT}, so its network is not known; save_model writes one")
    return card


# --- networks -------------------------------------------------------------------------------------------------------


def _load_own(path: Path) -> nn.Module:
    card = _read_card(path)
    name, arguments = str(card.get("architecture")), card.get("arguments")
    if name not in MODELS:
        raise CheckpointError(f"{path} holds the network {name!r}; this version has {', '.join(list_models())}")
    try:
        model = create_model(name, **arguments)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds {name} with arguments that it does not take: {error}") from error
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or corrupt ({error}); download or copy it again") from error
    check_state(str(path), state, model.state_dict(), name)
    model.load_state_dict(state)
    model.card = card
    return model


def _load_published(path: Path) -> nn.Module:
    state, container = read_published(path)
    architecture, arguments = recognise(state, str(path))
    settings, reason = published_settings(architecture, container.sha256, container.counts_batches)
    model = create_model(architecture, **arguments, **settings)
    load_published_state(model, state, str(path))
    model.card = _published_card(model, path, container)
    model.card["recognised"] = (
        f"{path.name} was taken for {describe(architecture, arguments)} in the format {container.format}"
        + (f", {reason}: {_in_words(settings)}" if settings else "")
    )
    return model


def _published_card(model: nn.Module, path: Path, container: Container) -> dict:
    training = {"file": path.name, "sha256": container.sha256, **container.details}
    known = KNOWN_FILES.get(container.sha256)
    if known:
        training = {"weights": known.name, "source": known.source, **training}
    return {
        "format": FORMAT,
        "version": __version__,
        "architecture": model.architecture,
        "arguments": _arguments(model),
        "normalisation": published_normalisation(model.architecture, model.arguments),
        "training": training,
        "metrics": {},
        "licence": known.licence if known else "not stated in the file",
    }


def _override(model: nn.Module, overrides: dict) -> None:
    for name, value in overrides.items():
        if name not in _parameters(model):
            raise ValueError(f"{model.architecture} has no {name}")
        if name == "output_scale" and not (math.isfinite(value) and value > 0):
            raise ValueError(f"output_scale is {value}; it must be positive, such as 1.0")
        if name == "max_disp":
            set_search(model, value)
        else:
            setattr(model, name, value)
    if overrides:
        model.arguments = {**model.arguments, **{name: getattr(model, name) for name in overrides}}
        model.card["arguments"] = _arguments(model)
        model.card["overridden"] = overrides


def _parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(type(model)).parameters)


def _arguments(model: nn.Module) -> dict:
    """All of the constructor's arguments: defaults may change, and settings may have been changed since."""
    parameters = _parameters(model)
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    settings = {name: getattr(model, name) for name in SETTINGS if name in parameters}
    return {**defaults, **model.arguments, **settings}


def _in_words(settings: dict) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())
