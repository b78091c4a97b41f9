"""Features that are recomputed in the backward pass: the same step, in less memory."""

import copy

import pytest
import torch

from stereohg import create_model
from stereohg.models.inference import with_channels_last

SIZES = {"psmnet": 64, "gwcnet_gc": 32, "hgstereo_s": 32}


def step(network, precision: torch.dtype):
    left, right = torch.randn(2, 2, 3, SIZES[network.name], 64, generator=torch.Generator().manual_seed(0))
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    enabled = precision != torch.float32
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), torch.autocast("cpu", precision, enabled=enabled):
        answers = network(left, right)
    sum(answer.float().mean() for answer in answers).backward()
    return [*answers, *network.buffers()], [p.grad for p in network.parameters()], kept


@pytest.mark.parametrize("layout", [lambda network: network, with_channels_last], ids=["plain", "channels_last"])
@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, torch.float32) for name in SIZES), ("hgstereo_s", torch.bfloat16)],  # which is slow where it is emulated
)
def test_same_step(name, layout, precision):
    network = layout(create_model(name, max_disp=16)).train()
    network.name = name
    other = copy.deepcopy(network)
    other.recomputes_features = True
    values, gradients, kept = step(network, precision)
    other_values, other_gradients, other_kept = step(other, precision)
    assert all(torch.equal(a, b) for a, b in zip(values, other_values, strict=True))
    for a, b in zip(gradients, other_gradients, strict=True):
        if precision == torch.float32:
            assert torch.equal(a, b)
        else:  # autocast's copies of the weights are made anew, and add up the two images' gradients elsewhere
            assert (a - b).norm() <= 0.02 * a.norm() + 1e-6
    assert other_kept < 0.8 * kept


def test_nothing_is_recomputed_without_gradients(monkeypatch):
    network = create_model("hgstereo_s", max_disp=16)
    network.recomputes_features = True
    monkeypatch.setattr("stereohg.models.stereo.recomputed", lambda *_: pytest.fail("in evaluation"))
    left, right = torch.randn(2, 1, 3, 32, 64)
    assert network.eval()(left, right)[0].shape == (1, 32, 64)
