"""A pair within a stated memory: features of the whole images, then their comparison in overlapping bands of rows.

What a network extracts is cheap, and must see the whole image: PSMNet's pooling, instance norms, hgstereo's coarse
answer. The volume behind it is what grows with the levels. A band is as wide as the image, so that no match is lost; of
its rows those in the middle are kept, and ``OVERLAP`` rows on either side, which saw the band's border, are not.

Shapes: image (B,3,H,W), features (B,C,H/4,W/4), similarity (B,D/4,H/4,W/4), disparity (B,H,W).
"""

from copy import deepcopy
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from stereohg.memory import in_words, peak_memory
from stereohg.models.search import next_multiple
from stereohg.models.stereo import MAX_DISP_MULTIPLE, StereoNetwork

OVERLAP = 32
"""Rows of features (measured: 24 gives 99.8 % of the pixels to 0.05 px on the worst real pair, and 32 all of them)."""
SMALLEST_BAND = 2 * OVERLAP + 8
"""Rows of a band; those that are kept are a multiple of any network's."""


class Band(NamedTuple):
    """Rows ``start`` to ``stop`` of the features, of which ``first`` to ``last`` are kept."""

    start: int
    stop: int
    first: int
    last: int


def split(rows: int, size: int, overlap: int, multiple: int) -> list[Band]:
    """The fewest bands of at most ``size`` rows that leave every row in one's middle, all of one size.

    They begin at multiples of ``multiple``, of which ``rows``, ``size`` and ``overlap`` are, too: strided convolutions
    then see the rows in the phase that they have in the whole.
    """
    if size >= rows:
        return [Band(0, rows, 0, rows)]
    count = -(-(rows - 2 * overlap) // (size - 2 * overlap))
    kept = -(-(rows - 2 * overlap) // (count * multiple)) * multiple
    bands = []
    for index in range(count):
        start = min(index * kept, rows - kept - 2 * overlap)
        first = bands[-1].last if bands else 0
        bands.append(Band(start, start + kept + 2 * overlap, first, start + overlap + kept))
    bands[-1] = bands[-1]._replace(last=rows)
    return bands


def forward_in_bands(network: StereoNetwork, left: Tensor, right: Tensor, bands: list[Band]) -> tuple[Tensor, Tensor]:
    """The answer and its similarity volume, as ``forward_with_similarities`` gives them last."""
    network.check_input(left, right)
    features = network.extract(left, right)
    batch, _, rows, columns = features[0].shape
    whole = None
    for band in bands:
        part = network.compare(*(feature[:, :, band.start : band.stop] for feature in features))[-1]
        if whole is None:
            whole = part.new_empty(batch, part.shape[1], rows, columns)
        whole[:, :, band.first : band.last] = part[:, :, band.first - band.start : band.last - band.start]
        del part  # or the next band would find it there
    return network.regress([whole], *features)[-1], whole


class Fitting:
    """Chooses bands for one network, by an estimate of what it will want.

    Args:
        network: made ready for inference.
        dtype: in which it runs.
    """

    def __init__(self, network: StereoNetwork, dtype: torch.dtype = torch.float32):
        self.network, self.dtype = network, dtype
        self.peak = lru_cache(maxsize=256)(self._peak)

    def bands(self, shape: tuple[int, ...], levels: int, limit: int | None, held: int = 0) -> list[Band]:
        """Bands of an image of this (padded) shape (B,3,H,W), one where the whole fits.

        Args:
            shape: of the image.
            levels: of disparity, pixels.
            limit: bytes; None is no limit.
            held: bytes of it that are taken already.

        Raises:
            ValueError: not even the smallest bands fit; with what would.
        """
        rows = shape[2] // 4
        for size in _sizes(rows):
            if limit is None or self.peak(shape, levels, size) + held <= limit:
                return split(rows, size, OVERLAP, self.network.multiple // 4)
        raise ValueError(self._what_would(shape, levels, limit, held))

    def least(self, shape: tuple[int, ...], levels: int) -> int:
        """The fewest bytes that bands of any size want; not always the smallest, of which kernels may be wasteful."""
        return min(self.peak(shape, levels, size) for size in _sizes(shape[2] // 4))

    def _what_would(self, shape: tuple[int, ...], levels: int, limit: int, held: int) -> str:
        batch, channels, height, width = shape
        least = in_words(self.least(shape, levels) + held)
        advice = [f"give max_memory='{least}'"]
        halved = tuple(next_multiple(n / 2, self.network.multiple) for n in (height, width))
        if self.least((batch, channels, *halved), next_multiple(levels / 2, MAX_DISP_MULTIPLE)) + held <= limit:
            advice.append("half the scale")
        fewer = next_multiple(levels / 2, MAX_DISP_MULTIPLE)
        if self.least(shape, fewer) + held <= limit:
            advice.append(f"max_disp={fewer} (at this scale)")
        return (
            f"{width}x{height} pixels with {levels} levels want {least} even in bands of rows, and there is "
            f"{in_words(limit)}; {', or '.join(advice)}"
        )

    def _peak(self, shape: tuple[int, ...], levels: int, size: int) -> int:
        """Bytes, with bands of ``size`` rows."""
        network = deepcopy(self.network).to("meta", self.dtype)
        network.max_disp = levels
        left, right = (torch.empty(shape, dtype=self.dtype, device="meta") for _ in range(2))
        if size >= shape[2] // 4:
            return peak_memory(lambda: network.forward_with_similarities(left, right))
        return peak_memory(lambda: forward_in_bands(network, left, right, [Band(0, size, 0, size)]))


def _sizes(rows: int) -> list[int]:
    """Rows of a band to try: all, and a seventh less each time, in multiples of any network's."""
    sizes = [rows]
    while sizes[-1] > SMALLEST_BAND:
        sizes.append(max(SMALLEST_BAND, sizes[-1] * 6 // 7 // 8 * 8))
    return sizes
