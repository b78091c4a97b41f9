"""PCK, PCKh, the accuracy in training, and OKS: by hand."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.skeletons import MPII, Skeleton
from stereohg.pose.evaluation import check_measure
from stereohg.pose.metrics import (
    ACCURACY_KEYPOINTS,
    AP_NAMES,
    area_under_curve,
    distances,
    heatmap_accuracy,
    oks_average_precision,
    pck,
    pck_curve,
    pck_summary,
)
from tests import pose_trees as trees

# --- PCK ------------------------------------------------------------------------------------------------------------


def test_distances_by_hand():
    truth = np.array([[[10.0, 10], [20, 20]], [[5, 5], [np.nan, 0]]])
    prediction = truth + [[[3, 4], [0, 0]], [[0, -8], [1, 1]]]
    labelled = np.array([[True, True], [True, False]])
    found = distances(prediction, truth, labelled, [10, 16])
    np.testing.assert_array_equal(found, [[0.5, 0], [0.5, np.nan]])
    np.testing.assert_array_equal(pck(found, 0.5), [100, 100])  # what is just at the threshold counts
    np.testing.assert_array_equal(pck(found, 0.49), [0, 100])
    assert np.isnan(pck(found[1:], 0.5)[1])
    assert np.isnan(distances(prediction, truth, labelled, [10, np.nan])[1]).all()


def test_distance_errors():
    truth, labelled = np.zeros((2, 3, 2)), np.ones((2, 3), bool)
    with pytest.raises(ValueError, match=r"truth \(2, 3, 2\), labelled \(2, 2\)"):
        distances(truth, truth, labelled[:, :2], [1, 1])
    with pytest.raises(ValueError, match="person 1 has a unit of 0.0 pixels"):
        distances(truth, truth, labelled, [1, 0])
    wrong = truth.copy()
    wrong[1, 2] = np.nan
    with pytest.raises(ValueError, match="prediction is not finite at keypoint 2 of person 1"):
        distances(wrong, truth, labelled, [1, 1])


def test_pckh_by_hand():
    """Three people: the right ankle is near once of three, the left one of two; pelvis and thorax do not count."""
    found = np.zeros((3, 16))
    found[:, 0] = 0.4, 0.6, 2
    found[:, 5] = 0.5, 9, np.nan
    found[:, 6:8] = 7
    summary = pck_summary(found, MPII, 0.5)
    assert summary["keypoints"]["right_ankle"] == pytest.approx(100 / 3) and summary["keypoints"]["left_ankle"] == 50
    assert summary["keypoints"]["pelvis"] == 0 and "pelvis" not in summary["groups"]
    assert summary["groups"]["ankle"] == pytest.approx((100 / 3 + 50) / 2) and summary["groups"]["head"] == 100
    assert summary["mean"] == pytest.approx((12 * 100 + 100 / 3 + 50) / 14)
    assert summary["pooled"] == pytest.approx(100 * (36 + 2) / 41) and summary["instances"] == 41
    json.dumps(summary, allow_nan=False)


def test_curve_and_area():
    assert area_under_curve(np.full(51, 100.0)) == 100
    assert area_under_curve(np.linspace(0, 100, 51)) == pytest.approx(50)
    steps = pck_curve(np.array([[0.25, 0.0]]))  # one from 0.25 on, one always
    assert steps[[0, 24, 25, 50]].tolist() == [50, 50, 100, 100]
    assert pck_summary(np.zeros((1, 16)), MPII, 0.5)["auc"] == 100


def test_keypoints_nowhere_labelled_are_left_out():
    skeleton = Skeleton("s", ("a", "b"))
    summary = pck_summary(np.array([[0.1, np.nan]]), skeleton, 0.5)
    assert summary["keypoints"] == {"a": 100, "b": None} and summary["mean"] == 100 and summary["groups"]["b"] is None
    with pytest.raises(ValueError, match="no keypoint is labelled, or nobody has a unit"):
        pck_summary(np.full((2, 2), np.nan), skeleton, 0.5)


# --- in training ----------------------------------------------------------------------------------------------------


def maps(points: list[tuple[float, float]]) -> torch.Tensor:
    return torch.from_numpy(Targets(subpixel=False)(np.array(points), np.ones(len(points), bool), (64, 64))[0])[None]


def test_accuracy_in_training_by_hand():
    """A tenth of 64 cells, and half of it: 3.2 cells are the limit."""
    truth = maps([(10, 10), (20, 20), (30, 30), (0, 30)])
    answer = maps([(13, 10), (20, 24), (30, 30), (60, 60)])
    assert heatmap_accuracy(answer, truth) == pytest.approx(2 / 3)  # the last is in the first column
    assert heatmap_accuracy(answer, truth, keypoints=(0, 2)) == 1
    assert heatmap_accuracy(answer, truth, keypoints=(3,)) == 0
    truth[0, 2] = 0  # not there
    assert heatmap_accuracy(answer, truth) == 0.5
    wide = maps([(13, 40), (20, 20)])[..., :48, :], maps([(10, 40), (20, 20)])[..., :48, :]
    assert heatmap_accuracy(*wide) == 1  # of the width, not of the height: 3.2, and not 2.4
    assert heatmap_accuracy(maps([(12, 0), (20, 20)]), maps([(10, 0), (20, 26)])) == 0  # the first is in the first row
    lost = answer.clone()
    lost[0, 0] = -1  # nothing is found
    assert heatmap_accuracy(lost, truth) == 0
    two = torch.cat([answer, truth]), torch.cat([truth, truth])
    assert heatmap_accuracy(*two) == pytest.approx((1 + 0.5) / 2)
    assert heatmap_accuracy(answer, 0 * truth) == 0
    assert [MPII.keypoints[k].split("_")[-1] for k in ACCURACY_KEYPOINTS] == [
        *("ankle", "knee", "hip", "hip", "knee", "ankle", "wrist", "elbow", "elbow", "wrist")
    ]


# --- COCO -----------------------------------------------------------------------------------------------------------


def result(person: int, image: int, shift: float = 0.0) -> dict:
    keypoints = np.column_stack([trees.place(person, 17) + [shift, 0], np.ones(17)])
    return {"image_id": image, "category_id": 1, "keypoints": keypoints.ravel().tolist(), "score": 0.5}


def test_oks_by_hand(tmp_path):
    """exp(-d^2 / (2 area (2 sigma)^2)) over the keypoints, with COCO's sigmas and an area of 8000."""
    root = trees.coco(tmp_path)
    path = root / "annotations/person_keypoints_val2017.json"
    right = [result(1, 139), result(2, 285), result(3, 285)]
    figures = oks_average_precision(path, right)
    assert tuple(figures) == AP_NAMES and figures["AP"] == 1 and figures["AR"] == 1 and figures["AP_medium"] == 1
    assert figures["AP_large"] == -1
    sigmas = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
    oks = np.exp(-(8.0**2) / (2 * 8000 * (2 * np.delete(sigmas, 1)) ** 2)).mean()  # keypoint 1 is not labelled
    assert 0.7 < oks < 0.75
    near = oks_average_precision(path, [result(1, 139, 8)])
    expected = [5 / 10, 1, 0]  # of the thresholds 0.5, 0.55, ..., 0.95 five are passed
    assert [near[name] for name in ("AP", "AP50", "AP75")] == pytest.approx(expected)


def test_oks_of_a_json_of_ones_own(tmp_path):
    """It lacks what pycocotools wants, counts from zero, and has things of other categories in its pictures."""
    path = trees.coco(tmp_path) / "annotations/person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    document.pop("categories")
    for annotation in document["annotations"][:3]:
        annotation["id"] -= 1
        for key in ("num_keypoints", "iscrowd", "category_id"):
            annotation.pop(key)
    car = {"id": 7, "image_id": 139, "category_id": 3, "bbox": [0, 0, 9, 9]}
    hand = {**car, "id": 8, "category_id": 2, "keypoints": [1, 1, 2] * 3, "num_keypoints": 3, "area": 9, "iscrowd": 0}
    document["annotations"] += [car, hand]
    path.write_text(json.dumps(document))
    assert oks_average_precision(path, [result(1, 139), result(2, 285), result(3, 285)])["AP"] == 1
    document["annotations"][1].pop("area")
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="val2017.json: annotation 1 has no area, by which OKS is measured; add it"):
        check_measure("oks", CocoKeypoints(tmp_path))


def test_measures_that_a_set_cannot_have_are_told_at_once(tmp_path):
    dataset = CocoKeypoints(trees.coco(tmp_path))
    with pytest.raises(ValueError, match="there is no measure 'elbow' of PCK"):
        check_measure("elbow", dataset)
    dataset.skeleton = replace(dataset.skeleton, torso=None)
    with pytest.raises(ValueError, match="has no torso; take the measure 'person'"):
        check_measure("torso", dataset)


def test_oks_errors(tmp_path, monkeypatch):
    path = trees.coco(tmp_path) / "annotations/person_keypoints_val2017.json"
    with pytest.raises(ValueError, match="there are no results"):
        oks_average_precision(path, [])
    with pytest.raises(ValueError, match="has no picture 7, of which there are results"):
        oks_average_precision(path, [result(1, 7)])
    with pytest.raises(ValueError, match="results have 2 keypoints, and OKS constants of COCO's 17 alone; take PCK"):
        oks_average_precision(path, [result(1, 139) | {"keypoints": [1, 2, 1] * 2}])
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ModuleNotFoundError, match=r"OKS AP needs pycocotools: pip install 'stereohg\[pose\]'"):
        oks_average_precision(path, [result(1, 139)])


def test_scipy_is_told_by_name(tmp_path, monkeypatch):
    from stereohg.data.people.mpii import Mpii

    trees.mpii(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs scipy: pip install 'stereohg\[pose\]'"):
        Mpii(tmp_path)
