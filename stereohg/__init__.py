"""Stereo depth by stacked hourglasses: PSMNet, GwcNet, hgstereo; and the keypoint hourglass on the same core."""

from stereohg.models.registry import create_model, list_models

__all__ = ["create_model", "list_models"]
