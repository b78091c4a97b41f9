"""Networks made ready for inference: the same answers, sooner and in less memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import nn

from stereohg.nn import Bottleneck, ConvNormAct


def ready_for_inference(network: nn.Module) -> nn.Module:
    """A copy in ``eval()``, its batch norms folded into convolutions; the network itself stays as it is."""
    network = deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, ConvNormAct | Bottleneck):
            module.fold()
    return with_channels_last(network)


def with_channels_last(network: nn.Module) -> nn.Module:
    """Convolution weights with their channels innermost, which CPUs and tensor cores read faster."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.to(memory_format=torch.channels_last_3d)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
    return network


@contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """The network in ``eval()``, and each of its parts afterwards in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
