"""What a training sample costs: a 960x540 Scene Flow pair read, cropped and made tensors, on one core, with the parts.

The pair is the one given, as released; without one, a synthetic pair of that size, which decodes more slowly.

    python -m benchmarks.data [ROOT]        a folder with frames_cleanpass and disparity
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.environment import environment
from stereohg.data.sceneflow import SceneFlow
from stereohg.data.stereo import collate, read_positive
from stereohg.data.synthetic import SyntheticStereo
from stereohg.data.transforms import Colour, Compose, HorizontalFlip, Noise, OccludingPatch, RandomCrop, RandomScale
from stereohg.files import read_image, write_pfm

REPEATS, WARM_UPS = 25, 3
BATCH = 4
RESULT = Path(__file__).parent / "results" / "data.json"
WANTED = 25  # samples a second on one core
EVERYTHING = Compose((RandomScale(), HorizontalFlip(), RandomCrop(), Colour(), Noise(), OccludingPatch()))


def main(root: Path | None = None) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        pair = "the released pair that was given" if root else "a synthetic pair"
        results = measure(root or synthetic_pair(Path(folder)))
    report = {"environment": environment(), "pair": pair, "wanted_samples_per_second": WANTED, "results": results}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(RESULT.read_text())


def measure(root: Path) -> dict[str, dict[str, float]]:
    def dataset(transform) -> SceneFlow:
        return SceneFlow(root, images="cleanpass", parts=["flyingthings3d"], transform=transform)

    published, everything = dataset(RandomCrop()), dataset(EVERYTHING)
    files, sample, cropped = published.files[0], published.read(0), published[0]
    with_right = SceneFlow(root, images="cleanpass", parts=["flyingthings3d"], right_truth=True).read(0)
    random = np.random.default_rng(0)
    steps: dict[str, Callable[[], object]] = {
        "sample, the recipes' crop": lambda: collate([published[0]]),
        "sample, every transform": lambda: collate([everything[0]]),
        "part: one PNG": lambda: read_image(files.left),
        "part: one PFM": lambda: read_positive(files.disparity),
        "part: crop": lambda: RandomCrop()(sample, random),
        "part: every transform": lambda: EVERYTHING(with_right, random),
        f"part: collate, a {BATCH}th of a batch": lambda: collate([cropped] * BATCH),
    }
    results = {name: timed(step) for name, step in steps.items()}
    batch = results[f"part: collate, a {BATCH}th of a batch"]
    batch.update({key: round(value / BATCH, 2) for key, value in batch.items()})
    for name in list(steps)[:2]:
        results[name]["samples_per_second"] = round(1000 / results[name]["milliseconds_median"], 1)
    return results


def timed(step: Callable[[], object]) -> dict[str, float]:
    """Processor time beside that of the clock, which other programs lengthen."""
    clock, processor = [], []
    for repeat in range(WARM_UPS + REPEATS):
        began, began_processor = time.perf_counter(), time.process_time()
        step()
        if repeat >= WARM_UPS:
            clock.append(1000 * (time.perf_counter() - began))
            processor.append(1000 * (time.process_time() - began_processor))
    return {
        "milliseconds_median": round(median(clock), 2),
        "milliseconds_least": round(min(clock), 2),
        "milliseconds_most": round(max(clock), 2),
        "milliseconds_processor_median": round(median(processor), 2),
    }


def synthetic_pair(root: Path) -> Path:
    """A pair in FlyingThings3D's tree, RGBA as that is."""
    scene = SyntheticStereo(540, 960)[0]
    for view, picture in (("left", scene.left), ("right", scene.right)):
        path = root / "frames_cleanpass" / "TRAIN" / "A" / "0000" / view / "0006.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(picture).convert("RGBA").save(path)
        write_pfm(root / "disparity" / "TRAIN" / "A" / "0000" / view / "0006.pfm", scene.disparity)
    return root


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
