"""How well a keypoint network does on a set, by the measure that papers report on it.

People are cropped by the set's own windows, so that no detector is part of the figures; those of COCO are the
annotated boxes, and figures with a detector's boxes are lower.

Shapes: N people, K keypoints; keypoints (N,K,2) pixels of the pictures, scores (N,K).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.crop import MARGIN
from stereohg.data.people.samples import KeypointDataset, KeypointSample, Person
from stereohg.data.people.skeletons import Skeleton
from stereohg.data.preprocess import as_rgb
from stereohg.pose.keypoints import Keypoints
from stereohg.pose.metrics import coco_tools, distances, oks_average_precision, oks_truth, pck_summary
from stereohg.pose.prediction import KeypointPredictor

THRESHOLDS = {"pckh": 0.5, "torso": 0.2, "person": 0.1}
"""PCK's measures and the thresholds that papers report, in units: 0.6 of the head box's diagonal (MPII), the distance
between the skeleton's two of the torso (LSP), the longer side of the person's box."""


@dataclass(frozen=True, eq=False)
class KeypointEvaluation:
    """What ``evaluate_keypoints`` returns.

    Attributes:
        people: as they were measured, in the set's order, each with its window.
        keypoints: (N,K,2) pixels.
        scores: (N,K).
        skeleton: of the set.
        skipped: why others were not, in words.
        places: of the people in the set.
    """

    people: list[Person]
    keypoints: np.ndarray
    scores: np.ndarray
    skeleton: Skeleton
    skipped: list[str]
    places: list[int]

    def pck(self, measure: str) -> dict:
        """``pck_summary`` at the measure's threshold, and how many people had no unit and do not count.

        Raises:
            ValueError: there is no such measure, the skeleton has no torso, or nobody has a unit.
        """
        unit = self._unit(measure)
        truth, labelled = (np.stack([getattr(p, name) for p in self.people]) for name in ("keypoints", "labelled"))
        summary = pck_summary(distances(self.keypoints, truth, labelled, unit), self.skeleton, THRESHOLDS[measure])
        return {"measure": measure, **summary, "people": len(self.people), "without_unit": int(np.isnan(unit).sum())}

    def oks(self, dataset: CocoKeypoints) -> dict:
        """COCO's ten figures on the pictures of these people."""
        return {"measure": "oks", **oks_average_precision(dataset.annotations, self.coco_results(dataset.category))}

    def coco_results(self, category: int = 1) -> list[dict]:
        """A result for each person, in the form of COCO's."""
        results = []
        for person, points, scores in zip(self.people, self.keypoints, self.scores, strict=True):
            window = person.window
            side = window.side / MARGIN
            box = np.array([[window.x + 0.5 - side / 2, window.y + 0.5 - side / 2, side, side]])
            (result,) = Keypoints(points[None], scores[None], box, self.skeleton).coco_results(person.image_id)
            results.append(result | {"category_id": category})
        return results

    def _unit(self, measure: str) -> np.ndarray:
        """(N,) pixels, NaN where the person has none."""
        if measure == "pckh":
            return np.array([person.head_size for person in self.people])
        if measure == "person":
            return np.array([person.window.side / MARGIN for person in self.people])
        ends = _torso(measure, self.skeleton)
        lengths = [float(np.linalg.norm(np.diff(p.keypoints[ends], axis=0))) for p in self.people]
        there = [p.labelled[ends].all() and length > 0 for p, length in zip(self.people, lengths, strict=True)]
        return np.where(there, lengths, np.nan)


def _torso(measure: str, skeleton: Skeleton) -> list[int]:
    if measure != "torso":
        raise ValueError(f"there is no measure {measure!r} of PCK; known are {', '.join(THRESHOLDS)}")
    if skeleton.torso is None:
        raise ValueError(f"skeleton {skeleton.name} has no torso; take the measure 'person'")
    return list(skeleton.torso)


def check_measure(measure: str, dataset: KeypointDataset) -> None:
    """Raises what ``pck`` and ``oks`` would raise of every prediction, before there is any.

    Raises:
        ModuleNotFoundError: what the measure needs is not installed.
        ValueError: there is no such measure, nobody in the set has its unit, or somebody has no area.
    """
    if measure == "oks":
        coco_tools()
        oks_truth(dataset.annotations, dataset.category)
    elif measure == "pckh" and not any(np.isfinite(person.head_size) for person in dataset.people):
        raise ValueError(
            "PCKh is measured in head boxes, and nobody has one: MPII's JSON wants detections_our_format.mat beside it"
        )
    elif measure not in ("pckh", "person"):
        _torso(measure, dataset.skeleton)


def evaluate_keypoints(
    predictor: KeypointPredictor,
    dataset: KeypointDataset,
    on_person: Callable[[], None] | None = None,
) -> KeypointEvaluation:
    """Predicts everyone in a set.

    Args:
        predictor: of the network.
        dataset: whose people are read as they are, without augmentation.
        on_person: called after each person, for progress.

    Raises:
        ValueError: the network's keypoints are not the set's, or nobody can be read.
    """
    return join([evaluate_share(predictor, dataset, range(len(dataset)), on_person)])


def join(shares: Sequence[KeypointEvaluation]) -> KeypointEvaluation:
    """The evaluation of all whom any of the shares has; ValueError where that is nobody."""
    people, skipped, places = (
        [own for share in shares for own in getattr(share, name)] for name in ("people", "skipped", "places")
    )
    if not people:
        raise ValueError(f"nobody of {len(skipped)} can be read: {skipped[0]}")
    order = np.argsort(places)  # that of equal scores decides which of two results AP takes first
    keypoints, scores = (
        np.concatenate([getattr(share, name) for share in shares])[order] for name in ("keypoints", "scores")
    )
    people, places = ([own[index] for index in order] for own in (people, places))
    return KeypointEvaluation(people, keypoints, scores, shares[0].skeleton, skipped, places)


def evaluate_share(
    predictor: KeypointPredictor,
    dataset: KeypointDataset,
    indices: Sequence[int],
    on_person: Callable[[], None] | None = None,
) -> KeypointEvaluation:
    """``evaluate_keypoints`` for some of the people, who may be none: what one process of several does."""
    learnt, measured = predictor.skeleton, dataset.skeleton
    if learnt.keypoints != measured.keypoints:
        raise ValueError(
            f"the network has the keypoints of {learnt.name} and the set those of {measured.name}; the network's are "
            f"{', '.join(learnt.keypoints)}, and the set's {', '.join(measured.keypoints)}"
        )
    count = len(dataset.skeleton)
    people, keypoints, scores = [], [np.zeros((0, count, 2), np.float32)], [np.zeros((0, count), np.float32)]
    tells = 0 in indices or not len(dataset)  # once, by whoever has the first person
    skipped = list(dataset.problems) if tells else []
    waiting: list[KeypointSample] = []
    places: list[int] = []

    def locate() -> None:
        windows = [sample.person.window for sample in waiting]
        points, peaks = predictor.locate([as_rgb(sample.image) for sample in waiting], windows)
        people.extend(sample.person for sample in waiting)
        keypoints.append(points)
        scores.append(peaks)
        waiting.clear()

    for index in indices:
        try:
            waiting.append(dataset.read(index))
            places.append(index)
        except (OSError, ValueError) as error:
            skipped.append(f"{dataset.people[index].name}: {error}")
        if len(waiting) == predictor.batch_size:
            locate()
        if on_person:
            on_person()
    if waiting:
        locate()
    keypoints, scores = np.concatenate(keypoints), np.concatenate(scores)
    return KeypointEvaluation(people, keypoints, scores, dataset.skeleton, skipped, places)
