"""Stereo depth by stacked hourglasses: PSMNet, GwcNet and our own; and the keypoint hourglass on the same core."""

from stereohg.calibration.cameras import StereoCalibration
from stereohg.calibration.formats import read_calibration
from stereohg.disparity import Disparity
from stereohg.exporting import export
from stereohg.models.published import save_published
from stereohg.models.registry import create_model, list_models
from stereohg.models.weights import load_model, save_model
from stereohg.pose.keypoints import Keypoints
from stereohg.pose.prediction import KeypointPredictor, predict_keypoints
from stereohg.prediction import PairError, PairWarning, Predictor, predict
from stereohg.sharing import push_model
from stereohg.version import __version__

__all__ = [
    "Disparity",
    "KeypointPredictor",
    "Keypoints",
    "PairError",
    "PairWarning",
    "Predictor",
    "StereoCalibration",
    "__version__",
    "create_model",
    "export",
    "list_models",
    "load_model",
    "predict",
    "predict_keypoints",
    "push_model",
    "read_calibration",
    "save_model",
    "save_published",
]
