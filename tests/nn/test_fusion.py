"""What a convolution takes in in inference: the sums of separate steps, and nobody's module passed over."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from stereohg.nn import Conv2d, Conv3d
from stereohg.nn.fusion import add, add_output, convolved


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@settings(max_examples=40)
@given(
    dim=st.sampled_from([2, 3]),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.sampled_from([1, 3]),
    stride=st.integers(1, 2),
    is_innermost=st.booleans(),
    adds=st.booleans(),
    relu=st.booleans(),
)
def test_sum_and_relu_behind_a_convolution(dim, channels, kernel, stride, is_innermost, adds, relu):
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[dim] if is_innermost else torch.contiguous_format
    layer = {2: Conv2d, 3: Conv3d}[dim](*channels, kernel, stride, kernel // 2).to(memory_format=layout)
    x = random(2, channels[0], *(4, 6, 7)[:dim]).contiguous(memory_format=layout)
    plus = random(*layer(x).shape).contiguous(memory_format=layout) if adds else None
    expected = layer(x) + (plus if adds else 0)
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(convolved(layer, x, plus, relu), expected)
    kept = (x.clone(), plus.clone()) if adds else (x.clone(),)
    with torch.no_grad():
        torch.testing.assert_close(convolved(layer, x, plus, relu), expected)
    assert all(map(torch.equal, (x, plus), kept))  # what others may still want is left as it was


def test_sum_and_relu_are_fused_in_inference_alone(monkeypatch):
    taken = []
    whole = torch.ops.mkldnn._convolution_pointwise
    monkeypatch.setattr(
        torch.ops.mkldnn, "_convolution_pointwise", lambda *given: taken.append(len(given)) or whole(*given)
    )
    layer, x, plus = Conv2d(3, 3, 3, padding=1), torch.randn(1, 3, 5, 5), torch.randn(1, 3, 5, 5)
    convolved(layer, x, plus, relu=True).sum().backward()
    with torch.no_grad():
        convolved(layer, x)
        with torch.autocast("cpu", torch.float16):
            assert convolved(layer, x, relu=True).dtype == torch.float16
        assert not taken
        convolved(layer, x, relu=True)
        convolved(layer, x, plus)
    assert taken == [10, 13]  # with what is added, and how


@pytest.mark.parametrize("has_bfloat16", [False, True])
@torch.no_grad()
def test_sum_and_relu_under_autocast(has_bfloat16, monkeypatch):
    """In bfloat16, by oneDNN where the processor has it, and rounded once where the separate steps round thrice."""
    if has_bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor does not multiply in bfloat16")
    taken, whole = [], torch.ops.mkldnn._convolution_pointwise
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", lambda *given: taken.append(1) or whole(*given))
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bfloat16)
    layer, x, plus = Conv3d(8, 8, 3, padding=1), random(2, 8, 4, 5, 6), random(2, 8, 4, 5, 6)
    exact = F.conv3d(x.bfloat16().double(), layer.weight.bfloat16().double(), layer.bias.double(), padding=1)
    for added in (None, plus, plus.bfloat16()):
        expected = (exact + (0 if added is None else plus)).relu()
        with torch.autocast("cpu", torch.bfloat16):
            y = convolved(layer, x, added, relu=True)
        assert y.dtype == torch.bfloat16
        torch.testing.assert_close(y.double(), expected, rtol=2**-7, atol=0.03)
    assert len(taken) == (3 if has_bfloat16 else 0)


@torch.no_grad()
def test_a_product_is_added_under_autocast():
    """Sum, weight and bias in the total's bfloat16; a bias in float32 would bring the whole sum to float32 and back."""
    layer, x, total = Conv3d(6, 5, 1), random(1, 6, 3, 4, 5).bfloat16(), random(1, 5, 3, 4, 5).bfloat16()
    x, total = (t.contiguous(memory_format=torch.channels_last_3d) for t in (x, total))
    expected = total.double() + F.conv3d(x.double(), layer.weight.double(), layer.bias.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert add_output(total, layer, x) is total
    torch.testing.assert_close(total.double(), expected, rtol=2**-6, atol=0.03)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("bias", [False, True])
def test_add_output(layout, bias, monkeypatch):
    """The same sum, in place; as a product where the layer comes down to a 1-wide convolution."""
    products = []
    whole = Tensor.addmm_
    monkeypatch.setattr(Tensor, "addmm_", lambda *given: products.append(1) or whole(*given))
    one_wide = Conv3d(6, 5, 1, bias=bias)
    x, total = (random(2, channels, 3, 4, 5).contiguous(memory_format=layout) for channels in (6, 5))
    layers = [one_wide, nn.Sequential(one_wide, nn.ReLU()), Conv3d(6, 5, 3, padding=1)]
    with torch.no_grad():
        for layer in layers:
            expected, own = total + layer(x), total.clone()
            assert add_output(own, layer, x) is own
            torch.testing.assert_close(own, expected)
        strided, coarse = Conv3d(6, 5, 1, stride=2), random(2, 5, 2, 2, 3).contiguous(memory_format=layout)
        torch.testing.assert_close(add_output(coarse.clone(), strided, x), coarse + strided(x))
    assert len(products) == (1 if layout == torch.channels_last_3d else 0)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked(conv):
    conv.register_forward_hook(lambda *_: 2 * _[2])
    return conv


def pruned(conv):
    prune.l1_unstructured(conv, "weight", 0.5)
    with torch.no_grad():
        conv.weight_orig.mul_(3)  # which the hook sees at the next call
    return conv


OWN = [lambda: Doubled(4, 4, 1), lambda: hooked(Conv2d(4, 4, 1)), lambda: pruned(Conv2d(4, 4, 1))]
OWN.append(lambda: parametrizations.weight_norm(nn.Conv2d(4, 4, 1)))


@pytest.mark.parametrize("make", OWN)
@torch.no_grad()
def test_convolutions_that_are_more_than_that_are_called(make):
    conv = make()
    x, plus = (random(2, 4, *sides).contiguous(memory_format=torch.channels_last) for sides in ((5, 6), (5, 6)))
    torch.testing.assert_close(convolved(conv, x, plus, relu=True), (conv(x) + plus).relu())
    torch.testing.assert_close(add_output(plus.clone(), conv, x), plus + conv(x))


def test_a_sum_of_another_shape_or_type_is_new():
    total, x = torch.ones(2, 1), torch.ones(2, 3)
    assert add(total, x).tolist() == [[2.0] * 3] * 2 and total.tolist() == [[1.0], [1.0]]
    assert add(total.bfloat16(), x[:, :1]).dtype == torch.float32
    assert add(total, total.clone()) is total
