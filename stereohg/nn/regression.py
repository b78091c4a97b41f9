"""From a volume of similarities to disparities, and how sure they are (Kendall et al. 2017; PSMNet, section 3.5).

``soft_argmax`` is the same in a picture's two axes. All answers are in float32 at least, whatever comes in: of many
levels half types would lose whole pixels.

Shapes: similarity (B,D,H,W), larger = likelier (softmax without a minus, as both papers' code has it);
disparity (B,H,W); h, w, d the same at low resolution; heatmaps (B,K,H,W) of K keypoints.
"""

from contextlib import nullcontext
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereohg.nn.kernels import runs_kernels

TILE_BYTES_CPU = 2**22  # stays in the cache that the cores share
TILE_BYTES = 2**27
SHIFTS = 3  # of the window about the likeliest level; two of them leave jumps of 0.03 px


def soft_argmin(similarity: Tensor, radius: int | None = None) -> Tensor:
    """The expected level under softmax over D: (B,D,H,W) -> (B,H,W), in levels (PSMNet, eq. 3).

    With ``radius``, the expectation is taken over the levels near the likeliest one, so that a second surface at an
    object's border does not pull the answer into the gap between the two: all within ``radius``, none at one level
    more. Where two levels are as likely, a rounding would choose the window and so the answer; so the window is moved
    to what it gave, and again (mean shift, Comaniciu & Meer, PAMI 2002), after which both lead to the same.
    """
    similarity = _precise(similarity)
    if radius is None:
        levels = torch.arange(similarity.shape[1], dtype=similarity.dtype, device=similarity.device).view(1, -1, 1, 1)
        return (similarity.softmax(1) * levels).sum(1)
    levels, places, outside = _near_likeliest(similarity, min(2 * radius + 1, similarity.shape[1] - 1))
    probability = similarity.gather(1, places).masked_fill(outside, -torch.inf).softmax(1)
    middle = levels[:, levels.shape[1] // 2].unsqueeze(1)
    for _ in range(1 + SHIFTS):
        share = probability * (radius + 1 - (levels - middle).abs()).clamp(0, 1)
        middle = (share * levels).sum(1, keepdim=True) / share.sum(1, keepdim=True)
    return middle.squeeze(1)


def soft_argmax(heatmaps: Tensor, sharpness: float = 1.0) -> Tensor:
    """The expected cell under softmax over H and W: (B,K,H,W) -> (B,K,2), x and y in cells.

    ``sharpness`` multiplies the heatmaps first: of maps that peak at one, such as pytorch-pose's, a softmax alone is
    nearly flat, and its mean near the middle (integral regression, Sun et al., ECCV 2018).
    """
    heatmaps = _precise(heatmaps)
    height, width = heatmaps.shape[-2:]
    probability = (sharpness * heatmaps.flatten(2)).softmax(2).unflatten(2, (height, width))
    x = torch.arange(width, dtype=heatmaps.dtype, device=heatmaps.device)
    y = torch.arange(height, dtype=heatmaps.dtype, device=heatmaps.device)
    return torch.stack([probability.sum(2) @ x, probability.sum(3) @ y], 2)


def upsampled_soft_argmin(
    similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool = False
) -> Tensor:
    """Trilinear upsampling to (max_disp, H, W), then ``soft_argmin``: (B,d,h,w) -> (B,H,W) in pixels.

    Neither the volume at full size nor its softmax is ever there as a whole: a few rows are upsampled and regressed
    at a time, and in the backward pass once more.

    ``align_corners=True`` is what PyTorch did before version 0.4.1, when some published weights were trained.
    """
    similarity = _precise(similarity)
    # other runtimes know neither tiles nor a backward pass of our own, and a tracer loses its way in them
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return upsampled_soft_argmin_at_once(similarity, max_disp, size, align_corners)
    device = similarity.device.type
    autocasts = device != "meta" and torch.is_autocast_enabled(device)  # products of matrices would lose precision
    with torch.autocast(device, enabled=False) if autocasts else nullcontext():
        function = _UpsampledSoftArgmin
        if runs_kernels(similarity) and similarity.dtype == torch.float32:
            from stereohg.nn.kernels.regression import UpsampledSoftArgmin as function
        return function.apply(similarity, max_disp, size, align_corners)


def upsampled_soft_argmin_at_once(
    similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool = False
) -> Tensor:
    """``upsampled_soft_argmin`` with the whole volume, of a 4-D resize, products of matrices and a softmax alone."""
    similarity = _precise(similarity)
    like = similarity.dtype, similarity.device
    up_levels = _linear_weights.__wrapped__(similarity.shape[1], max_disp, align_corners, *like)  # none traced is kept
    full = F.interpolate(similarity, size, mode="bilinear", align_corners=align_corners).permute(0, 2, 3, 1)
    return (full @ up_levels.T).softmax(3) @ torch.arange(max_disp, dtype=like[0], device=like[1])


class _UpsampledSoftArgmin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool) -> Tensor:
        rows = _UpsampledRows(similarity, max_disp, size, align_corners)
        # not put together of tiles that were kept: they would lie in the gaps that the volumes leave, and break them up
        disparity = similarity.new_empty(similarity.shape[0], *size)
        for tile in rows.tiles:
            disparity[:, tile.start : tile.stop] = rows.levels @ rows.probability(tile)
        ctx.save_for_backward(similarity, disparity)
        ctx.arguments = max_disp, size, align_corners
        return disparity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        similarity, disparity = ctx.saved_tensors
        rows = _UpsampledRows(similarity, *ctx.arguments)
        for tile in rows.tiles:
            here = slice(tile.start, tile.stop)
            distance = rows.levels.view(-1, 1) - disparity[:, here].unsqueeze(2)
            of_tile = rows.probability(tile).mul_(distance).mul_(gradient[:, here].unsqueeze(2))
            rows.add_gradient(tile, of_tile)
        return rows.gradient(), None, None, None


class _Tile(NamedTuple):
    """Rows ``start`` to ``stop`` of the full size, which come of the coarse rows ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int


class _UpsampledRows:
    """A similarity volume at full size, a few rows (B,rows,D,W) at a time; linear upsampling as matrix products."""

    def __init__(self, similarity: Tensor, max_disp: int, size: tuple[int, int], align_corners: bool):
        batch, coarse_levels, coarse_height, coarse_width = similarity.shape
        height, width = size
        self.up_levels = linear_weights(coarse_levels, max_disp, align_corners, similarity)
        self.up_rows = linear_weights(coarse_height, height, align_corners, similarity)
        self.up_columns = linear_weights(coarse_width, width, align_corners, similarity)
        self.levels = torch.arange(max_disp, dtype=similarity.dtype, device=similarity.device)
        self.wide = (similarity @ self.up_columns.T).transpose(1, 2).contiguous()  # (B,h,d,W)
        self.wide_gradient: Tensor | None = None
        limit = TILE_BYTES_CPU if similarity.device.type == "cpu" else TILE_BYTES
        step = max(1, limit // (batch * max_disp * width * similarity.element_size()))
        self.tiles = [self._tile(y, min(y + step, height), align_corners) for y in range(0, height, step)]

    def _tile(self, start: int, stop: int, align_corners: bool) -> _Tile:
        height, coarse = self.up_rows.shape
        first, last = (source_position(row, coarse, height, align_corners) for row in (start, stop - 1))
        return _Tile(start, stop, int(first), min(int(last) + 2, coarse))

    def probability(self, tile: _Tile) -> Tensor:
        """Of each level: (B,rows,D,W)."""
        share = self.up_rows[tile.start : tile.stop, tile.first : tile.last]
        coarse = torch.einsum("rh,bhdw->brdw", share, self.wide[:, tile.first : tile.last])
        return (self.up_levels @ coarse).softmax(2)

    def add_gradient(self, tile: _Tile, gradient: Tensor) -> None:
        """Takes a gradient (B,rows,D,W) back to the coarse rows."""
        if self.wide_gradient is None:
            self.wide_gradient = torch.zeros_like(self.wide)
        share = self.up_rows[tile.start : tile.stop, tile.first : tile.last]
        coarse = torch.einsum("rh,brdw->bhdw", share, self.up_levels.T @ gradient)
        self.wide_gradient[:, tile.first : tile.last] += coarse

    def gradient(self) -> Tensor:
        """(B,d,h,w)."""
        return self.wide_gradient.transpose(1, 2) @ self.up_columns


def source_position(index: int, coarse: int, fine: int, align_corners: bool) -> float:
    """Where in ``coarse`` samples the fine sample of this index lies."""
    if align_corners:
        return index * (coarse - 1) / (fine - 1) if fine > 1 else 0.0
    return min(max((index + 0.5) * coarse / fine - 0.5, 0.0), coarse - 1.0)


def linear_weights(coarse: int, fine: int, align_corners: bool, like: Tensor) -> Tensor:
    """(fine,coarse): what each of the coarse samples gives to each fine one in linear upsampling of ``like``."""
    make = _linear_weights if type(like) is Tensor else _linear_weights.__wrapped__  # what is fake is not kept
    return make(coarse, fine, align_corners, like.dtype, like.device)


@lru_cache(maxsize=64)
def _linear_weights(coarse: int, fine: int, align_corners: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        each = torch.eye(coarse, dtype=dtype).unsqueeze(0)
        return F.interpolate(each, fine, mode="linear", align_corners=align_corners)[0].T.contiguous().to(device)


def confidence(similarity: Tensor, radius: int = 1) -> Tensor:
    """Probability within ``radius`` levels of the likeliest level: (B,D,H,W) -> (B,H,W) in [0,1].

    Near one where the distribution has a single narrow peak, low where it is broad or has several.
    """
    _, places, outside = _near_likeliest(similarity, radius)
    return _precise(similarity).softmax(1).gather(1, places).masked_fill(outside, 0).sum(1).clamp(0, 1)


def _near_likeliest(similarity: Tensor, radius: int) -> tuple[Tensor, Tensor, Tensor]:
    """Levels within ``radius`` of the likeliest, their places in D, and which have none: (B,2 radius+1,H,W) each."""
    steps = torch.arange(-radius, radius + 1, device=similarity.device).view(-1, 1, 1)
    levels = similarity.detach().max(1, keepdim=True).indices + steps  # several times as quick as argmax on a CPU
    places = levels.clamp(0, similarity.shape[1] - 1)
    return levels, places, levels != places


def convex_upsample(disparity: Tensor, weights: Tensor, factor: int, radius: float | None = None) -> Tensor:
    """Each fine pixel a weighted mean of its 3x3 coarse neighbours (RAFT, Teed & Deng 2020, section 3.3).

    With ``radius``, only those of the nine near the one that weighs most have a part in it: within ``radius`` of it all
    that they weigh, from there on less, and none at twice as much. So a pixel at an object's border lies on one of the
    two surfaces and not in the gap between them.

    Args:
        disparity: (B,h,w).
        weights: (B, 9 factor^2, h, w) logits, softmax over the nine.
        factor: how much finer.
        radius: in the disparity's unit.

    Returns:
        (B, factor h, factor w); the values are not scaled.
    """
    disparity, weights = _precise(disparity), _precise(weights)
    batch, h, w = disparity.shape
    neighbours = F.unfold(F.pad(disparity.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), 3).view(batch, 9, 1, h, w)
    weights = weights.view(batch, 9, factor**2, h, w)
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        fine = _mixed(weights, neighbours, radius)
    else:
        limit = TILE_BYTES if weights.device.type == "cuda" else TILE_BYTES_CPU  # also for estimates, on no device
        rows = max(1, limit // (weights[:, :, :, 0].numel() * weights.element_size()))
        parts = zip(weights.split(rows, 3), neighbours.split(rows, 3), strict=True)
        fine = torch.cat([_mixed(*part, radius) for part in parts], 2)
    return F.pixel_shuffle(fine, factor).squeeze(1)


def _mixed(weights: Tensor, neighbours: Tensor, radius: float | None) -> Tensor:
    if radius is None:
        return (weights.softmax(1) * neighbours).sum(1)
    weights = weights.contiguous()  # as the neighbours are
    logits = weights - weights.amax(1, keepdim=True)
    heaviest = torch.where(logits < 0, -torch.inf, neighbours).amax(1, keepdim=True)
    share = logits.exp() * (2 - (neighbours - heaviest).abs() / radius).clamp(0, 1)
    return (share * neighbours).sum(1) / share.sum(1)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
