"""The networks, one file a paper; ``create_model`` builds them by name, and ``MODELS[name] = Network`` adds one."""

from stereohg.models.gwcnet import GwcNet
from stereohg.models.hgstereo import HGStereo
from stereohg.models.keypoint import KeypointHourglass
from stereohg.models.psmnet import PSMNet, PSMNetBasic
from stereohg.models.registry import MODELS, create_model, list_models
from stereohg.models.stereo import StereoNetwork

__all__ = [
    "MODELS",
    "GwcNet",
    "HGStereo",
    "KeypointHourglass",
    "PSMNet",
    "PSMNetBasic",
    "StereoNetwork",
    "create_model",
    "list_models",
]
