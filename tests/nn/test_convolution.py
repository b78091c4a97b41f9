"""Convolutions against PyTorch's own, where ours take another way."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stereohg.nn import Conv2d, Conv3d, ConvTranspose3d, convolution
from stereohg.nn.convolution import FEWEST_CHANNELS, SMALL, conv_to_one
from stereohg.nn.weight_gradient import weight_gradient

LAYOUTS = [torch.contiguous_format, torch.channels_last_3d]


def random(*shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@settings(max_examples=25)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 5),
    size=st.tuples(*[st.integers(1, 6)] * 3),
    layout=st.sampled_from(LAYOUTS),
    with_bias=st.booleans(),
)
def test_one_output_channel(batch, channels, size, layout, with_bias):
    x = random(batch, channels, *size).contiguous(memory_format=layout)
    weight, bias = random(1, channels, 3, 3, 3), random(1) if with_bias else None
    torch.testing.assert_close(conv_to_one(x, weight, bias), F.conv3d(x, weight, bias, padding=1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("small", [0, SMALL])
def test_one_output_channel_of_small_volumes(small, layout, monkeypatch):
    """Level by level as pictures, or as a volume: the same values and gradients."""
    monkeypatch.setattr("stereohg.nn.convolution.SMALL", small)
    x = random(2, 4, 5, 6, 7, dtype=torch.float32).contiguous(memory_format=layout).requires_grad_()
    weight, bias = (random(*size, dtype=torch.float32).requires_grad_() for size in ((1, 4, 3, 3, 3), (1,)))
    exact = [t.detach().double().requires_grad_() for t in (x, weight, bias)]
    answers = []
    for convolve, inputs in ((conv_to_one, (x, weight, bias)), (lambda *of: F.conv3d(*of, padding=1), exact)):
        y = convolve(*inputs)
        answers.append((y, *torch.autograd.grad(y.square().sum(), inputs)))
    for own, other in zip(*answers, strict=True):
        torch.testing.assert_close(own.double(), other, atol=1e-5 * other.abs().max().item(), rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("at_once", [1, 8, 100])
def test_one_output_channel_under_autocast(at_once, layout, monkeypatch):
    """The answer of a rounded volume to float32; gradients to bfloat16, which keeps 8 bits."""
    monkeypatch.setattr("stereohg.nn.convolution.AT_ONCE", at_once)
    x = random(2, 32, 5, 6, 7).bfloat16().contiguous(memory_format=layout).requires_grad_()
    weight = random(1, 32, 3, 3, 3, dtype=torch.float32).requires_grad_()
    exact = [t.detach().double().requires_grad_() for t in (x, weight)]
    expected = F.conv3d(*exact, padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv_to_one(x, weight)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    ours, theirs = (torch.autograd.grad(t.square().sum(), of) for t, of in ((y, (x, weight)), (expected, exact)))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.double(), other, rtol=2**-7, atol=2**-7 * other.abs().max().item())


def test_one_output_channel_by_hand():
    weight = torch.zeros(1, 1, 3, 3, 3)
    weight[0, 0, 0, 2, 1] = 5.0  # the level before, the row below, the same column
    x = torch.arange(8.0).view(1, 1, 2, 2, 2)
    assert conv_to_one(x, weight).flatten().tolist() == [0, 0, 0, 0, 10, 15, 0, 0]


def test_one_output_channel_has_gradients():
    x, weight = random(1, 2, 3, 2, 4).requires_grad_(), random(1, 2, 3, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(conv_to_one, (x, weight))


PLAIN = {Conv3d: F.conv3d, ConvTranspose3d: F.conv_transpose3d}
STRIDES = [
    (Conv3d, {}),
    (Conv3d, {"stride": (1, 2, 2)}),
    (ConvTranspose3d, {"stride": 2, "output_padding": 1}),
    (ConvTranspose3d, {"stride": (1, 2, 2), "output_padding": (0, 1, 1)}),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("make", "strides"), STRIDES)
def test_small_volumes(make, strides, layout):
    """Values, gradients and memory layout of a volume that PyTorch counts as small only because it leaves out W."""
    layer = make(64, 8, 3, padding=1, **strides).to(memory_format=layout)
    x = random(1, 64, 4, 6, 80, dtype=torch.float32).contiguous(memory_format=layout).requires_grad_()
    assert x[..., 0].numel() <= SMALL < x[:, :, 0].numel()
    y = layer(x)
    assert y.is_contiguous(memory_format=layout)  # PyTorch's loop leaves another layout
    exact = [t.detach().double().requires_grad_() for t in (x, layer.weight, layer.bias)]
    expected = PLAIN[make](*exact, padding=1, **strides)
    ours, theirs = (
        (t, *torch.autograd.grad(t.square().sum(), inputs))
        for t, inputs in ((y, (x, layer.weight)), (expected, exact[:2]))
    )
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.double(), other, atol=1e-5 * other.abs().max().item(), rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [80, 6])  # with 6 it is small the other way round, too
@pytest.mark.parametrize(("make", "strides"), STRIDES)
def test_small_volumes_in_inference(make, strides, width, layout, monkeypatch):
    """oneDNN itself gives PyTorch's values and layout, and nothing is exchanged."""
    layer = make(64, 8, 3, padding=1, **strides).to(memory_format=layout)
    x = random(1, 64, 4, 6, width, dtype=torch.float32).contiguous(memory_format=layout)
    with torch.no_grad():
        expected = PLAIN[make](x.double(), layer.weight.double(), layer.bias.double(), padding=1, **strides).float()
        monkeypatch.setattr("stereohg.nn.convolution._exchanged", None)  # not to be called
        y = layer(x)
    assert y.is_contiguous(memory_format=layout)
    torch.testing.assert_close(y, expected, atol=1e-5 * expected.abs().max().item(), rtol=1e-5)


@pytest.mark.parametrize(("make", "strides"), STRIDES)
def test_small_volumes_that_exchanging_leaves_small_learn(make, strides):
    layer = make(64, 8, 3, padding=1, **strides)
    x = random(1, 64, 4, 6, 6, dtype=torch.float32).requires_grad_()
    exact = x.detach().double().requires_grad_()
    expected = PLAIN[make](exact, layer.weight.double(), layer.bias.double(), padding=1, **strides)
    ours, theirs = (torch.autograd.grad(y.square().sum(), of)[0] for y, of in ((layer(x), x), (expected, exact)))
    torch.testing.assert_close(ours.double(), theirs, atol=1e-5 * theirs.abs().max().item(), rtol=1e-5)


@pytest.mark.parametrize("channels, dilation", [((24, 24), (1, 2, 1)), ((8, 1), (2, 2, 2)), ((24, 24), (1, 1, 2))])
def test_dilations_that_are_pytorchs(channels, dilation):
    layer = Conv3d(*channels, 3, padding=1, dilation=dilation).to(memory_format=torch.channels_last_3d)
    x = random(1, channels[0], 6, 34, 34, dtype=torch.float32).contiguous(memory_format=torch.channels_last_3d)
    expected = F.conv3d(x, layer.weight, layer.bias, padding=1, dilation=dilation)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_output_size_of_a_transposed_convolution():
    layer, x = ConvTranspose3d(4, 4, 3, stride=2, padding=1), torch.randn(1, 4, 3, 3, 3)
    assert layer(x).shape[2:] == (5, 5, 5) and layer(x, output_size=[6, 5, 6]).shape[2:] == (6, 5, 6)


@pytest.mark.parametrize("make", [lambda: Conv2d(24, 24, 3, padding=1), lambda: Conv3d(3, 1, 3, padding=1)])
def test_gradients_have_gradients(make):
    """As of PyTorch's layers, for penalties on a gradient."""
    layer, answers = make(), []
    dim = layer.weight.dim() - 2
    x = random(1, layer.in_channels, *(4, 32, 32)[-dim:], dtype=torch.float32)
    x = x.contiguous(memory_format=torch.channels_last if dim == 2 else torch.channels_last_3d).requires_grad_()
    convolve = F.conv2d if dim == 2 else F.conv3d
    for y in (layer(x), convolve(x, layer.weight, layer.bias, padding=1)):
        of_x, of_weight = torch.autograd.grad(y.square().sum(), (x, layer.weight), create_graph=True)
        answers.append(torch.autograd.grad((of_x.square().sum() + of_weight.square().sum()), (x, layer.weight)))
    for own, plain in zip(*answers, strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-4, atol=1e-5 * plain.abs().max().item())


def test_paddings_that_are_pytorchs():
    layer = Conv3d(64, 8, 3, padding="same", padding_mode="circular")
    plain = nn.Conv3d(64, 8, 3, padding="same", padding_mode="circular")
    plain.load_state_dict(layer.state_dict())
    x = random(1, 64, 4, 6, 80, dtype=torch.float32)
    torch.testing.assert_close(layer(x), plain(x), atol=1e-5, rtol=1e-5)


def test_two_levels_in_bfloat16_have_gradients(monkeypatch):
    """Exchanged, so that there are eight: some processors' oneDNN leaves the gradient of two unwritten."""
    exchanged, exchange = [], convolution._exchanged
    monkeypatch.setattr(convolution, "_exchanged", lambda x: exchanged.append(x.shape) or exchange(x))
    x, weight = random(2, 64, 2, 8, 8, dtype=torch.float32), random(64, 64, 3, 3, 3, dtype=torch.float32)
    layer = Conv3d(64, 64, 3, padding=1, bias=False)
    layer.weight.data.copy_(weight)
    exact = torch.autograd.grad(layer(x).sum(), layer.weight)[0]
    for _ in range(4):
        torch.full_like(weight, torch.nan)  # what its memory held shows up where nothing was written
        with torch.autocast("cpu", torch.bfloat16):
            gradient = torch.autograd.grad(layer(x).sum(), layer.weight)[0]
        assert (gradient - exact).norm() <= 0.02 * exact.norm()
    assert exchanged.count(x.shape) == 5


def test_the_quick_ways_are_taken(monkeypatch):
    taken = []
    monkeypatch.setattr("stereohg.nn.convolution.conv_to_one", lambda x, weight, bias: taken.append("one"))
    monkeypatch.setattr("stereohg.nn.convolution._exchanged", lambda x: taken.append("exchanged") or x.transpose(2, 4))
    Conv3d(4, 1, 3, padding=1)(torch.randn(1, 4, 3, 3, 3))
    assert taken == ["one"]
    Conv3d(64, 8, 3, padding=1)(torch.randn(1, 64, 4, 6, 80))
    assert taken == ["one"] + 3 * ["exchanged"]


@settings(max_examples=40)
@given(
    batch=st.integers(1, 2),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.lists(st.integers(1, 7), min_size=2, max_size=3),
    dilation=st.integers(1, 3),
    tile_bytes=st.sampled_from([1, 1000, 10000]),
)
def test_weight_gradient(batch, channels, size, dilation, tile_bytes):
    dim, (inputs, outputs) = len(size), channels
    dilation = dilation if dim == 2 else 1
    layout = torch.channels_last if dim == 2 else torch.channels_last_3d
    x, gradient = (random(batch, count, *size).contiguous(memory_format=layout) for count in (inputs, outputs))
    kernel = random(outputs, inputs, *dim * [3]).requires_grad_()
    convolve = F.conv2d if dim == 2 else F.conv3d
    convolve(x, kernel, padding=dilation, dilation=dilation).backward(gradient)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stereohg.nn.weight_gradient.TILE_BYTES", tile_bytes)
        torch.testing.assert_close(weight_gradient(x, gradient, dilation), kernel.grad)


def test_weight_gradient_by_hand():
    x, gradient = torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4)
    x[0, 0, 1, 2], gradient[0, 0, 0, 3] = 5.0, 7.0  # the gradient's pixel sees x one row below, one column to its left
    expected = torch.zeros(1, 1, 3, 3)
    expected[0, 0, 2, 0] = 35.0
    torch.testing.assert_close(weight_gradient(x, gradient), expected)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dim", "dilation"), [(2, 1), (2, 2), (3, 1)])
def test_layers_learn_by_products(dim, dilation, bias, monkeypatch):
    """The same answer and gradients as PyTorch's layer, to float32, by way of ``weight_gradient``."""
    ours, theirs = (
        make(FEWEST_CHANNELS, 32, 3, padding=dilation, dilation=dilation, bias=bias)
        for make in ((Conv2d, nn.Conv2d) if dim == 2 else (Conv3d, nn.Conv3d))
    )
    theirs.load_state_dict(ours.state_dict())
    layout = torch.channels_last if dim == 2 else torch.channels_last_3d
    size = (2, FEWEST_CHANNELS, *(14, 32, 32)[-dim:])
    x = random(*size, dtype=torch.float32).contiguous(memory_format=layout)
    answers, taken = [], []
    monkeypatch.setattr("stereohg.nn.convolution.has_wide_vectors", lambda: False)
    monkeypatch.setattr(
        "stereohg.nn.convolution.weight_gradient", lambda *given: taken.append(1) or weight_gradient(*given)
    )
    for layer in (ours.to(memory_format=layout), theirs.to(memory_format=layout)):
        own_x = x.clone().requires_grad_()
        y = layer(own_x)
        y.square().sum().backward()
        answers.append((y, own_x.grad, *(parameter.grad for parameter in layer.parameters())))
    assert len(taken) == 1
    for own, plain in zip(*answers, strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-5, atol=1e-5 * plain.abs().max().item())


def test_the_first_layer_learns():
    """Whose input wants no gradient."""
    layer, x = Conv2d(24, 24, 3, padding=1, bias=False), random(1, 24, 32, 32, dtype=torch.float32)
    layer(x).square().sum().backward()
    expected, layer.weight.grad = layer.weight.grad, None
    layer(x.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_products_are_for_float32_with_channels_innermost(monkeypatch):
    monkeypatch.setattr("stereohg.nn.convolution.weight_gradient", None)  # not to be called
    monkeypatch.setattr("stereohg.nn.convolution.has_wide_vectors", lambda: False)
    layer, x = Conv2d(24, 24, 3, padding=1), torch.randn(1, 24, 32, 32)
    layer(x).sum().backward()
    layer, x = layer.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    layer(x[..., :31, :31].contiguous(memory_format=torch.channels_last)).sum().backward()  # too small
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).sum().backward()
    with torch.no_grad():
        layer(x)
    monkeypatch.setattr("stereohg.nn.convolution.has_wide_vectors", lambda: True)
    layer(x).sum().backward()
    layer.double()(x.double()).sum().backward()
