"""Networks as files for other runtimes: ONNX, and programs of torch.export.

A file takes pictures as cameras and Pillow give them, and holds everything up to the answer: normalisation, padding
(of a fixed size), network, regression. Its operators are standard ones; no resize is of more than four dimensions.

Shapes: H height, W width of the pictures, uint8 RGB (1,H,W,3); disparity and confidence (1,H,W) float32; K keypoints,
heatmaps (1,K,H/4,W/4) float32.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, Padding, normalise
from stereohg.files import FilePath, replacing
from stereohg.models.features import SpatialPyramid
from stereohg.models.inference import ready_for_inference
from stereohg.models.keypoint import KeypointHourglass
from stereohg.models.resizing import at_full_size, bilinear, brought_back, resized, scaled
from stereohg.models.search import next_multiple
from stereohg.models.stereo import StereoNetwork
from stereohg.nn import confidence
from stereohg.version import __version__

Format = Literal["onnx", "torch"]
ExportPrecision = Literal["float32", "float16"]

SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
CARD = "stereohg.json"
"""What a .pt2 calls the text that an .onnx has as metadata, for ``extra_files`` of ``torch.export.load``."""
STEREO_SIZE, KEYPOINT_SIZE = (384, 1248), (256, 256)
TOLERANCE = 1e-2  # pixels of disparity, or shares of the highest peak
FEW = 1e-3  # of the pixels, on which the likeliest of two levels may turn by rounding


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file.
        metadata: what the file says of itself.
        largest_difference: from PyTorch on a made pair, pixels of disparity (heatmaps: shares of the
            highest peak); None: not checked.
    """

    path: Path
    metadata: dict[str, str]
    largest_difference: float | None


def export(
    model: nn.Module,
    path: FilePath,
    format: Format = "onnx",
    *,
    size: tuple[int, int] | None = None,
    dynamic: bool = False,
    precision: ExportPrecision = "float32",
    check: bool = True,
) -> Exported:
    """Writes a network as a file that runs without this package; the file appears whole or not at all.

    Stereo: inputs "left" and "right", outputs "disparity" and "confidence". Keypoints: "image" and "heatmaps".

    Args:
        model: from ``create_model`` or ``load_model``; its ``max_disp`` is the file's.
        path: .onnx, or .pt2 for "torch".
        format: "onnx", or "torch" for a program of torch.export.
        size: (H,W) of the pictures, which are padded inside; default 384x1248, keypoints 256x256 (multiples of 64).
        dynamic: any size that is a multiple of the network's and not below "least_size" in the metadata; pictures are
            to be enlarged by its "scale" beforehand, which a file of fixed size does inside.
        precision: of weights and activations; the regression is in float32 always.
        check: run the file on a made pair and compare; a dynamic one at another size than it was traced with.

    Raises:
        ValueError: an option that cannot be, with the mend; or under ``check``, in float32, answers that differ.
        ModuleNotFoundError: what ONNX needs is not installed.
    """
    if format not in SUFFIXES:
        raise ValueError(f"format is {format!r}; it must be 'onnx' or 'torch'")
    if Path(path).suffix != SUFFIXES[format]:
        raise ValueError(
            f"{path} would hold a file of format {format}; name it {SUFFIXES[format]}, or give another format"
            f" ({', '.join(SUFFIXES)})"
        )
    if precision not in ("float32", "float16"):
        raise ValueError(f"precision is {precision!r}; it must be 'float32' or 'float16'")
    if format == "onnx":
        _require("onnx", "onnxscript", *(("onnxruntime",) if check else ()))

    program = _program(model, size, dynamic)
    checked_on = _pictures(program, program.checked_size)
    with torch.inference_mode():  # before the weights are rounded
        expected = program(*map(torch.from_numpy, checked_on)) if check else ()
    program.convert(getattr(torch, precision))
    metadata = program.metadata | {"precision": precision, "version": __version__}
    with replacing(path) as temporary:
        exported = _trace(program)
        write = _write_onnx if format == "onnx" else _write_torch
        write(exported, program, temporary, metadata)
        difference = _difference(temporary, format, checked_on, expected, precision) if check else None
    return Exported(Path(path), metadata, difference)


# --- what is exported -----------------------------------------------------------------------------------------------


class _Program(nn.Module):
    """Pictures to answers, around a network made ready for inference.

    Args:
        model: the network.
        size: (H,W) of the pictures that it is traced with.
        dynamic: whether others are taken; they are matched at the scale that they have.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, model: nn.Module, size: tuple[int, int], dynamic: bool):
        super().__init__()
        self.network = ready_for_inference(model).to("cpu", memory_format=torch.contiguous_format).requires_grad_(False)
        self.size, self.dynamic = size, dynamic
        self.scaled_size = scaled(size, getattr(model, "scale", 1))
        fits = dynamic or all(side % model.multiple == 0 for side in self.scaled_size)
        self.padding = None if fits else Padding(*self.scaled_size, model.multiple, model.padding)
        usual = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
        self.normalisation = getattr(model, "card", {}).get("normalisation", usual)
        self.dtype = torch.float32

    def convert(self, dtype: torch.dtype) -> None:
        self.network.to(dtype)
        self.dtype = dtype

    def prepare(self, picture: Tensor) -> Tensor:
        """(1,H,W,3) uint8 to the network's input."""
        image = normalise(picture.permute(0, 3, 1, 2).float() / 255, **self.normalisation)
        image = image if self.dynamic else resized(image, self.scaled_size)
        image = image if self.padding is None else self.padding.pad(image)
        return image.to(self.dtype)

    @property
    def least_size(self) -> tuple[int, int]:
        """The smallest (H,W) that a dynamic file takes; below, pooling windows and volume would be other ones."""
        pyramids = [max(m.windows) for m in self.network.modules() if isinstance(m, SpatialPyramid)]
        height = max([2 * self.network.multiple, *(4 * window for window in pyramids)])
        width = max(height, getattr(self.network, "max_disp", 0) + 1)
        return next_multiple(height, self.network.multiple), next_multiple(width, self.network.multiple)

    @property
    def checked_size(self) -> tuple[int, int]:
        return tuple(side + self.network.multiple for side in self.size) if self.dynamic else self.size

    @property
    def metadata(self) -> dict[str, str]:
        """What a runtime may want to know, as text."""
        network, said = self.network, {}
        if isinstance(network, StereoNetwork):
            said["max_disp"] = str(network.max_disp if self.dynamic else round(network.max_disp / network.scale))
        if self.dynamic:
            said["least_size"] = "x".join(map(str, self.least_size))
            said["scale"] = f"{getattr(network, 'scale', 1):g}"
        return {
            "architecture": network.architecture,
            "inputs": f"{', '.join(self.inputs)}: uint8 RGB (1,H,W,3), normalised inside",
            "outputs": ", ".join(self.outputs),
            "size": "dynamic" if self.dynamic else "x".join(map(str, self.size)),
            "multiple": str(network.multiple if self.dynamic else 1),
            "normalisation": json.dumps(self.normalisation),
            "licence": str(getattr(network, "card", {}).get("licence", "not stated")),
            **said,
        }


class _StereoProgram(_Program):
    inputs, outputs = ("left", "right"), ("disparity", "confidence")

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        predictions, similarities = self.network.forward_with_similarities(self.prepare(left), self.prepare(right))
        answers = predictions[-1].float(), at_full_size(confidence(similarities[-1].float()))
        if self.padding is not None:
            answers = tuple(map(self.padding.unpad, answers))
        if self.dynamic:
            return answers
        disparity, sureness = answers
        return brought_back(disparity, self.size), bilinear(sureness.unsqueeze(1), self.size).squeeze(1)


class _KeypointProgram(_Program):
    inputs, outputs = ("image",), ("heatmaps",)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.network(self.prepare(image))[-1].float(),)


def _program(model: nn.Module, size: tuple[int, int] | None, dynamic: bool) -> _Program:
    is_stereo = isinstance(model, StereoNetwork)
    if not isinstance(model, StereoNetwork | KeypointHourglass):
        raise ValueError(f"{type(model).__name__} is no network that can be exported; see stereohg.list_models()")
    size = tuple(size or (STEREO_SIZE if is_stereo else KEYPOINT_SIZE))
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"size is {size}; it must be height and width, such as (384, 1248)")
    fits = all(side % model.multiple == 0 for side in size)
    if not fits and (dynamic or not is_stereo):
        fitting = "x".join(str(next_multiple(side, model.multiple)) for side in size)
        name = f"a dynamic {model.architecture}" if dynamic else model.architecture
        raise ValueError(f"size is {size[0]}x{size[1]}; {name} takes multiples of {model.multiple}, such as {fitting}")
    program = (_StereoProgram if is_stereo else _KeypointProgram)(model, size, dynamic)
    if dynamic and any(side < least for side, least in zip(size, program.least_size, strict=True)):
        least = "x".join(map(str, program.least_size))
        raise ValueError(
            f"size is {size[0]}x{size[1]}; a dynamic {model.architecture} takes {least} and more"
            + (f" at max_disp={round(model.max_disp / model.scale)}" if is_stereo else "")
            + "; give a larger size, a smaller max_disp, or a fixed size"
        )
    return program


# --- files ----------------------------------------------------------------------------------------------------------


def _trace(program: _Program) -> torch.export.ExportedProgram:
    shapes = None
    if program.dynamic:
        multiple = program.network.multiple
        sides = [
            multiple * torch.export.Dim(name, min=least // multiple)
            for name, least in zip(("rows", "columns"), program.least_size, strict=True)
        ]
        shapes = {name: {1: sides[0], 2: sides[1]} for name in program.inputs}
    pictures = tuple(map(torch.from_numpy, _pictures(program, program.size)))
    exported = torch.export.export(program.eval(), pictures, dynamic_shapes=shapes, strict=False)
    for node in exported.graph.nodes:  # the paths of whoever exported it
        node.meta.pop("stack_trace", None)
    return exported


def _write_onnx(
    exported: torch.export.ExportedProgram, program: _Program, path: Path, metadata: dict[str, str]
) -> None:
    with _quiet():
        written = torch.onnx.export(
            exported, dynamo=True, input_names=program.inputs, output_names=program.outputs, verbose=False
        )
    for node in written.model.graph:
        node.metadata_props.clear()
    written.model.metadata_props.clear()
    written.model.metadata_props.update(metadata)
    written.save(path)


def _write_torch(
    exported: torch.export.ExportedProgram, program: _Program, path: Path, metadata: dict[str, str]
) -> None:
    torch.export.save(exported, path, extra_files={CARD: json.dumps(metadata)})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _require(*names: str) -> None:
    absent = [name for name in names if find_spec(name) is None]
    if absent:
        raise ModuleNotFoundError(f"ONNX needs {' and '.join(absent)}: pip install 'stereohg[export]'")


# --- the check ------------------------------------------------------------------------------------------------------


def _pictures(program: _Program, size: tuple[int, int]) -> list[np.ndarray]:
    """Blurred noise, and the same with each row moved by its own disparity, up to three quarters of the range."""
    height, width = size
    noise = np.random.default_rng(0).random((height, width, 3))
    smooth = sum(np.roll(noise, (y, x), (0, 1)) for y in range(3) for x in range(3)) / 9
    left = np.round(255 * np.clip(0.5 + 3 * (smooth - 0.5), 0, 1)).astype(np.uint8)
    if len(program.inputs) == 1:
        return [left[None]]
    scale = 1 if program.dynamic else program.network.scale
    nearest = 0.75 * min(program.network.max_disp / scale, width)
    right = np.stack([np.roll(row, -round(nearest * y / height), 0) for y, row in enumerate(left)])
    return [left[None], right[None]]


def _difference(
    path: Path, format: Format, pictures: list[np.ndarray], expected: tuple[Tensor, ...], precision: ExportPrecision
) -> float:
    answer, *_ = _runner(path, format)(pictures)
    unit = 1.0 if len(expected) == 2 else expected[0].abs().max().item()
    difference = np.abs(answer - expected[0].numpy()) / unit
    is_far = precision == "float32" and (difference > TOLERANCE).mean() > FEW
    if is_far or not np.isfinite(difference).all():
        raise ValueError(
            f"the exported file differs from PyTorch by up to {difference.max():.3g}, and was not kept; another version"
            " of PyTorch or onnxruntime may do better"
        )
    return float(difference.max())


def _runner(path: Path, format: Format) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    if format == "torch":
        network = torch.export.load(path).module()
        return lambda pictures: [answer.detach().numpy() for answer in network(*map(torch.from_numpy, pictures))]
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda pictures: session.run(None, dict(zip(names, pictures, strict=True)))
