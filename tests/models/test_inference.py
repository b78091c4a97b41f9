"""Networks made ready for inference: the same numbers, and the network itself as it was."""

import copy

import pytest
import torch
from torch import nn

from stereohg import create_model
from stereohg.models.inference import ready_for_inference, with_channels_last
from stereohg.nn import Bottleneck, ConvNormAct


def learned(network: nn.Module) -> nn.Module:
    """In float64, with running statistics and scales as after training; fresh ones would hide a fault."""
    torch.manual_seed(0)
    for layer in network.double().modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network.eval()


def test_channels_last_changes_no_number():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv3d(3, 4, 3))
    before = [parameter.clone() for parameter in network.parameters()]
    after = list(with_channels_last(network).parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[2].weight.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("stride, transposed", [(1, False), (2, False), (2, True)])
def test_folding_a_batch_norm_changes_no_number(dim, stride, transposed):
    layer = learned(ConvNormAct(3, 4, stride=stride, dim=dim, transposed=transposed))
    x = torch.randn(2, 3, *[6] * dim, dtype=torch.float64)
    expected = layer(x)
    layer.fold()
    assert isinstance(layer.norm, nn.Identity) and layer.conv.bias is not None
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_other_norms_stay(norm):
    layer = ConvNormAct(3, 32, norm=norm)
    before = layer.norm
    layer.fold()
    assert layer.norm is before and layer.conv.bias is None


def test_a_bottleneck_folds_what_stands_behind_a_convolution():
    block = learned(Bottleneck(8, 4))
    x = torch.randn(1, 8, 5, 5, dtype=torch.float64)
    expected = block(x.clone())
    block.fold()
    assert [isinstance(norm, nn.Identity) for norm in (block.norm1, block.norm2, block.norm3)] == [False, True, True]
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("name", ["psmnet", "psmnet_basic", "gwcnet_g", "gwcnet_gc", "hgstereo_s"])
def test_a_network_answers_the_same_and_stays_as_it_is(name):
    network = learned(create_model(name, max_disp=32)).train()
    before = copy.deepcopy(network.state_dict())
    ready = ready_for_inference(network)
    assert network.training and not ready.training and ready.max_disp == 32
    left, right = torch.randn(2, 1, 3, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        difference = ready(left, right)[-1] - network.eval()(left, right)[-1]
    assert difference.abs().max() < 1e-9
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
