"""How far PSMNet's answers here lie from the papers' own formulation and from float64, with weights as published.

On scikit-image's Motorcycle, with the errors against its truth, and on further ``--pairs``. In bfloat16 where the
processor multiplies in it; elsewhere that takes hours.

    python -m benchmarks.answers pretrained_model_KITTI2015.tar --pairs left.png right.png
"""

import argparse
import json
from pathlib import Path

from benchmarks.environment import alone, environment
from benchmarks.networks import FORMS, LEVELS, OURS_HALF, PUBLISHED, own_answer, published_answer, published_weights
from stereohg import load_model
from stereohg.data.motorcycle import motorcycle
from stereohg.data.preprocess import Padding, as_rgb, to_tensor
from stereohg.metrics import disparity_metrics
from stereohg.models.inference import ready_for_inference

RESULT = Path(__file__).parent / "results" / "answers.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="of PSMNet, as its authors published them")
    parser.add_argument("--pairs", type=Path, nargs="*", default=[], help="left and right pictures in turn")
    options = parser.parse_args()
    results = {"Motorcycle": alone(answers, options.weights)}
    for left, right in zip(options.pairs[::2], options.pairs[1::2], strict=True):
        results[left.name] = alone(answers, options.weights, left, right)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")


def answers(file: Path, left: Path | None = None, right: Path | None = None) -> dict[str, dict[str, float]]:
    """Differences in pixels on a real pair, and errors where the truth is known: on the Motorcycle, without a pair."""
    *pictures, truth, known = motorcycle() if left is None else (left, right, None, None)
    network = load_model(file).eval()
    network.max_disp = LEVELS
    images = [to_tensor(as_rgb(picture))[None] for picture in pictures]
    padding = Padding(*images[0].shape[-2:], network.multiple, network.padding)
    left, right = (padding.pad(image) for image in images)
    weights = published_weights(network)
    ready = ready_for_inference(network)
    forms = {PUBLISHED: published_answer("psmnet", weights, left, right, network.align_corners)}
    for form in FORMS[1:]:
        forms[form] = own_answer(ready, left, right, form == OURS_HALF)
    forms["float64"] = own_answer(network.double(), left.double(), right.double(), False)
    found = {form: padding.unpad(answer.double()) for form, answer in forms.items()}
    result = {}
    for form, answer in found.items():
        result[form] = {}
        for other in ("float64", PUBLISHED):
            apart = (answer - found[other]).abs()
            result[form][f"mean_difference_from_{other}"] = float(f"{apart.mean():.2e}")
            result[form][f"largest_difference_from_{other}"] = float(f"{apart.max():.2e}")
        if truth is not None:
            errors = disparity_metrics(answer[0].float().numpy(), truth, known)
            result[form] |= {"epe": round(errors["epe"], 4), "d1": round(errors["d1"], 3)}
    return result


if __name__ == "__main__":
    main()
