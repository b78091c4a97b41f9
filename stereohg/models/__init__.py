"""The networks, one file a paper; ``create_model`` builds them by name."""

from stereohg.models.gwcnet import GwcNet
from stereohg.models.hgstereo import HGStereo
from stereohg.models.keypoint import KeypointHourglass
from stereohg.models.psmnet import PSMNet, PSMNetBasic
from stereohg.models.registry import create_model, list_models

__all__ = ["GwcNet", "HGStereo", "KeypointHourglass", "PSMNet", "PSMNetBasic", "create_model", "list_models"]
