"""Solids and cards in space, and where the rays of a camera meet them.

A scene is a row of slots, each of one kind; every slot holds a primitive in every scene of the batch (where one is not
wanted it lies behind the camera). In its own frame each kind has unit size, so that a ray has the same ``z`` there as
in the world: the ray of a pixel is (X, Y, 1), and what it has travelled is the depth.

Shapes: B scenes, P slots, H height, W width; depth (B,H,W) in baselines, infinite where nothing is met; rays' X (W,)
and Y (H,) of each scene: (B,1,W) and (B,H,1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor

ROOM, BOX, ELLIPSOID, CYLINDER, CARD = range(5)
NEAREST = 1e-3  # baselines; what is nearer is not seen
PARALLEL = 1e-20  # in place of zero, of which the inverse would not be a number


@dataclass(frozen=True)
class Primitives:
    """A batch of scenes.

    Attributes:
        kinds: of each slot: ROOM (a box seen from inside), BOX, ELLIPSOID, CYLINDER (along its second axis), CARD (a
            picture in its first two axes, cut out by a mask).
        axes: (B,P,3,3), rows are the primitive's axes in the world (x right, y down, z forward).
        centre: (B,P,3), baselines from the left camera.
        size: (B,P,3), half of its extent along its axes, baselines.
        tile: (B,P) of the atlas of textures.
        mask: (B,P) of the atlas of masks, for cards.
        density: (B,P) texels a baseline.
        turn: (B,P) of the texture, radians.
        gain: (B,P,3) on the texture's colours.
        bias: (B,P,3) added to them.
        gloss: (B,P) strength of the highlight, 0 to 1.
        lamp: (B,3), where light comes from; far away it is a sun.
        ambient: (B,), the share of light that comes from nowhere.
    """

    kinds: tuple[int, ...]
    axes: Tensor
    centre: Tensor
    size: Tensor
    tile: Tensor
    mask: Tensor
    density: Tensor
    turn: Tensor
    gain: Tensor
    bias: Tensor
    gloss: Tensor
    lamp: Tensor
    ambient: Tensor


@dataclass(frozen=True)
class Rays:
    """From a camera ``eye`` baselines right of the left one through pixels: X (B,1,W), Y (B,H,1)."""

    eye: Tensor | float
    x: Tensor
    y: Tensor

    def window(self, rows: slice, columns: slice) -> "Rays":
        return Rays(self.eye, self.x[:, :, columns], self.y[:, rows])


def first_met(scenes: Primitives, rays: Rays, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and slot (B,H,W) of what each ray meets first.

    Args:
        scenes: of B scenes.
        rays: of one camera.
        masks: (M,S,S) bool, which part of a card there is.
    """
    if rays.x.device.type == "cuda":
        return _compiled()(scenes, rays, masks)
    batch, height, width = rays.x.shape[0], rays.y.shape[1], rays.x.shape[2]
    depth = rays.x.new_full((batch, height, width), torch.inf)
    slot = torch.zeros(batch, height, width, dtype=torch.long, device=depth.device)
    for p, (top, bottom, left, right) in enumerate(_windows(scenes, rays)):
        if top >= bottom or left >= right:
            continue
        rows, columns = slice(top, bottom), slice(left, right)
        met = _depth(scenes, p, scenes.kinds[p], rays.window(rows, columns), masks)
        here = (slice(None), rows, columns)
        nearer = met < depth[here]
        depth[here] = torch.where(nearer, met, depth[here])
        slot[here] = torch.where(nearer, p, slot[here])
    return depth, slot


@lru_cache(maxsize=1)  # made when it is first wanted: Inductor takes seconds to import
def _compiled() -> Callable[[Primitives, Rays, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(met_at_once, dynamic=False)


def met_at_once(scenes: Primitives, rays: Rays, masks: Tensor) -> tuple[Tensor, Tensor]:
    """``first_met`` without windows, of all pixels and slots: compiled it is a kernel for each kind."""
    rays = Rays(rays.eye, rays.x.unsqueeze(1), rays.y.unsqueeze(1))
    depths, slots, start = [], [], 0
    for kind, same in groupby(scenes.kinds):
        stop = start + len(list(same))
        depth, slot = _depth(scenes, slice(start, stop), kind, rays, masks).min(1)
        depths.append(depth)
        slots.append(slot + start)
        start = stop
    depth, first = torch.stack(depths).min(0)
    return depth, torch.stack(slots).gather(0, first.unsqueeze(0)).squeeze(0)


def _windows(scenes: Primitives, rays: Rays) -> list[list[int]]:
    """First and last row and column, of each slot, of the pixels that its corners enclose in any of the scenes.

    Those of a slot that is beside the camera are all pixels, of one that is behind it none.
    """
    height, width = rays.y.shape[1], rays.x.shape[2]
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], device=scenes.size.device)] * 3)  # (8,3)
    corners = (signs[:, None] * scenes.size[..., None, None, :]).squeeze(-2) @ scenes.axes + scenes.centre.unsqueeze(2)
    z = corners[..., 2]
    behind, beside = (z <= NEAREST).all(2), (z <= NEAREST).any(2)  # (B,P)
    z = z.clamp(min=NEAREST)
    ends = []
    for position, grid, count in (
        (corners[..., 1] / z, rays.y.squeeze(2), height),
        ((corners[..., 0] - rays.eye) / z, rays.x.squeeze(1), width),
    ):
        index = (position - grid[:, :1, None]) / (grid[:, 1] - grid[:, 0])[:, None, None]  # (B,P,8)
        low, high = index.amin(2).floor().clamp(0, count), (index.amax(2).ceil() + 1).clamp(0, count)
        low, high = torch.where(beside, 0, low), torch.where(beside, count, high)
        ends += [torch.where(behind, count, low).amin(0), torch.where(behind, 0, high).amax(0)]
    return torch.stack(ends, 1).long().tolist()


def _depth(scenes: Primitives, p: int | slice, kind: int, rays: Rays, masks: Tensor) -> Tensor:
    """(B,H,W), infinite where the ray misses; of a slice of slots (B,P,H,W), for rays' X (B,1,1,W) and Y (B,1,H,1)."""
    origin, direction = _local(scenes, p, rays)
    if kind in (ROOM, BOX):
        near, far = _slabs(origin, direction, (0, 1, 2))
        if kind == ROOM:
            return far
        return _where(near < far, near)
    if kind == CARD:
        depth = -origin[2] / direction[2]
        u, v = (origin[i] + depth * direction[i] for i in (0, 1))
        inside = (u.abs() < 1) & (v.abs() < 1)
        side = masks.shape[-1]
        column, row = (((w.clamp(-1, 1) + 1) * (side / 2)).long().clamp_(max=side - 1) for w in (u, v))
        inside &= masks[scenes.mask[:, p, ..., None, None], row, column]
        return _where(inside, depth)
    round_axes = (0, 1, 2) if kind == ELLIPSOID else (0, 2)
    a = sum(direction[i] ** 2 for i in round_axes)
    b = sum(origin[i] * direction[i] for i in round_axes)
    c = sum(origin[i] ** 2 for i in round_axes) - 1
    root = (b * b - a * c).clamp(min=0).sqrt()
    hits = b * b > a * c
    near, far = (-b - root) / a, (-b + root) / a
    if kind == CYLINDER:
        enters, leaves = _slabs(origin, direction, (1,))
        near, far = torch.maximum(near, enters), torch.minimum(far, leaves)
        hits = hits & (near < far)
    return _where(hits, near)


def _local(scenes: Primitives, p: int | slice, rays: Rays) -> tuple[list[Tensor], list[Tensor]]:
    """Origin, three of (B,1,1), and direction, three of (B,H,W), in the unit frame of a slot, or of several."""
    axes, size, centre = scenes.axes[:, p], scenes.size[:, p], scenes.centre[:, p]
    scaled = (axes / size.unsqueeze(-1))[..., None, None]  # (B,3,3,1,1)
    eye = rays.eye * centre.new_tensor([1, 0, 0])
    start = torch.einsum("...ij,...j->...i", axes, eye - centre) / size
    origin = [start[..., i, None, None] for i in range(3)]
    across, down, ahead = (scaled[..., i, :, :] for i in range(3))  # (B,3,1,1)
    rows = down * rays.y.unsqueeze(-3) + ahead  # (B,3,H,1)
    direction = (across * rays.x.unsqueeze(-3) + rows).unbind(-3)
    return origin, list(direction)


def _slabs(origin: list[Tensor], direction: list[Tensor], axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Where a ray enters and leaves what lies between -1 and 1 along these axes."""
    near, far = None, None
    for i in axes:
        inverse = 1 / torch.where(direction[i] == 0, PARALLEL, direction[i])
        middle, half = -origin[i] * inverse, inverse.abs()
        enters, leaves = middle - half, middle + half
        near = enters if near is None else torch.maximum(near, enters)
        far = leaves if far is None else torch.minimum(far, leaves)
    return near, far


def _where(hits: Tensor, depth: Tensor) -> Tensor:
    return torch.where(hits & (depth > NEAREST), depth, torch.inf)
