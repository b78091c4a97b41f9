"""``stereohg submit``: the archive that a benchmark's server takes."""

from pathlib import Path

from stereohg.commands.progress import progress_bar
from stereohg.devices import Precision
from stereohg.models.search import set_search
from stereohg.models.weights import load_model
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.submission import BENCHMARKS, BenchmarkName, write_submission


def submit(
    benchmark: BenchmarkName,
    root: Path,
    output: Path,
    model: str = DEFAULT_MODEL,
    method: str = "stereohg",
    incomplete: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
    max_disp: int | None = None,
    scale: float | None = None,
    align_corners: bool | None = None,
    output_scale: float | None = None,
) -> None:
    """Predicts a benchmark's test pairs, and writes the archive to upload.

    Args:
        benchmark: kitti2012, kitti2015, eth3d, or middleburyQ, middleburyH, middleburyF.
        root: folder of the set.
        output: the archive, a .zip.
        model: a bundled name or the path of a weights file, ours or published.
        method: its name, which is in Middlebury's file names.
        incomplete: also where pairs are missing, for a try; the server would turn it down.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.
        max_disp: largest disparity looked for, pixels, in place of the weights' own.
        scale: what the pictures are resized by before matching, in place of the model's own scale.
        align_corners: how a published file's network upsamples, if not as recognised.
        output_scale: factor on a published file's disparities.
    """
    network = load_model(model, align_corners=align_corners, output_scale=output_scale)
    set_search(network, max_disp, scale)
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=sum(BENCHMARKS[benchmark].pairs.values()))
        predictor = Predictor(network, device, precision)
        written = write_submission(
            benchmark,
            root,
            predictor,
            output,
            method=method,
            incomplete=incomplete,
            on_pair=lambda name: progress.advance(task),
        )
    print(f"{len(written)} files: {output}")
