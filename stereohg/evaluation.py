"""How well a network does on a set with ground truth, in figures that do not depend on how they were computed.

Errors are summed over pixels in float64 and divided once, at the end, so that neither the size of the batches nor their
order matters. Every figure is given per pixel (each pixel counts the same) and per image (each image does); papers mean
now one and now the other. What a protocol leaves out is counted, and a pair that gives no figure is named with the
reason; it is never a perfect one.

Shapes: B batch, H height, W width; images (B,3,H,W) normalised; disparity and masks (H,W).
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from stereohg.calibration.cameras import StereoCalibration
from stereohg.data.preprocess import as_rgb
from stereohg.data.stereo import StereoDataset, StereoSample, collate
from stereohg.data.workers import prepare_worker, reading
from stereohg.files import replacing, write_png
from stereohg.metrics import BAD_THRESHOLDS, ErrorSums, error_sums, per_image, per_pixel
from stereohg.models.search import searched_range
from stereohg.prediction import Predictor
from stereohg.protocols import FULL, Protocol
from stereohg.viewer import write_page
from stereohg.visual import colour_disparity, error_map

THRESHOLDS = (0.5, *BAD_THRESHOLDS)
FIGURES = ("epe", *(f"bad_{limit}" for limit in THRESHOLDS), "d1", "rmse")
REGIONS = ("all", "noc", "hidden", "fg", "bg")
"""All known pixels; those that both cameras see and those that one does; KITTI's objects and background."""


# --- results --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairResult:
    """One pair.

    Attributes:
        name: in its set.
        index: in its set.
        sums: of errors, by region; regions without a pixel are left out, "all" is always there.
        masked: how many pixels do not count, by reason.
        beyond: how many count that are nearer than the network searches.
    """

    name: str
    index: int
    sums: dict[str, ErrorSums]
    masked: dict[str, int]
    beyond: int = 0


@dataclass(frozen=True)
class SkippedPair:
    """A pair without figures; ``failed`` when it could not be read, and not merely had no pixel to count."""

    name: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` returns."""

    protocol: Protocol
    pairs: list[PairResult]
    skipped: list[SkippedPair]

    def regions(self) -> dict[str, list[ErrorSums]]:
        """The sums of all pairs that have pixels in a region, by region."""
        found = {name: [pair.sums[name] for pair in self.pairs if name in pair.sums] for name in REGIONS}
        return {name: sums for name, sums in found.items() if sums}

    def masked(self) -> dict[str, int]:
        """How many pixels of the evaluated pairs do not count, by reason."""
        return dict(sum((Counter(pair.masked) for pair in self.pairs), Counter()))

    def beyond(self) -> int:
        """How many pixels count that are nearer than the network searches, so that it cannot be right there."""
        return sum(pair.beyond for pair in self.pairs)

    def check(self) -> "Evaluation":
        """Itself; ValueError, with the reasons, when no pair gave a figure."""
        if not self.pairs:
            reasons = "; ".join(f"{pair.name}: {pair.reason}".lstrip(": ") for pair in self.skipped[:3])
            raise ValueError(
                f"of {len(self.skipped)} pairs none gives a figure ({reasons}); is this a split with ground truth?"
            )
        return self

    def figures(self) -> dict[str, dict[str, dict[str, float]]]:
        """By region, then "per_pixel" or "per_image", then name."""
        regions = self.regions().items()
        return {name: {"per_pixel": per_pixel(sums), "per_image": per_image(sums)} for name, sums in regions}

    def summary(self) -> dict:
        """Everything but the single pairs, as JSON knows it."""
        return {
            "protocol": asdict(self.protocol),
            "regions": {
                name: {"images": len(sums), "pixels": sum(own.pixels for own in sums), **self.figures()[name]}
                for name, sums in self.regions().items()
            },
            "masked_pixels": self.masked(),
            "pixels_beyond_the_range": self.beyond(),
            "skipped": [asdict(pair) for pair in self.skipped],
        }

    def save_csv(self, path: str | Path) -> None:
        """A row for each pair, with its figures by region (``noc_epe``), or the reason why it has none."""
        columns = [f"{region}_{figure}" for region in self.regions() for figure in ("pixels", *FIGURES)]
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["name", *columns, "skipped"])
            writer.writeheader()
            for pair in self.pairs:
                row = {"name": pair.name}
                for region, sums in pair.sums.items():
                    figures = {"pixels": sums.pixels, **sums.figures()}
                    row |= {f"{region}_{name}": value for name, value in figures.items()}
                writer.writerow(row)
            writer.writerows({"name": pair.name, "skipped": pair.reason} for pair in self.skipped)


# --- evaluation -----------------------------------------------------------------------------------------------------


def evaluate(
    predictor: Predictor,
    dataset: StereoDataset,
    protocol: Protocol = FULL,
    *,
    batch_size: int = 1,
    workers: int = 0,
    on_pair: Callable[[PairResult | SkippedPair], None] | None = None,
) -> Evaluation:
    """Predicts all pairs of a set, and compares with the truth.

    Args:
        predictor: of the network; ``predictor.model.max_disp`` is the range that it searches.
        dataset: with ground truth, without transform.
        protocol: what is fed and what counts; see ``choose_protocol``.
        batch_size: pairs, side by side in the set and of one size, that go through the network at once; a matter of
            speed alone.
        workers: processes that read pairs; 0 is none but this one.
        on_pair: called with each result, for progress.

    Raises:
        ValueError: the set has a transform, no pair gives a figure, a picture does not fit the protocol, or the
            network's answer is not finite where the truth is known.
    """
    everything = range(len(dataset))
    return evaluate_share(predictor, dataset, protocol, everything, batch_size, workers, on_pair).check()


def evaluate_share(
    predictor: Predictor,
    dataset: StereoDataset,
    protocol: Protocol,
    indices: Sequence[int],
    batch_size: int = 1,
    workers: int = 0,
    on_pair: Callable[[PairResult | SkippedPair], None] | None = None,
) -> Evaluation:
    """``evaluate`` for some of the pairs, of which none need give a figure: what one process of several does."""
    if dataset.transform is not None:
        raise ValueError("the set has a transform; pictures are evaluated as they are, so make it without")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
    on_pair = on_pair or (lambda result: None)
    pairs: list[PairResult] = []
    told = dataset.problems if 0 in indices or not len(dataset) else []  # once, by whoever has the first pair
    skipped = [SkippedPair("", problem, failed=True) for problem in told]

    def usable(prepared: Iterator[_Pair | SkippedPair]) -> Iterator[_Pair]:
        for pair in prepared:
            if isinstance(pair, SkippedPair):
                skipped.append(pair)
                on_pair(pair)
            else:
                yield pair

    loader = DataLoader(
        _Pairs(dataset, protocol),
        None,
        sampler=indices,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=prepare_worker,
        generator=torch.Generator().manual_seed(0),  # or the loader would draw from the global one
    )
    with reading(loader) as prepared:
        for group in _groups(usable(prepared), batch_size):
            answers = _disparities(predictor, [pair.sample for pair in group], protocol)
            for pair, answer in zip(group, answers, strict=True):
                pairs.append(_result(pair, answer, searched_range(predictor.model)))
                on_pair(pairs[-1])
    return Evaluation(protocol, pairs, skipped)


def save_figures(
    evaluation: Evaluation,
    predictor: Predictor,
    dataset: StereoDataset,
    folder: str | Path,
    count: int,
    pages: bool = False,
) -> list[Path]:
    """Pictures of the pairs with the largest mean error, worst first; returns their paths.

    Each has, from the top: left, prediction, truth (black where it does not count) and error (black 0, yellow 5 px).
    With ``pages`` there is a page to look at as well, whose confidence is that of the picture as it is, unfilled.
    """
    worst = sorted(evaluation.pairs, key=lambda pair: -pair.sums["all"].figures()["epe"])[:count]
    paths = []
    for rank, result in enumerate(worst, 1):
        whole = dataset.read(result.index)
        pair = _prepare(whole, result.index, evaluation.protocol)
        sample = pair.sample
        answer = _disparities(predictor, [sample], evaluation.protocol)[0]
        low, high = sample.disparity[pair.counted].min(), sample.disparity[pair.counted].max()
        rows = [
            np.round(255 * as_rgb(sample.left)).astype(np.uint8),
            colour_disparity(answer, None, low, high),
            colour_disparity(sample.disparity, pair.counted, low, high),
            error_map(answer, sample.disparity, pair.counted),
        ]
        paths.append(Path(folder) / f"{rank:03d}_{result.name.replace('/', '_')}.png")
        write_png(paths[-1], np.concatenate(rows))
        if pages:
            write_page(
                paths[-1].with_suffix(".html"),
                sample.left,
                answer,
                confidence=predictor(sample.left, sample.right, check=False).confidence,
                truth=sample.disparity,
                truth_valid=pair.counted,
                calibration=_calibration_of(dataset.calibration(result.index), whole.size, sample.size),
                title=sample.name,
            )
    return paths


@dataclass(frozen=True)
class _Pair:
    """A pair ready for the network: what of the sample is left, and which pixels count."""

    sample: StereoSample
    index: int
    counted: np.ndarray
    masked: dict[str, int]


class _Pairs(Dataset):
    """The pairs of a set under a protocol, each prepared, or skipped with its reason; none takes another's place."""

    def __init__(self, dataset: StereoDataset, protocol: Protocol):
        self.dataset, self.protocol = dataset, protocol

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> _Pair | SkippedPair:
        try:
            sample = self.dataset.read(index)
        except (OSError, ValueError) as error:
            return SkippedPair(self.dataset.name_of(index), str(error), failed=True)
        return _prepare(sample, index, self.protocol)


def _prepare(sample: StereoSample, index: int, protocol: Protocol) -> _Pair | SkippedPair:
    known = np.count_nonzero(sample.valid)
    masked = {"without ground truth": sample.valid.size - known}
    if protocol.crop is not None:
        sample = sample.each(partial(_bottom_right, size=protocol.crop))
        inside = np.count_nonzero(sample.valid)
        masked["outside the crop"], known = known - inside, inside
    counted = sample.valid.copy()
    if protocol.above is not None:
        counted &= sample.disparity > protocol.above
    if protocol.below is not None:
        counted &= sample.disparity < protocol.below
    left = np.count_nonzero(counted)
    masked[f"not in {protocol.range()}"] = known - left
    if not left:
        return SkippedPair(sample.name, "no pixel counts: " + ", ".join(f"{n} {why}" for why, n in masked.items() if n))
    positive = np.count_nonzero(sample.valid & (sample.disparity > 0))
    if left < protocol.least_share * positive:
        return SkippedPair(
            sample.name,
            f"{left} of {positive} known disparities are in {protocol.range()}, and {protocol.name} asks for "
            f"{100 * protocol.least_share:g} %",
        )
    return _Pair(sample, index, counted, {why: int(count) for why, count in masked.items() if count})


def _bottom_right(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The last (H,W) rows and columns; zeros (black, unknown) at the top and left where there are fewer."""
    height, width = size
    array = array[-height:, -width:]
    return np.pad(array, ((height - array.shape[0], 0), (width - array.shape[1], 0), *[(0, 0)] * (array.ndim - 2)))


def _calibration_of(
    calibration: StereoCalibration | None, whole: tuple[int, int], size: tuple[int, int]
) -> StereoCalibration | None:
    """That of the last ``size`` (H,W) rows and columns of ``whole`` pictures."""
    if calibration is None or size == whole:
        return calibration
    return calibration.cropped(whole[1] - size[1], whole[0] - size[0], size[::-1])


def _groups(pairs: Iterable[_Pair], size: int) -> Iterator[list[_Pair]]:
    """Neighbours of one picture size, at most ``size`` together."""
    group: list[_Pair] = []
    for pair in pairs:
        if group and (len(group) == size or pair.sample.size != group[0].sample.size):
            yield group
            group = []
        group.append(pair)
    if group:
        yield group


def _disparities(predictor: Predictor, samples: list[StereoSample], protocol: Protocol) -> np.ndarray:
    """(B,H,W) of samples of one size."""
    batch = collate(samples, **predictor.normalisation)
    height, width = samples[0].size
    images = batch.left, batch.right
    if protocol.padded is not None:
        top, right = protocol.padded[0] - height, protocol.padded[1] - width
        if top < 0 or right < 0:
            raise ValueError(
                f"{samples[0].name} is {width}x{height} pixels, and {protocol.name} fills pictures up to "
                f"{protocol.padded[1]}x{protocol.padded[0]}; use the protocol 'full'"
            )
        images = (F.pad(image, (0, right, top, 0)) for image in images)
    return predictor.forward(*images)[:, -height:, :width].cpu().numpy()


def _result(pair: _Pair, answer: np.ndarray, searched: float) -> PairResult:
    sample, masks = pair.sample, {"all": pair.counted}
    for mask, inside, outside in ((sample.visible, "noc", "hidden"), (sample.foreground, "fg", "bg")):
        if mask is not None:
            masks |= {inside: pair.counted & mask, outside: pair.counted & ~mask}
    try:
        sums = {name: error_sums(answer, sample.disparity, mask, THRESHOLDS) for name, mask in masks.items()}
    except ValueError as error:
        raise ValueError(f"{sample.name}: {error}") from error
    beyond = int(np.count_nonzero(pair.counted & (sample.disparity > searched)))
    sums = {name: own for name, own in sums.items() if own.pixels}
    return PairResult(sample.name, pair.index, sums, pair.masked, beyond)


def _as_it_is(pair: _Pair | SkippedPair) -> _Pair | SkippedPair:
    return pair
