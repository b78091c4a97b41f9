"""Two cameras that look at primitives in space: colours, and the disparity that both imply.

Both views are rendered from the same description, neither from the other's pixels, which would leave traces that a
network could learn. Colours are the mean of samples within the pixel; disparity and slot are those of its middle.

Shapes: B scenes, H height, W width; colours (B,H,W,3) in [0,255], disparity (B,H,W) pixels.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from stereohg.data.synthetic.primitives import BOX, CARD, CYLINDER, ROOM, Primitives, Rays, first_met

SAMPLES = ((-0.25, -0.25), (0.25, 0.25))  # pixels from the middle
SHINE = 24  # the exponent of Phong's highlight
SMALLEST_TILE = 8  # texels; coarser is not needed


@dataclass(frozen=True)
class Atlas:
    """Textures and masks. ``tiles`` (N,S,S,3) and ``masks`` (M,S,S) bool, S a power of two."""

    tiles: Tensor
    masks: Tensor

    @cached_property
    def pyramid(self) -> tuple[Tensor, list[int]]:
        """All levels of all tiles (N,texels,3), each level half as wide as the last, and where each one begins."""
        level, levels, starts = self.tiles.permute(0, 3, 1, 2).float(), [], [0]
        while level.shape[-1] >= SMALLEST_TILE:
            levels.append(level.round().byte().flatten(2).transpose(1, 2))
            starts.append(starts[-1] + levels[-1].shape[1])
            level = F.avg_pool2d(level, 2)
        return torch.cat(levels, 1).contiguous(), starts[:-1]

    def sample(self, tile: Tensor, u: Tensor, v: Tensor, footprint: Tensor) -> Tensor:
        """Colours (...,3) of tiles, mirrored beyond their borders, at texels u, v.

        ``footprint`` is how many texels a pixel covers: the level is chosen where it is about one.
        """
        texels, starts = self.pyramid
        levels = len(starts)
        level = footprint.clamp(min=1).log2().round().long().clamp_(max=levels - 1)
        begins = torch.tensor(starts, device=u.device)[level]
        side = self.tiles.shape[1] >> level
        shrink = 1.0 / (1 << level)
        (x0, x1, along), (y0, y1, down) = (_neighbours(w * shrink - 0.5, side) for w in (u, v))
        flat = texels.flatten(0, 1)
        base = tile * texels.shape[1] + begins

        def corner(y: Tensor, x: Tensor) -> Tensor:
            return flat[base + y * side + x].float()

        top = torch.lerp(corner(y0, x0), corner(y0, x1), along.unsqueeze(-1))
        bottom = torch.lerp(corner(y1, x0), corner(y1, x1), along.unsqueeze(-1))
        return torch.lerp(top, bottom, down.unsqueeze(-1))


def _neighbours(position: Tensor, side: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low = position.floor()
    return _mirrored(low.long(), side), _mirrored(low.long() + 1, side), position - low


def _mirrored(index: Tensor, side: Tensor) -> Tensor:
    index = index.remainder(2 * side)
    return torch.minimum(index, 2 * side - 1 - index)


@dataclass(frozen=True)
class StereoCamera:
    """Two of ``height`` x ``width`` pixels; ``focal`` (B,) pixels; ``offset`` (B,) rows that the right looks lower."""

    height: int
    width: int
    focal: Tensor
    offset: Tensor

    def view(self, scenes: Primitives, atlas: Atlas, is_right: bool) -> tuple[Tensor, Tensor]:
        """Colours (B,H,W,3) and disparity (B,H,W)."""
        depth, _ = first_met(scenes, self._rays(is_right, 0.0, 0.0), atlas.masks)
        colours = 0.0
        for x, y in SAMPLES:
            rays = self._rays(is_right, x, y)
            colours = colours + shade(scenes, atlas, rays, self.focal, *first_met(scenes, rays, atlas.masks))
        return colours / len(SAMPLES), self.focal[:, None, None] / depth

    def _rays(self, is_right: bool, x: float, y: float) -> Rays:
        device = self.focal.device
        focal = self.focal[:, None, None]
        columns = torch.arange(self.width, device=device) + (x - (self.width - 1) / 2)
        rows = torch.arange(self.height, device=device) + (y - (self.height - 1) / 2)
        rows = rows[None, :, None] + (self.offset[:, None, None] if is_right else 0.0)
        return Rays(self.focal.new_tensor(float(is_right)), columns[None, None] / focal, rows / focal)


def shade(scenes: Primitives, atlas: Atlas, rays: Rays, focal: Tensor, depth: Tensor, slot: Tensor) -> Tensor:
    """Colours (B,H,W,3) of what the rays meet: texture, Lambert's and Phong's light."""
    batch, height, width = depth.shape

    def of_slot(values: Tensor) -> Tensor:
        """(B,P,...) to (B,...,H,W)."""
        flat = values.reshape(batch, values.shape[1], -1)
        index = slot.flatten(1).unsqueeze(-1).expand(-1, -1, flat.shape[2])
        return flat.gather(1, index).mT.reshape(batch, *values.shape[2:], height, width)

    kind = torch.tensor(scenes.kinds, device=slot.device)[slot]
    axes, size = of_slot(scenes.axes), of_slot(scenes.size)
    depth = torch.where(depth.isfinite(), depth, 1e6)
    ray = torch.stack(torch.broadcast_tensors(rays.x, rays.y, torch.ones_like(depth)), 1)  # (B,3,H,W)
    eye = rays.eye * depth.new_tensor([1, 0, 0])[:, None, None]
    met = eye + depth.unsqueeze(1) * ray
    place = torch.einsum("bijhw,bjhw->bihw", axes, met - of_slot(scenes.centre))
    unit = place / size
    normal = _normal(kind, unit)
    axis = normal.abs().argmax(1, keepdim=True)
    normal = _unit_length(torch.einsum("bijhw,bihw->bjhw", axes, normal / size))
    ray = _unit_length(ray)
    facing = (normal * ray).sum(1)
    normal = torch.where(facing.unsqueeze(1) > 0, -normal, normal)  # towards the camera
    facing = facing.abs().clamp(min=0.1)

    density = of_slot(scenes.density)
    first, second = (density * place.gather(1, (axis + step) % 3).squeeze(1) for step in (1, 2))
    cos, sin = of_slot(scenes.turn.cos()), of_slot(scenes.turn.sin())
    aside = 61.0 * (slot + 3 * axis.squeeze(1))  # no two faces show the same part
    u, v = cos * first - sin * second + aside, sin * first + cos * second + aside
    footprint = density * depth / focal[:, None, None] / facing.sqrt()
    texture = atlas.sample(of_slot(scenes.tile), u, v, footprint)
    colours = texture * of_slot(scenes.gain).movedim(1, -1) + of_slot(scenes.bias).movedim(1, -1)

    to_lamp = _unit_length(scenes.lamp[:, :, None, None] - met)
    ambient = scenes.ambient[:, None, None]
    light = ambient + (1 - ambient) * (normal * to_lamp).sum(1).clamp(min=0)
    mirrored = ray - 2 * (normal * ray).sum(1, keepdim=True) * normal
    highlight = 255 * of_slot(scenes.gloss) * (mirrored * to_lamp).sum(1).clamp(min=0) ** SHINE
    return (colours * light.unsqueeze(-1) + highlight.unsqueeze(-1)).clamp(0, 255)


def _unit_length(vectors: Tensor) -> Tensor:
    """Along the second dimension; PyTorch's own norm is slow there."""
    return vectors * (vectors * vectors).sum(1, keepdim=True).rsqrt()


def _normal(kind: Tensor, unit: Tensor) -> Tensor:
    """Of the unit forms, at a point of their surface: (B,3,H,W)."""
    of_box = F.one_hot(unit.abs().argmax(1), 3).movedim(-1, 1).to(unit.dtype) * unit.sign()
    flat = unit * unit.new_tensor([1, 0, 1])[:, None, None]
    caps = unit * unit.new_tensor([0, 1, 0])[:, None, None]
    on_cap = unit[:, 1].abs() > 0.999
    of_cylinder = torch.where(on_cap.unsqueeze(1), caps, flat)
    of_card = torch.zeros_like(unit)
    of_card[:, 2] = 1
    kind = kind.unsqueeze(1)
    normal = torch.where((kind == BOX) | (kind == ROOM), of_box, unit)  # an ellipsoid's is the point itself
    normal = torch.where(kind == CYLINDER, of_cylinder, normal)
    normal = torch.where(kind == CARD, of_card, normal)
    return normal
