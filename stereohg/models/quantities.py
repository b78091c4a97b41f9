"""What a network costs, in numbers that do not depend on the machine: parameters, operations, memory."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from stereohg.memory import peak_memory
from stereohg.models.inference import ready_for_inference
from stereohg.models.registry import create_model
from stereohg.models.resizing import scaled
from stereohg.models.search import levels_for, next_multiple
from stereohg.models.stereo import StereoNetwork


@dataclass(frozen=True)
class Quantities:
    """``flop`` counts a multiply-add as two; ``peak_bytes`` is estimated, of inference on one pair in float32."""

    parameters: int
    flop: int
    peak_bytes: int


def quantities(name: str, height: int, width: int, max_disp: int, scale: float | None = None) -> Quantities:
    """Of the network of that name on pictures of that size, scaled and padded as ``predict`` does; nothing is computed.

    Networks for single pictures take the size alone. Without ``scale`` it is the network's own.
    """
    with torch.device("meta"):
        network = create_model(name)
        is_stereo = isinstance(network, StereoNetwork)
        if is_stereo:
            scale = network.scale if scale is None else scale
            height, width = scaled((height, width), scale)
            network.max_disp = levels_for(max_disp, scale)
        height, width = (next_multiple(n, network.multiple) for n in (height, width))
        images = [torch.empty(1, 3, height, width) for _ in range(1 + is_stereo)]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network = ready_for_inference(network)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*images)
    return Quantities(parameters, counter.get_total_flops(), peak_memory(lambda: network(*images)))
