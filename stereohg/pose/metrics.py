"""How far keypoints are from the truth: pure functions of arrays, for any number of people.

Shapes: N people, K keypoints; predictions and truths (N,K,2) pixels, labelled (N,K) bool, units (N,) pixels, distances
(N,K) in units, NaN where there is no truth. Only labelled keypoints count, hidden ones among them.
"""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stereohg.data.people.skeletons import COCO as COCO_SKELETON
from stereohg.data.people.skeletons import Skeleton
from stereohg.files import FilePath, read_json
from stereohg.pose.decoding import decode

CURVE = np.arange(51) / 100
"""Thresholds of the curve, 0 to 0.5 (MPII)."""
ACCURACY_KEYPOINTS = (0, 1, 2, 3, 4, 5, 10, 11, 14, 15)
"""Of MPII's 16, those over which pytorch-pose takes its in-training accuracy."""
AP_NAMES = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
"""COCO's ten figures, in pycocotools' order."""


# --- PCK ------------------------------------------------------------------------------------------------------------


def distances(prediction: np.ndarray, truth: np.ndarray, labelled: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(N,K), in each person's unit; NaN where nothing is labelled, or where the person has no unit (NaN).

    PCK takes a person's size or torso for the unit, PCKh 0.6 times the diagonal of the head's box.

    Raises:
        ValueError: shapes differ, a unit is not positive, or a labelled keypoint is not finite.
    """
    prediction, truth = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    labelled, unit = np.asarray(labelled, bool), np.asarray(unit, np.float64)
    if not (prediction.shape == truth.shape == (*labelled.shape, 2) and unit.shape == labelled.shape[:1]):
        raise ValueError(
            f"prediction is {prediction.shape}, truth {truth.shape}, labelled {labelled.shape} and unit {unit.shape}; "
            "(N,K,2), (N,K,2), (N,K) and (N,) are needed"
        )
    if (unit <= 0).any():
        raise ValueError(
            f"person {np.flatnonzero(unit <= 0)[0]} has a unit of {unit[unit <= 0][0]} pixels, not positive"
        )
    for name, values in (("prediction", prediction), ("truth", truth)):
        lost = np.argwhere(labelled & ~np.isfinite(values).all(2))
        if len(lost):
            raise ValueError(f"{name} is not finite at keypoint {lost[0][1]} of person {lost[0][0]}, which is labelled")
    return np.where(labelled, np.linalg.norm(prediction - truth, axis=2), np.nan) / unit[:, None]


def pck(distance: np.ndarray, threshold: float) -> np.ndarray:
    """(K,), the percentage of each keypoint's distances that are at most the threshold; NaN where there is none."""
    known = np.isfinite(distance)
    with np.errstate(invalid="ignore"):
        return 100 * ((distance <= threshold) & known).sum(0) / known.sum(0)


def pck_summary(distance: np.ndarray, skeleton: Skeleton, threshold: float) -> dict:
    """What a table shows of the distances.

    Returns:
        ``keypoints``, by name, and ``groups``, by title, in percent, a group being the mean of its keypoints;
        ``mean``, over the keypoints, each counting the same, as papers report it; ``pooled``, over all their
        instances; ``auc``, the area under the mean's curve from 0 to 0.5, in percent of the whole; ``instances``, how
        many labelled keypoints there were. What the skeleton leaves unscored (MPII's pelvis and thorax) is in
        ``keypoints`` alone; so is what is nowhere labelled, as None.

    Raises:
        ValueError: no distance is known.
    """
    scored = [index for index in range(len(skeleton)) if index not in skeleton.unscored]
    known = np.isfinite(distance)
    if not known[:, scored].any():
        raise ValueError("no keypoint is labelled, or nobody has a unit to measure with (PCKh needs head boxes)")
    each = pck(distance, threshold)
    present = [index for index in scored if known[:, index].any()]
    groups = {title: _mean(each[members]) for title, members in skeleton.columns()}
    return {
        "threshold": threshold,
        "keypoints": {name: _json(value) for name, value in zip(skeleton.keypoints, each, strict=True)},
        "groups": groups,
        "mean": float(each[present].mean()),
        "pooled": float(100 * (distance[:, scored][known[:, scored]] <= threshold).mean()),
        "auc": area_under_curve(pck_curve(distance[:, present])),
        "instances": int(known[:, scored].sum()),
    }


def pck_curve(distance: np.ndarray) -> np.ndarray:
    """(51,), the mean PCK over the keypoints at the thresholds 0, 0.01, ..., 0.5."""
    return np.array([pck(distance, threshold).mean() for threshold in CURVE])


def area_under_curve(curve: np.ndarray) -> float:
    """Of a curve over evenly spaced thresholds, by trapezoids; 100 is all."""
    return float((curve[1:] + curve[:-1]).mean() / 2)


def _mean(values: np.ndarray) -> float | None:
    return _json(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else None


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# --- in training ----------------------------------------------------------------------------------------------------


def heatmap_accuracy(
    prediction: Tensor, heatmaps: Tensor, keypoints: Sequence[int] | None = None, threshold: float = 0.5
) -> float:
    """pytorch-pose's accuracy in training, which is no PCKh: 0 to 1.

    The share of peaks less than ``threshold`` tenths of the heatmap's width from the true map's, which have whole
    cells; the mean over the keypoints that have one. True peaks in the first row or column do not count.

    Args:
        prediction: (B,K,h,w), of the last stack.
        heatmaps: (B,K,h,w), the truth.
        keypoints: that count; None is all. pytorch-pose takes ``ACCURACY_KEYPOINTS`` of MPII.
        threshold: of a tenth of the width.

    Returns:
        The accuracy; 0 where no keypoint has a true peak.
    """
    keypoints = list(range(heatmaps.shape[1]) if keypoints is None else keypoints)
    ours, _ = _whole_cells(prediction[:, keypoints])
    true, peaks = _whole_cells(heatmaps[:, keypoints])
    counts = (true > 0).all(2) & (peaks > 0)
    near = (ours - true).norm(dim=2) / (heatmaps.shape[3] / 10) < threshold
    shares = (near & counts).sum(0) / counts.sum(0).clamp(min=1)
    there = counts.any(0)
    return float(shares[there].mean()) if there.any() else 0.0


def _whole_cells(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    cells, peaks = decode(heatmaps, "argmax")
    return torch.where(peaks[..., None] > 0, cells, -1), peaks


# --- COCO -----------------------------------------------------------------------------------------------------------


def coco_tools() -> tuple[type, type]:
    """The two classes of pycocotools.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("OKS AP needs pycocotools: pip install 'stereohg[pose]'") from error
    return COCO, COCOeval


def oks_truth(annotations: FilePath, category: int) -> dict:
    """The annotations of a category as pycocotools wants them: whole, and counted from one.

    What one's own JSON may lack is filled in: no crowd, and as many keypoints as are labelled. What has no box or not
    COCO's 17 keypoints cannot be measured, and is left out.

    Raises:
        ValueError: an annotation has no area, by which OKS is measured.
    """
    document = read_json(annotations)
    truth: list[dict] = []
    for annotation in document["annotations"]:
        keypoints = annotation.get("keypoints") or ()
        is_whole = len(keypoints) == 3 * len(COCO_SKELETON) and annotation.get("bbox")
        if annotation.get("category_id", category) != category or not is_whole:
            continue
        if annotation.get("area") is None:
            raise ValueError(
                f"{annotations}: annotation {annotation['id']} has no area, by which OKS is measured; add it in "
                "square pixels (of a person about half of the box's)"
            )
        filled = {
            "id": len(truth) + 1,  # of 0 it would say that nobody was found
            "category_id": category,
            "iscrowd": annotation.get("iscrowd") or 0,
            "num_keypoints": annotation.get("num_keypoints", sum(flag > 0 for flag in keypoints[2::3])),
        }
        truth.append(annotation | filled)
    return {"images": document["images"], "annotations": truth, "categories": [{"id": category}]}


def oks_average_precision(annotations: FilePath, results: Sequence[dict]) -> dict[str, float]:
    """COCO's average precision and recall by object keypoint similarity, through pycocotools.

    Args:
        annotations: the ground truth, in COCO's form.
        results: in COCO's form: image_id, category_id, keypoints (x, y, score of each), score. The pictures that they
            are of are those that are evaluated, and the category of the first is.

    Returns:
        By the names of ``AP_NAMES``, 0 to 1, and -1 where there is nothing to measure, as pycocotools has it.

    Raises:
        ModuleNotFoundError: pycocotools is not installed.
        ValueError: there are no results, they are of pictures that the ground truth does not have, or of other
            keypoints than COCO's 17, for which there are no constants; or an annotation has no area.
    """
    coco, coco_evaluation = coco_tools()
    if not results:
        raise ValueError("there are no results; average precision needs one at least")
    category = results[0]["category_id"]
    document = oks_truth(annotations, category)
    pictures = sorted({result["image_id"] for result in results})
    foreign = sorted(set(pictures) - {picture["id"] for picture in document["images"]})
    if foreign:
        raise ValueError(f"{annotations} has no picture {foreign[0]}, of which there are results")
    counts = {len(result["keypoints"]) for result in results}
    if counts != {3 * len(COCO_SKELETON)}:
        raise ValueError(f"results have {max(counts) // 3} keypoints, and OKS constants of COCO's 17 alone; take PCK")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = coco()
        truth.dataset = document
        truth.createIndex()
        evaluation = coco_evaluation(truth, truth.loadRes([dict(result) for result in results]), "keypoints")
        evaluation.params.imgIds, evaluation.params.catIds = pictures, [category]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(value) for name, value in zip(AP_NAMES, evaluation.stats, strict=True)}
