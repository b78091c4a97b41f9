"""How far the bundled network can be trusted: its confidence, its left-right check, and worse cameras.

On scikit-image's Motorcycle, on rooms that no training has seen, and on Middlebury v3's pairs where their folder is
given, which also say what is occluded. The Motorcycle is spoilt as bad cameras would, beside StereoSGBM.

    python -m benchmarks.trust [MIDDLEBURY]
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.environment import environment
from stereohg import Predictor
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.data.registry import create_dataset
from stereohg.data.synthetic import SyntheticMix
from stereohg.metrics import disparity_metrics, sparsification_area
from stereohg.sgbm import sgbm_disparity

UNSEEN_SEED, SCENES = 987654321, 12
LEVELS = 128
RESULT = Path(__file__).parent / "results" / "trust.json"

Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def main(root: Path | None = None) -> None:
    predictor = Predictor("hgstereo_s", "cpu", "float32")
    results = {"confidence": confidences(predictor, root), "worse cameras": worse_cameras(predictor)}
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def confidences(predictor: Predictor, root: Path | None) -> dict[str, dict[str, float]]:
    left, right, truth, known = motorcycle()
    results = {"Motorcycle of scikit-image": mean([judge(predictor, left, right, truth, known)])}
    rooms = SyntheticMix(256, 512, UNSEEN_SEED, 0.9 * LEVELS)
    results[f"{SCENES} unseen scenes"] = mean(
        judge(predictor, scene.left, scene.right, scene.disparity, scene.disparity < LEVELS, ~scene.occluded)
        for scene in (rooms[index] for index in range(SCENES))
    )
    if root is not None:
        pairs = create_dataset("middlebury", root)
        for sample in (pairs.read(index) for index in range(len(pairs))):
            pair = sample.left, sample.right, sample.disparity, sample.valid, sample.visible
            results[f"Middlebury v3, {sample.name}"] = mean([judge(predictor, *pair)])
    return results


def judge(predictor: Predictor, left, right, truth, known, visible=None) -> dict[str, float]:
    result = predictor(left, right, check=False, left_right_check=True)
    judged = {
        "bad_3": disparity_metrics(result.values, truth, known)["bad_3"],
        "sparsification_area": sparsification_area(result.values, truth, known, result.confidence),
    }
    if visible is not None:
        judged["occluded_marked_percent"] = 100 * (~result.valid)[known & ~visible].mean()
        judged["visible_kept_percent"] = 100 * result.valid[known & visible].mean()
    return judged


def mean(judged: Iterable[dict[str, float]]) -> dict[str, float]:
    judged = list(judged)
    return {key: round(float(np.mean([own[key] for own in judged])), 3) for key in judged[0]}


def worse_cameras(predictor: Predictor) -> dict[str, dict[str, float]]:
    """Bad-3 over all pixels of the Motorcycle, and what was lost by the spoiling."""
    left, right, truth, known = motorcycle()
    results: dict[str, dict[str, float]] = {}
    for name, spoil in SPOILT.items():
        pair = spoil(left, right)
        answers = {
            "hgstereo_s": predictor(*pair, check=False).values,
            "StereoSGBM": sgbm_disparity(*pair, CALIBRATION.ndisp),
        }
        bad = {method: disparity_metrics(answer, truth, known)["bad_3"] for method, answer in answers.items()}
        results[name] = {f"{method}_bad_3": round(own, 2) for method, own in bad.items()}
        if "as it is" in results:
            lost = {method: own - results["as it is"][f"{method}_bad_3"] for method, own in bad.items()}
            results[name] |= {f"{method}_lost": round(own, 2) for method, own in lost.items()}
    return results


def _of_right(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda left, right: (left, _bytes(change(right.astype(np.float32))))


def _of_both(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda left, right: tuple(_bytes(change(picture.astype(np.float32))) for picture in (left, right))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _noise(picture: np.ndarray) -> np.ndarray:
    return picture + 8 * np.random.default_rng(int(picture.sum()) % 1000).standard_normal(picture.shape)


def _moved_down(picture: np.ndarray) -> np.ndarray:
    move = np.float32([[1, 0, 0], [0, 1, 1]])
    return cv2.warpAffine(picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


SPOILT: dict[str, Spoil] = {
    "as it is": lambda left, right: (left, right),
    "right picture one row lower": _of_right(_moved_down),
    "gamma 1.5 in the right picture": _of_right(lambda x: 255 * (x / 255) ** 1.5),
    "exposure 1.4 in the right picture": _of_right(lambda x: 1.4 * x),
    "blur of 1.5 px in the right picture": _of_right(lambda x: cv2.GaussianBlur(x, (0, 0), 1.5)),
    "noise of 8 levels in both": _of_both(_noise),
    "grey": _of_both(lambda x: np.repeat(x.mean(2, keepdims=True), 3, 2)),
}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
