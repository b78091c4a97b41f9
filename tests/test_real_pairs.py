"""The bundled network on real photographs; skipped where the pairs are not at hand.

STEREOHG_DATA names a folder with ``middlebury/trainingQ/Motorcycle``, ``kitti/testing`` and ``sceneflow`` in their
official layouts.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stereohg import predict
from stereohg.files import read_disparity
from stereohg.metrics import disparity_metrics

DATA = Path(os.environ.get("STEREOHG_DATA", Path(__file__).parents[2] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="set STEREOHG_DATA to the folder of real pairs")


def test_motorcycle():
    folder = DATA / "middlebury" / "trainingQ" / "Motorcycle"
    result = predict(folder / "im0.png", folder / "im1.png", left_right_check=True)
    truth, known = read_disparity(folder / "disp0GT.pfm")
    assert truth.shape == (497, 741) and result.warnings == ()
    metrics = disparity_metrics(result.values, truth, known)
    assert metrics["bad_3"] < 11 and metrics["epe"] < 2

    visible = np.asarray(Image.open(folder / "mask0nocc.png")) == 255
    wrong = np.abs(result.values - truth) > 3
    least_confident = result.confidence < np.quantile(result.confidence[known], 0.1)
    assert wrong[known & least_confident].mean() > 2 * wrong[known].mean()
    assert result.valid[known & visible].mean() > 0.8 > 0.4 > result.valid[known & ~visible].mean()


def test_motorcycle_swapped():
    folder = DATA / "middlebury" / "trainingQ" / "Motorcycle"
    with pytest.warns(UserWarning, match="look swapped"):
        predict(folder / "im1.png", folder / "im0.png", max_disp=80, scale=1.0)


def test_kitti():
    pair = [DATA / "kitti" / "testing" / f"image_{camera}" / "000151_10.png" for camera in (2, 3)]
    result = predict(*pair, max_disp=96, scale=1.0)
    assert result.values.shape == (375, 1242) and result.warnings == ()
    rows = np.median(result.values[200:], axis=1)  # the road comes nearer from the horizon downwards
    assert np.all(np.diff(rows[::25]) > 0)
    assert result.confidence.mean() > 0.8


def test_flying_things():
    scene = DATA / "sceneflow"
    pair = [scene / "frames_cleanpass" / "TRAIN" / "A" / "0032" / side / "0006.png" for side in ("left", "right")]
    truth, known = read_disparity(scene / "disparity" / "TRAIN" / "A" / "0032" / "left" / "0006.pfm")
    metrics = disparity_metrics(predict(*pair).values, truth, known & (truth < 192))
    assert metrics["bad_3"] < 40
