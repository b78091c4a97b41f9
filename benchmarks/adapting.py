"""The bundled weights made one's own: what three recipes gain on pairs that they did not see.

"finetune" learns from three of six crops of Scene Flow's FlyingThings3D pair, where its folder is given, those of one
colour on a chessboard; on each of the others in turn it chooses the best weights, and is tried on the two that are
left, of which the means are told. It also learns from rendered pairs of a camera whose style no training had (grey of
weak contrast, vignette, noise), chooses by some of them, and is tried on others. "adapt" learns from the same without
ground truth; "selftrain" learns what the network answers itself to these, before or after "adapt". Nothing is chosen on
what they are tried on.

    python -m benchmarks.adapting [SCENEFLOW] [--steps N]
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.environment import environment
from stereohg import Predictor, save_model
from stereohg.commands.train import train
from stereohg.data.registry import create_dataset
from stereohg.data.stereo import StereoSample
from stereohg.data.synthetic import SyntheticMix
from stereohg.files import write_disparity, write_png
from stereohg.metrics import disparity_metrics
from stereohg.models.stereo import StereoNetwork
from stereohg.models.weights import load_model
from stereohg.training.recipes import load_recipe

LARGEST = 192  # disparities beyond do not count, pixels
HEIGHT, WIDTH = 256, 576
LEARNED, TRIED, CHOOSING, UNSEEN_SEED = 24, 12, 6, 246813579
RESULT = Path(__file__).parent / "results" / "adapting.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sceneflow", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, help="in place of the recipes'")
    options = parser.parse_args()
    results = {}
    before = load_model("hgstereo_s")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.sceneflow:
            results |= finetuned(before, chessboard(options.sceneflow), folder, options.steps)
        camera = StrangeCamera()
        learned, tried = ([camera[index] for index in own] for own in (range(LEARNED), range(LEARNED, LEARNED + TRIED)))
        chosen_by = [camera[LEARNED + TRIED + index] for index in range(CHOOSING)]
        tuned = learn(folder / "strange", "finetune", before, learned, options.steps, chosen_by)
        results[f"finetune, {TRIED} unseen pairs of a strange camera"] = compared(before, tuned, tried)
        adapted = learn(folder, "adapt", before, learned, options.steps)
        results[f"adapt, {TRIED} unseen pairs of a strange camera"] = compared(before, adapted, tried)
        for name, own in (("selftrain", before), ("adapt + selftrain", adapted)):
            taught = learn(folder / name, "selftrain", own, answered(own, learned), options.steps)
            results[f"{name}, the same"] = compared(before, taught, tried)
    RESULT.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(RESULT.read_text())


def finetuned(
    before: StereoNetwork, crops: list[StereoSample], folder: Path, steps: int | None
) -> dict[str, dict[str, object]]:
    """Means over the choices of the crop that chooses, with the steps that each kept."""
    learned, others = crops[::2], crops[1::2]
    found = []
    for chosen_by in others:
        tuned = learn(folder / chosen_by.name, "finetune", before, learned, steps, [chosen_by])
        found.append(compared(before, tuned, [crop for crop in others if crop is not chosen_by]))
    means = {
        when: {key: round(float(np.mean([own[when][key] for own in found])), 3) for key in found[0][when]}
        for when in ("before", "after")
    }
    kept = ", ".join(str(own["steps"]) for own in found)
    return {"finetune, two of three other crops of the FlyingThings3D pair": {"steps": kept, **means}}


def learn(
    folder: Path,
    recipe: str,
    network: StereoNetwork,
    learned: list[StereoSample],
    steps: int | None,
    chosen_by: list[StereoSample] | None = None,
) -> StereoNetwork:
    """What ``network`` becomes by pairs; its best state by further ones, where there are some."""
    config = load_recipe(recipe)
    root, validation, run, start = (
        folder / recipe / own for own in ("pairs", "validation", "run", "start.safetensors")
    )
    write(root, learned)
    save_model(network, start)
    config = replace(
        config,
        model=replace(config.model, weights=str(start)),
        data=replace(config.data, root=root),
        validation_data=None,
        steps=steps or config.steps,
    )
    if chosen_by:
        write(validation, chosen_by)
        config = replace(config, validation_data=replace(config.data, root=validation))
    train(run, **{name: getattr(config, name) for name in config.__dataclass_fields__})
    return load_model(run / ("best.safetensors" if chosen_by else "hgstereo_s.safetensors"))


def answered(network: StereoNetwork, samples: Iterable[StereoSample]) -> list[StereoSample]:
    """With the network's answers in place of the truth, where the right view agrees."""
    predictor = Predictor(network, "cpu", "float32")
    answers = [predictor(sample.left, sample.right, left_right_check=True, check=False) for sample in samples]
    return [
        replace(sample, disparity=own.values, valid=own.valid) for sample, own in zip(samples, answers, strict=True)
    ]


def compared(before: StereoNetwork, after: StereoNetwork, tried: list[StereoSample]) -> dict[str, object]:
    errors_of = {"before": errors(before, tried), "after": errors(after, tried)}
    return {"steps": after.card["training"]["steps"], **errors_of}


def write(root: Path, samples: list[StereoSample]) -> None:
    for sample in samples:
        for view in ("left", "right"):
            write_png(root / view / f"{sample.name}.png", getattr(sample, view)[..., :3])
        write_disparity(root / "disparity" / f"{sample.name}.pfm", sample.disparity, sample.valid)


def errors(network: StereoNetwork, samples: Iterable[StereoSample]) -> dict[str, float]:
    predictor = Predictor(network, "cpu", "float32")
    found = []
    for sample in samples:
        answer = predictor(sample.left, sample.right, check=False)
        found.append(disparity_metrics(answer.values, sample.disparity, sample.valid & (sample.disparity < LARGEST)))
    return {name: round(float(np.mean([own[name] for own in found])), 3) for name in ("epe", "bad_1", "bad_3")}


def chessboard(root: Path) -> list[StereoSample]:
    """Six crops in two rows; every other one is of one colour."""
    whole = create_dataset("sceneflow_clean", root, "train", parts=["flyingthings3d"]).read(0)
    height, width = (side // parts for side, parts in zip(whole.size, (2, 3), strict=True))
    return [
        replace(
            whole.each(lambda array, y=y, x=x: array[y * height :, x * width :][:height, :width]), name=f"crop_{y}_{x}"
        )
        for y in range(2)
        for x in range(3)
    ]


class StrangeCamera:
    """Scenes seen as no training had them."""

    def __init__(self):
        self.scenes = SyntheticMix(HEIGHT, WIDTH, UNSEEN_SEED, 100, asymmetry=0.0)

    def __getitem__(self, index: int) -> StereoSample:
        scene = self.scenes[index]
        random = np.random.default_rng((UNSEEN_SEED, index))
        y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        shade = (1 - 0.35 * (x**2 + y**2))[..., None]
        left, right = (self._seen(picture, shade, random) for picture in (scene.left, scene.right))
        valid = np.ones(scene.disparity.shape, bool)
        return StereoSample(left, right, scene.disparity, valid, f"strange_{index}", ~scene.occluded)

    def _seen(self, picture: np.ndarray, shade: np.ndarray, random: np.random.Generator) -> np.ndarray:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        weak = 60 + 0.25 * grey * shade + 3 * random.standard_normal(grey.shape)
        return np.repeat(np.clip(np.round(weak), 0, 255).astype(np.uint8), 3, 2)


if __name__ == "__main__":
    main()
