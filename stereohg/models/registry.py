"""The networks by name."""

from collections.abc import Callable

from torch import nn

from stereohg.models.gwcnet import gwcnet_g, gwcnet_gc
from stereohg.models.hgstereo import hgstereo_s
from stereohg.models.keypoint import KeypointHourglass
from stereohg.models.psmnet import PSMNet, PSMNetBasic

MODELS: dict[str, Callable[..., nn.Module]] = {
    "gwcnet_g": gwcnet_g,
    "gwcnet_gc": gwcnet_gc,
    "hgstereo_s": hgstereo_s,
    "keypoint_hourglass": KeypointHourglass,
    "psmnet": PSMNet,
    "psmnet_basic": PSMNetBasic,
}


def list_models() -> list[str]:
    """The names that ``create_model`` takes, sorted."""
    return sorted(MODELS)


def create_model(name: str, **arguments) -> nn.Module:
    """A network with random weights, initialised as its paper's authors do; ``arguments`` go to its constructor.

    Raises:
        ValueError: no network of that name, or an argument out of range.
        TypeError: an argument that the network does not have.
    """
    if name not in MODELS:
        raise ValueError(f"there is no network named {name!r}; choose one of {', '.join(list_models())}")
    model = MODELS[name](**arguments)
    model.architecture, model.arguments = name, arguments
    return model
