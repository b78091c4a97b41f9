"""Batch norm with channels innermost: PyTorch's numbers, and nearer to the exact ones."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stereohg.nn.batch_norm import ROWS, BatchNorm2d, BatchNorm3d
from stereohg.nn.layers import ConvNormAct

LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
OURS = {2: BatchNorm2d, 3: BatchNorm3d}
THEIRS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def values(shape: tuple[int, ...], dtype=torch.float32) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)
    return (x + 0.7).to(dtype).contiguous(memory_format=LAYOUT[len(shape) - 2])


def results(norm: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.detach().requires_grad_()
    y = norm(x)
    shares = torch.arange(y.numel(), dtype=y.dtype).sin().view_as(y)
    gradients = torch.autograd.grad((y * shares).sum(), (x, *norm.parameters()))
    return [y, *gradients, *norm.buffers()]


@settings(max_examples=20)
@given(
    dim=st.sampled_from([2, 3]),
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    side=st.integers(2, 11),
    momentum=st.sampled_from([0.1, None]),
)
def test_equals_torch(dim, batch, channels, side, momentum):
    ours, theirs = (kind[dim](channels, momentum=momentum) for kind in (OURS, THEIRS))
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.3)
    x = values((batch, channels, *[side] * dim))
    for step in (x, 2 * x):
        for a, b in zip(results(ours, step), results(theirs.double(), step.double()), strict=True):
            torch.testing.assert_close(a.double(), b.double(), atol=2e-5, rtol=2e-5)


def test_by_hand():
    x = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2).expand(1, 2, 1, 2).contiguous(memory_format=torch.channels_last)
    norm = BatchNorm2d(2, eps=0.0)
    assert norm(x).flatten().tolist() == [-1, 1, -1, 1]  # mean 2, deviation 1
    assert norm.running_mean.tolist() == pytest.approx([0.2, 0.2])
    assert norm.running_var.tolist() == pytest.approx([0.9 + 0.2] * 2)  # the unbiased variance is 2


def test_sums_are_exact():
    """More rows than are added up at once, and some left over."""
    x = values((1, 8, 16 * ROWS + 1, 9))
    ours, theirs = BatchNorm2d(8), nn.BatchNorm2d(8)
    exact = results(copy.deepcopy(theirs).double(), x.double())[:3]
    errors = [
        max(((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip(found, exact, strict=True))
        for found in (results(norm, x)[:3] for norm in (ours, theirs))  # the answer, gradients of x and of the weight
    ]
    assert errors[0] < 1e-6
    assert errors[0] < errors[1]


def test_one_value_and_evaluation_are_torchs():
    norm = BatchNorm3d(2)
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(torch.ones(1, 2, 1, 1, 1))
    assert norm.eval()(torch.ones(1, 2, 1, 1, 1)).flatten().tolist() == pytest.approx([1, 1], abs=1e-4)


def test_layers_use_it():
    assert isinstance(ConvNormAct(2, 3).norm, BatchNorm2d)
    assert isinstance(ConvNormAct(2, 3, dim=3).norm, BatchNorm3d)


def test_without_weights_and_of_wrong_size():
    x = values((2, 3, 5, 5)).requires_grad_()
    ours, theirs = (kind[2](3, affine=False) for kind in (OURS, THEIRS))
    gradients = [torch.autograd.grad(norm(x).pow(3).sum(), x)[0] for norm in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="expected 4D input"):
        BatchNorm2d(3)(values((2, 3, 4, 5, 5)))


@pytest.mark.parametrize("learns", ["x", "weight", "both"])
def test_gradients_have_gradients(learns):
    """As of PyTorch's layer, for penalties on a gradient."""
    x = values((2, 3, 5, 6)).requires_grad_(learns != "weight")
    answers = []
    for norm in (BatchNorm2d(3), nn.BatchNorm2d(3)):
        norm.requires_grad_(learns != "x")
        inputs = [t for t in (x, norm.weight) if t.requires_grad]
        gradients = torch.autograd.grad(norm(x).pow(3).sum(), inputs, create_graph=True)
        answers.append((*gradients, *torch.autograd.grad(sum(t.square().sum() for t in gradients), inputs)))
    for own, plain in zip(*answers, strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-3, atol=1e-4 * plain.abs().max().item())
