"""The checkpoints that the papers' authors publish: read and written back.

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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stereohg.files import FilePath, replacing
from stereohg.models.checkpoint import CheckpointError, check_finite, check_state, some
from stereohg.models.published_keys import RULES, published_keys
from stereohg.models.recognition import BATCH_COUNT, describe

logger = logging.getLogger("stereohg")

PARALLEL_PREFIX = "module."


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


_WEIGHT_ENTRIES = ("state_dict", "model", "model_state")
_DETAILS = ("epoch", "arch", "best_acc", "train_loss", "test_loss")
_NUMPY_KINDS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


def read_published(path: FilePath) -> tuple[dict[str, Tensor], Container]:
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
            f"{path} holds no weights, only {some(content)}; expected are the entries 'state_dict' or 'model', or "
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


def _unpickle(path: FilePath, data: bytes):
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
        name = (code[1] or code[2]) if code else some(_foreign_globals(data))
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


def save_published(model: nn.Module, path: FilePath, *, epochs: int = 0, best_acc: float = 0.0) -> None:
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
