"""The hourglass that every network here is built on (Newell et al., ECCV 2016, section 3.1, figure 3).

One level goes down, through what is inside, up again, and adds what skipped it. Nesting levels gives a deep
hourglass; chaining hourglasses gives a stack. Whether it works on images or on cost volumes its children decide.
"""

import torch
from torch import Tensor, nn

from stereohg.nn.fusion import add, add_output
from stereohg.nn.layers import only_part


class Hourglass(nn.Module):
    """``act(skip(x) + up(inner(down(x))))``.

    Without gradients the sum lies where ``up`` put its answer, so that a hook on ``up`` has to copy what it keeps.

    Args:
        down: takes x to half its size.
        inner: what happens there; another Hourglass makes a deeper one.
        up: brings the result back to x's size and to the skip's channels.
        skip: the branch that stays at full size (default: x itself).
        act: the activation after the sum (default: none).
    """

    def __init__(
        self,
        down: nn.Module,
        inner: nn.Module,
        up: nn.Module,
        skip: nn.Module | None = None,
        act: nn.Module | None = None,
    ):
        super().__init__()
        self.down = down
        self.inner = inner
        self.up = up
        self.skip = skip if skip is not None else nn.Identity()
        self.act = act if act is not None else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """x to the same spatial size; a ``skip`` given here replaces the one computed from x (PSMNet's stacks)."""
        up = self.up(self.inner(self.down(x)))
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or _share_memory(up, x):
            return self.act((self.skip(x) if skip is None else skip) + up)
        return self.act(add_output(up, only_part(self.skip), x) if skip is None else add(up, skip))


def _share_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
