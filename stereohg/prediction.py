"""From two pictures to a disparity map that says how far it can be trusted.

Shapes: H height, W width of the pictures; disparity (H,W) float32 in pixels, positive, left x minus right x;
confidence (H,W) float32 in [0,1]; valid (H,W) bool.
"""

import sys
import threading
import warnings
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from stereohg.bands import Band, Fitting, forward_in_bands
from stereohg.consistency import seen_by_both
from stereohg.data.preprocess import Padding, Picture, as_rgb, to_tensor
from stereohg.devices import Precision, choose_device, choose_dtype
from stereohg.disparity import Disparity
from stereohg.memory import free_memory, parse_memory
from stereohg.models.inference import ready_for_inference
from stereohg.models.resizing import at_full_size, bilinear, brought_back, resized, scaled
from stereohg.models.search import check_max_disp, check_scale, levels_for
from stereohg.models.stereo import check_stereo
from stereohg.models.weights import bundled_names, load_model
from stereohg.nn import confidence
from stereohg.pair_checks import check_answer, check_pictures

DEFAULT_MODEL = "hgstereo_s"
TOP_LEVELS = 2  # of the volume: the 8 pixels below max_disp
SMALLEST_SIDE = 16  # pixels on a side, to which pictures may be resized
RANGE_SHARE = 0.01  # of the pixels that may have most of their probability there
PLENTY, FEATURE_LEVELS = 10, 64  # bytes a value of the image and level, and levels that stand for the 2-D features:
# three times what the hungriest network here takes; with so much free, nothing need be estimated

PACKAGE = Path(__file__).parent


class PairWarning(UserWarning):
    """Something about the pair or the answer that makes the disparities doubtful."""


class PairError(ValueError):
    """The same under ``strict=True``, and pairs that cannot be matched at all."""


class Predictor:
    """A network made ready for inference.

    Args:
        model: a stereo network (of which a copy is made ready), a bundled name, or the path of a weights file.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "auto" is bfloat16 on CUDA devices that have it and float32 elsewhere; regression is float32 always.
    """

    def __init__(self, model: nn.Module | str | Path = DEFAULT_MODEL, device="auto", precision: Precision = "auto"):
        if not isinstance(model, nn.Module):
            model = load_model(model)
        check_stereo(model)
        self.device = choose_device(device)
        self.dtype = choose_dtype(precision, self.device)
        self.model = ready_for_inference(model).to(self.device)
        self.normalisation = getattr(model, "card", {}).get("normalisation", {})
        self._fitting = Fitting(self.model, self.dtype)
        self._range = threading.Lock()  # the range of disparities is the model's, and each call's own

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Normalised (B,3,H,W) tensors of any size to disparities (B,H,W) float32, at the model's own scale."""
        if left.shape != right.shape:
            raise PairError(
                f"left is {tuple(left.shape)} and right {tuple(right.shape)}; a rectified pair has one size"
            )
        size = scaled(left.shape[-2:], self.model.scale)
        disparity, _, padding = self._run(*(resized(image, size) for image in (left, right)))
        return brought_back(padding.unpad(disparity), left.shape[-2:])

    def __call__(
        self,
        left: Picture,
        right: Picture,
        *,
        scale: float | None = None,
        max_disp: int | Literal["auto"] | None = None,
        left_right_check: bool = False,
        flip: bool = False,
        check: bool = True,
        strict: bool = False,
        max_memory: str | float | None = None,
    ) -> Disparity:
        """The disparity of the left picture; see ``predict``."""
        left, right = as_rgb(left), as_rgb(right)
        if left.shape != right.shape:
            raise PairError(
                f"left is {left.shape[1]}x{left.shape[0]} and right {right.shape[1]}x{right.shape[0]} (width x height);"
                " a rectified pair has one size"
            )
        notes = check_pictures(left, right) if check else []
        if flip:
            left, right = _mirrored(left, right)
        search = _Search(self, scale, max_disp, max_memory)
        search.check_size(*left.shape[:2])
        values, sureness, notes_of_search = search(left, right)
        if check and not notes:
            notes = check_answer(search.mean_confidence, left, right, sureness)
        notes += notes_of_search
        valid = np.isfinite(values)
        if left_right_check:
            other, _, _ = search(*_mirrored(left, right))
            valid &= seen_by_both(values, other[:, ::-1])
        if flip:
            values, sureness, valid = (np.ascontiguousarray(a[:, ::-1]) for a in (values, sureness, valid))
        _tell(notes, strict)
        return Disparity(values, sureness, valid, tuple(notes), "right" if flip else "left")

    def check_options(
        self,
        *,
        scale: float | None = None,
        max_disp: int | Literal["auto"] | None = None,
        max_memory: str | float | None = None,
    ) -> None:
        """Raises ValueError for what no pair could be matched with."""
        _Search(self, scale, max_disp, max_memory)

    @torch.inference_mode()
    def _run(
        self, left: Tensor, right: Tensor, max_disp: int | None = None, memory: int | None = None, held: int = 0
    ) -> tuple[Tensor, Tensor, Padding]:
        """Disparities (B,H',W') and similarities (B,D/4,H'/4,W'/4) of the padded pair, float32, and the padding.

        ``memory`` is the bytes that it may take, of which ``held`` are taken; None is what is free.
        """
        padding = Padding(*left.shape[-2:], self.model.multiple, self.model.padding)
        left, right = (padding.pad(x.to(self.device, torch.float32)) for x in (left, right))
        with self._range, torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            usual, self.model.max_disp = self.model.max_disp, max_disp or self.model.max_disp
            try:
                bands = self._bands(left.shape, memory, held)
                if len(bands) == 1:
                    disparity, similarity = (each[-1] for each in self.model.forward_with_similarities(left, right))
                else:
                    disparity, similarity = forward_in_bands(self.model, left, right, bands)
            finally:
                self.model.max_disp = usual
        return disparity.float(), similarity.float(), padding

    def _bands(self, shape: tuple[int, ...], memory: int | None, held: int) -> list[Band]:
        levels = self.model.max_disp
        if memory is not None:
            return self._fitting.bands(shape, levels, memory, held)
        free = free_memory(self.device)
        plenty = PLENTY * prod(shape) * (levels + FEATURE_LEVELS)
        return self._fitting.bands(shape, levels, None if free is None or plenty <= free else free)


def predict(
    left: Picture,
    right: Picture,
    model: nn.Module | str | Path = DEFAULT_MODEL,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    scale: float | None = None,
    max_disp: int | Literal["auto"] | None = None,
    left_right_check: bool = False,
    flip: bool = False,
    check: bool = True,
    strict: bool = False,
    max_memory: str | float | None = None,
) -> Disparity:
    """The disparity of a rectified pair.

    Args:
        left: a path, a PIL image, or an array (H,W,3), (H,W) or (H,W,4) of uint8, uint16, or floats in [0,1] or
            [0,255].
        right: the same scene from the right, as large.
        model: a network, a bundled name (``stereohg.list_models()``), or the path of a weights file.
        device: "auto" or a torch device.
        precision: "auto", "float32", "bfloat16" or "float16".
        scale: the pictures are resized by this before matching, and the disparities brought back; None is the model's
            own, ``model.scale``: 1 but for hgstereo.
        max_disp: the largest disparity looked for, pixels of the given pictures; None is what the model was made for
            (at its scale), "auto" raises it until the answer no longer runs against its end; never more than the
            picture's width.
        left_right_check: also match right to left; ``valid`` is False where and beside where the two disagree.
        flip: give the right picture's disparity instead.
        check: look for pictures that are the same, of two scenes, unrectified or swapped.
        strict: what would be a warning is an error.
        max_memory: what the prediction may take beside what the process holds already: "4GB", "1.5GiB" or bytes;
            None is what is free. A pair that wants more is matched in overlapping bands of rows, to the same answer
            but for hundredths of a pixel.

    Raises:
        PairError: sizes differ; under ``strict``, whatever else was seen.
        ValueError: a picture, option or file that cannot be used, with the mend.
    """
    is_bundled = isinstance(model, str) and model in bundled_names()
    predictor = (_kept_predictor if is_bundled else Predictor)(model, device, precision)
    return predictor(
        left,
        right,
        scale=scale,
        max_disp=max_disp,
        left_right_check=left_right_check,
        flip=flip,
        check=check,
        strict=strict,
        max_memory=max_memory,
    )


class _Search:
    """One pair at a scale and a range of disparities, the range widened where that was asked for."""

    def __init__(
        self,
        predictor: Predictor,
        scale: float | None,
        max_disp: int | str | None,
        max_memory: str | float | None = None,
    ):
        scale = predictor.model.scale if scale is None else scale
        check_scale(scale)
        is_number = max_disp not in (None, "auto")
        if is_number:
            check_max_disp(max_disp)
        self.predictor, self.scale, self.widens = predictor, scale, max_disp == "auto"
        self.max_memory = max_memory
        self.memory = None if max_memory is None else parse_memory(max_memory)
        self.is_given = is_number  # in pixels of the given pictures, so that no scale changes the range
        self.levels = levels_for(max_disp, scale) if is_number else predictor.model.max_disp

    def __call__(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Disparity and confidence (H,W) of the left picture, and what to warn of."""
        height, width = left.shape[:2]
        size = scaled((height, width), self.scale)
        normalisation = self.predictor.normalisation
        pair = [resized(to_tensor(image, **normalisation)[None], size) for image in (left, right)]
        held = sum(array.nbytes for array in (left, right, *pair)) if self.predictor.device.type == "cpu" else 0
        widest = levels_for(size[1])  # no match lies farther away than the picture is wide
        self.levels = min(self.levels, widest)
        while True:
            disparity, similarity, padding = self.predictor._run(*pair, self.levels, self.memory, held)
            top = padding.unpad(at_full_size(top_probability(similarity)))[0].cpu().numpy()
            share = share_at_range_end(top, self.levels)
            wider = min(levels_for(1.5 * self.levels), widest)
            if share <= RANGE_SHARE or not self.widens or self.levels == widest:
                break
            self.levels = wider
        values = brought_back(padding.unpad(disparity), (height, width))
        sureness = bilinear(padding.unpad(at_full_size(confidence(similarity))).unsqueeze(1), (height, width))
        return values[0].cpu().numpy(), sureness[0, 0].cpu().numpy(), self._notes(share, wider)

    def check_size(self, height: int, width: int) -> None:
        """Raises ValueError where the scale leaves next to nothing of a picture."""
        size = scaled((height, width), self.scale)
        if min(size) < SMALLEST_SIDE <= min(height, width):
            raise ValueError(
                f"scale {self.scale:g} leaves {size[1]}x{size[0]} of {width}x{height} pixels, in which nothing is to be"
                f" matched; it must leave {SMALLEST_SIDE} on each side"
            )

    def mean_confidence(self, left: np.ndarray, right: np.ndarray, scale: float) -> float:
        """Of the pair at another scale, over the same range."""
        return _Search(self.predictor, scale, self.levels / self.scale, self.max_memory)(left, right)[1].mean()

    def _notes(self, share: float, wider: int) -> list[str]:
        if share <= RANGE_SHARE:
            return []
        seen = f"{100 * share:.1f} % of the pixels sit at the end of the range of {round(self.levels / self.scale)} px"
        if wider == self.levels:
            return [f"{seen}, which is as wide as the picture: no range would do; check that the pictures are a pair"]
        mend = f"use max_disp={round(wider / self.scale)} (or 'auto')"
        if not self.is_given:
            mend += f", or scale={self.scale / 2:g}"
        return [f"{seen}, and what is nearer is cut off; {mend}"]


def top_probability(similarity: Tensor) -> Tensor:
    """Probability of the topmost levels: (B,D,h,w) -> (B,h,w)."""
    return similarity.softmax(1)[:, -TOP_LEVELS:].sum(1)


def share_at_range_end(probability: np.ndarray, max_disp: int) -> float:
    """Share of the pixels with most of their probability in the topmost levels (H,W).

    The columns at the left, whose match at those levels would lie outside the right picture, do not count.
    """
    first = min(max_disp, probability.shape[1] // 2)
    return float((probability[:, first:] > 0.5).mean())


def _tell(notes: list[str], strict: bool) -> None:
    if notes and strict:
        raise PairError("; ".join(notes))
    for note in notes:
        warnings.warn(note, PairWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """The ``stacklevel`` at which ``_tell`` points a warning at the code that called the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _mirrored(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair whose left picture is the mirrored right one: matching it gives the right view's disparity."""
    return right[:, ::-1], left[:, ::-1]


@lru_cache(maxsize=2)
def _kept_predictor(name: str, device: str, precision: str) -> Predictor:
    return Predictor(name, device, precision)
