"""The blocks of the core and the hourglass that joins them."""

import pytest
import torch
from torch import nn

from stereohg.nn import BasicBlock, Bottleneck, ConvNormAct, Hourglass


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
def test_same_classes_in_two_and_three_dimensions(dim, norm):
    x = torch.randn(2, 32, *[8] * dim)
    assert ConvNormAct(32, 64, stride=2, dim=dim, norm=norm)(x).shape == (2, 64, *[4] * dim)
    assert ConvNormAct(32, 64, stride=2, dim=dim, norm=norm, transposed=True)(x).shape == (2, 64, *[16] * dim)
    assert Bottleneck(32, 32, dim=dim, norm=norm)(x).shape == (2, 64, *[8] * dim)


@pytest.mark.parametrize("dim", [2, 3])
def test_basic_block_adds_its_input(dim):
    block = BasicBlock(4, 4, dim=dim)
    nn.init.zeros_(block.conv2.norm.weight)
    x = torch.randn(1, 4, *[5] * dim)
    assert torch.equal(block(x), x)
    assert BasicBlock(4, 6, stride=2, dim=dim)(x).shape == (1, 6, *[3] * dim)


def test_unknown_norm_is_named():
    with pytest.raises(ValueError, match="norm is 'layer'"):
        ConvNormAct(3, 3, norm="layer")


class Times(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_hourglass_by_hand():
    hourglass = Hourglass(down=Times(2), inner=Times(3), up=Times(5), skip=Times(7), act=nn.ReLU())
    x = torch.tensor([1.0, -1.0])
    assert hourglass(x).tolist() == [37.0, 0.0]  # 2 * 3 * 5 + 7
    assert hourglass(x, skip=torch.tensor([100.0, 0.5])).tolist() == [130.0, 0.0]


def test_hourglasses_nest():
    inner = Hourglass(Times(2), nn.Identity(), Times(1))
    assert Hourglass(Times(10), inner, Times(1))(torch.tensor(1.0)).item() == 31.0  # 1 + 10 * (1 + 2)


@torch.no_grad()
def test_hourglass_of_nothing_keeps_its_input():
    x = torch.ones(2)
    assert Hourglass(nn.Identity(), nn.Identity(), nn.Identity())(x).tolist() == [2.0, 2.0]
    assert x.tolist() == [1.0, 1.0]
