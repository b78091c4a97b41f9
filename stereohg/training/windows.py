"""A window of each pair of a batch: the network looks at the whole pair, and matches and learns the window alone.

So what hgstereo makes of a pair at a quarter of the size is that of a large picture, at the cost of a small one.
Shapes: B batch, C channels, H height, W width of the pictures.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from stereohg.data.stereo import StereoBatch
from stereohg.models.chance import as_by_chance

STEP = 32  # pixels: strided layers see a window in the phase that it has in the whole


@dataclass(frozen=True)
class Window:
    """In pixels, multiples of 32."""

    height: int = 288
    width: int = 640

    def corners(self, left: Tensor) -> list[tuple[int, int]]:
        """(B,3,H,W) -> row and column of each picture's window, as by chance.

        Raises:
            ValueError: the pictures are smaller.
        """
        height, width = left.shape[-2:]
        if height < self.height or width < self.width:
            raise ValueError(
                f"a window of {self.width}x{self.height} (width x height) does not fit into pictures of"
                f" {width}x{height}; make it smaller, or augmentation.crop larger"
            )
        places = ((whole - own) // STEP + 1 for whole, own in ((height, self.height), (width, self.width)))
        rows, columns = (STEP * as_by_chance(left, count, salt) for salt, count in enumerate(places, 1))
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def cut(self, x: Tensor, corners: list[tuple[int, int]], at: int = 1) -> Tensor:
        """(B,...,H,W) at 1/``at`` of the size -> (B,...,height,width) at 1/``at`` of the size."""
        height, width = self.height // at, self.width // at
        parts = [
            part[..., row // at : row // at + height, column // at : column // at + width]
            for part, (row, column) in zip(x, corners, strict=True)
        ]
        return torch.stack(parts)

    def of_batch(self, batch: StereoBatch) -> StereoBatch:
        """The batch with the windows in the place of its pictures."""
        corners = self.corners(batch.left)
        maps = ("left", "right", "disparity", "valid")
        return batch._replace(**{name: self.cut(getattr(batch, name), corners) for name in maps})
