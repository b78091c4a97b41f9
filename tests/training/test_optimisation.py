"""What moves weights, by hand on one number."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from stereohg.models.inference import in_evaluation
from stereohg.training.config import LoopConfig, OptimiserConfig
from stereohg.training.optimisation import (
    OPTIMISERS,
    Buffers,
    freeze,
    make_average,
    make_optimiser,
    training_mode,
)

LATE = ("0.weight", "0.bias", "1.weight", "1.bias")


class Number(nn.Module):
    def __init__(self, value: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("mean", torch.tensor([10 * value]))


def test_the_average_by_hand():
    """0.9 of the average and 0.1 of the weight, from the first weight on; buffers, too."""
    network = Number(1.0)
    average = make_average(network, 0.9)
    average.update_parameters(network)
    for value, expected in ((2.0, 1.1), (3.0, 0.9 * 1.1 + 0.3)):
        network.weight.data.fill_(value)
        network.mean.fill_(10 * value)
        average.update_parameters(network)
        assert average.module.weight.item() == pytest.approx(expected)
        assert average.module.mean.item() == pytest.approx(10 * expected)
    assert network.weight.item() == 3


def test_no_average_unless_asked_for():
    assert make_average(Number(1.0), None) is None
    for decay in (0.0, 1.0, -0.5):
        with pytest.raises(ValueError, match=f"ema is {decay}; the decay lies between 0 and 1"):
            make_average(Number(1.0), decay)


@pytest.mark.parametrize(
    "name, after",
    [
        ("sgd", 2 - 0.1 * (3 + 0.5 * 2)),
        ("adam", 2 - 0.1),  # the first step is of the rate's length
        ("adamw", 2 * (1 - 0.1 * 0.5) - 0.1),
        ("rmsprop", 2 - 0.1 / 0.01**0.5),  # of the square, a hundredth is remembered
    ],
)
def test_the_first_step_of_each_optimiser_by_hand(name, after):
    """Weight 2, gradient 3, rate 0.1, decay 0.5."""
    network = Number(2.0)
    optimiser = make_optimiser(network, OptimiserConfig(name, 0.1, weight_decay=0.5))
    network.weight.grad = torch.tensor([3.0])
    optimiser.step()
    assert network.weight.item() == pytest.approx(after, rel=1e-5)


def test_every_optimiser_has_the_published_defaults():
    assert set(OPTIMISERS) == {"adam", "adamw", "rmsprop", "sgd"}
    (group,) = make_optimiser(Number(1.0), OptimiserConfig()).param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 0)


def blocks() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv3d(4, 4, 3), nn.BatchNorm3d(4), nn.Dropout())


def test_frozen_batch_norms_stay_in_evaluation():
    network = blocks()
    training_mode(network, LoopConfig(freeze_batch_norm=True))
    with in_evaluation(network):
        assert not any(module.training for module in network)
    assert [module.training for module in network] == [True, False, True, False, True]
    training_mode(network, LoopConfig())
    assert all(module.training for module in network)


def test_buffers_come_back():
    network = Number(1.0)
    buffers = Buffers(network)
    for value in (2.0, 3.0):
        buffers.keep()
        kept, network.mean[:] = network.mean.item(), value
    buffers.restore()
    assert kept == network.mean.item() == 2


def parts() -> nn.ModuleDict:
    block = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    return nn.ModuleDict({"early": block, "late": deepcopy(block), "later": deepcopy(block)})


def test_parts_learn_and_the_others_stay():
    """ "late" is not the beginning of "later" here."""
    network, config = parts(), LoopConfig(trainable=["late", "early.0"])
    freeze(network, config.trainable)
    learning = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert learning == ["early.0.weight", "early.0.bias", *(f"late.{part}" for part in LATE)]
    training_mode(network, config)
    assert [name for name, module in network.named_modules() if not module.training] == ["early.1", "later.1"]


def test_without_a_choice_all_learns():
    network = parts()
    freeze(network, [])
    training_mode(network, LoopConfig())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


def test_unknown_parts_are_told_with_the_known():
    with pytest.raises(
        ValueError, match="trainable has 'lat', and the network has no such part; it has early, late, later"
    ):
        freeze(parts(), ["lat"])


def test_parts_without_weights_are_nothing_to_train():
    with pytest.raises(ValueError, match=r"trainable is \['0'\], in which there is nothing to learn"):
        freeze(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1)), ["0"])
