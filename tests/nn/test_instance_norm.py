"""Instance norm against PyTorch's own."""

import pytest
import torch
from torch import nn

from stereohg.nn.instance_norm import InstanceNorm2d


def layers(channels: int) -> tuple[InstanceNorm2d, nn.InstanceNorm2d]:
    ours, plain = (make(channels, affine=True) for make in (InstanceNorm2d, nn.InstanceNorm2d))
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.normal_()
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(1, 5, 7, 9), (3, 24, 32, 40)])
def test_values_and_layout(shape, layout):
    ours, plain = layers(shape[1])
    x = (torch.randn(shape) * 3 + 2).contiguous(memory_format=layout)
    with torch.no_grad():
        y = ours(x)
    torch.testing.assert_close(y, plain(x), atol=2e-5, rtol=1e-5)
    assert y.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("inplace", [False, True])
def test_bfloat16_has_the_precise_statistics(inplace):
    ours, plain = layers(24)
    ours.inplace = inplace
    x = (torch.randn(2, 24, 32, 40) * 3 + 2).bfloat16().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected, y = plain(x.float()), ours(x)
    assert y.dtype == torch.bfloat16 and (y is x) == inplace and y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.float(), expected, atol=2**-8, rtol=2**-8)  # one rounding, at the end


def test_running_statistics_are_pytorchs():
    ours, plain = (make(3, affine=True, track_running_stats=True) for make in (InstanceNorm2d, nn.InstanceNorm2d))
    x = (torch.randn(2, 3, 8, 9) + 2).contiguous(memory_format=torch.channels_last)
    for norm in (ours, plain):
        norm(x)
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    assert ours.running_mean.min() > 0.1
    torch.testing.assert_close(ours.eval()(x), plain.eval()(x))


def test_by_hand():
    ours = InstanceNorm2d(2, eps=1e-9, affine=True)
    x = torch.tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]]).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert ours(x).flatten().tolist() == pytest.approx([-1, 1, -1, 1])


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (3, 24, 32, 40)])
def test_gradients_are_pytorchs(shape):
    ours, plain = layers(shape[1])
    factors = torch.randn(shape)
    gradients = []
    for layer in (ours, plain):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)
        (layer(x.requires_grad_()) * factors).square().sum().backward()
        gradients.append((x.grad, layer.weight.grad, layer.bias.grad))
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_in_place_in_inference_alone():
    whole = InstanceNorm2d(4, affine=True)
    layer = InstanceNorm2d(4, affine=True, inplace=True)
    x = torch.randn(2, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    kept = x.clone(memory_format=torch.preserve_format)
    assert torch.equal(layer(x), whole(x))
    assert torch.equal(x, kept)
    with torch.no_grad():
        assert torch.equal(layer(x), whole(kept))
        assert torch.equal(x, whole(kept))


@pytest.mark.parametrize("learns", [False, True])
def test_the_quick_way_is_taken(monkeypatch, learns):
    ours, plain = layers(4)
    x = torch.randn(2, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(nn.InstanceNorm2d, "forward", lambda *_: pytest.fail("PyTorch's way was taken"))
    with torch.set_grad_enabled(learns):
        assert ours(x).is_contiguous(memory_format=torch.channels_last)


def test_a_trace_takes_any_size():
    """Channels innermost, which the quick way asks for; a trace that asked would hold for one height alone."""
    layer = InstanceNorm2d(4, affine=True).eval().requires_grad_(False)
    low, high = (torch.randn(1, 4, rows, 6).to(memory_format=torch.channels_last) for rows in (8, 12))
    program = torch.export.export(layer, (low,), dynamic_shapes=({2: torch.export.Dim("rows", min=2)},))
    torch.testing.assert_close(program.module()(high), layer(high))
