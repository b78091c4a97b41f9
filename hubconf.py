"""``torch.hub.load("OWNER/stereohg", "load_model", "hgstereo_s")``."""

from stereohg import create_model, load_model, predict  # noqa: F401

dependencies = ["torch", "numpy", "cv2", "PIL", "safetensors", "yaml"]
