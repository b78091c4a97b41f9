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
    before = x.clone()
    assert Bottleneck(32, 32, dim=dim, norm=norm)(x).shape == (2, 64, *[8] * dim)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dim", [2, 3])
def test_basic_block_adds_its_input(dim):
    block = BasicBlock(4, 4, dim=dim)
    nn.init.zeros_(block.conv2.norm.weight)
    x = torch.randn(1, 4, *[5] * dim)
    assert torch.equal(block(x), x)
    assert BasicBlock(4, 6, stride=2, dim=dim)(x).shape == (1, 6, *[3] * dim)


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="norm is 'layer'"):
        ConvNormAct(3, 3, norm="layer")
    with pytest.raises(ValueError, match="kernel_size is 2 and dilation 1; the first must be odd"):
        ConvNormAct(3, 3, 2)
    with pytest.raises(ValueError, match="kernel_size is 3 and dilation 2.* 1 where transposed=True"):
        ConvNormAct(3, 3, dilation=2, dim=3, transposed=True)


def test_bottleneck_without_norm_by_hand():
    block = Bottleneck(2, 1, norm="none")
    for conv, weight in ((block.conv1, 1.0), (block.conv2, 0.0), (block.conv3, 3.0)):
        nn.init.constant_(conv.weight, weight)
        nn.init.zeros_(conv.bias)
    block.conv2.weight.data[..., 1, 1] = 2.0
    x = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    assert block(x).flatten().tolist() == [7.0, 5.0]  # 3 * 2 * (1 + 0), beside 1 and -1


class Times(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


@pytest.fixture(params=[True, False], ids=["learning", "inference"])
def either_way(request):
    with torch.set_grad_enabled(request.param):
        yield


@pytest.mark.usefixtures("either_way")
def test_hourglass_by_hand():
    hourglass = Hourglass(down=Times(2), inner=Times(3), up=Times(5), skip=Times(7), act=nn.ReLU())
    x = torch.tensor([1.0, -1.0])
    assert hourglass(x).tolist() == [37.0, 0.0]  # 2 * 3 * 5 + 7
    assert hourglass(x, skip=torch.tensor([100.0, 0.5])).tolist() == [130.0, 0.0]
    assert x.tolist() == [1.0, -1.0]


class Rectified(nn.Module):
    """More than the one convolution that it has."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return x + self.conv(x).relu()


def doubled(conv):
    chain = nn.Sequential(conv)
    chain.register_forward_hook(lambda *_: 2 * _[2])
    return chain


CONV = nn.Conv2d(4, 4, 1)
SKIPS = [CONV, nn.Sequential(nn.Identity(), CONV), nn.Sequential(CONV, CONV), Rectified(CONV), doubled(CONV)]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("skip", [*SKIPS, ConvNormAct(4, 4, 1, norm="none", act=False)])
def test_any_module_may_skip(skip):
    x = torch.randn(2, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(Hourglass(Times(2), Times(3), Times(5), skip)(x), 30 * x + skip(x))


@torch.no_grad()
def test_an_hourglass_compiles_in_one_piece():
    hourglass = Hourglass(ConvNormAct(4, 4), nn.Identity(), ConvNormAct(4, 4), skip=CONV).eval()
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(torch.compile(hourglass, backend="eager", fullgraph=True)(x), hourglass(x))


@torch.no_grad()
def test_an_hourglass_keeps_what_it_is_given():
    """Where up gives a view of it, something smaller, or another type."""
    x = torch.ones(1, 2, 4, 4)
    assert Hourglass(nn.Identity(), nn.Flatten(0, 1), nn.Unflatten(0, (1, 2)))(x).unique().item() == 2
    assert Hourglass(Times(2), nn.Identity(), nn.AdaptiveAvgPool2d(1))(x).unique().item() == 3
    with torch.autocast("cpu", torch.bfloat16):
        answer = Hourglass(nn.Conv2d(2, 2, 1), nn.Identity(), nn.Identity())(x)
    assert answer.dtype == torch.float32 and x.unique().item() == 1


def test_hourglasses_nest():
    inner = Hourglass(Times(2), nn.Identity(), Times(1))
    assert Hourglass(Times(10), inner, Times(1))(torch.tensor(1.0)).item() == 31.0  # 1 + 10 * (1 + 2)


@torch.no_grad()
def test_hourglass_of_nothing_keeps_its_input():
    x = torch.ones(2)
    assert Hourglass(nn.Identity(), nn.Identity(), nn.Identity())(x).tolist() == [2.0, 2.0]
    assert x.tolist() == [1.0, 1.0]
