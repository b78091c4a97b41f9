"""``stereohg evaluate``: a network on a set with ground truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stereohg.commands.outputs import open_folder
from stereohg.commands.progress import progress_bar
from stereohg.commands.telling import make_console, tell_some
from stereohg.data.registry import DATASETS, DataName, create_dataset
from stereohg.data.stereo import StereoDataset
from stereohg.devices import Precision
from stereohg.evaluation import FIGURES, Evaluation, save_figures
from stereohg.evaluation import evaluate as run
from stereohg.files import write_json
from stereohg.metrics import per_image, per_pixel
from stereohg.models.search import searched_range, set_search
from stereohg.models.weights import load_model
from stereohg.prediction import DEFAULT_MODEL, Predictor
from stereohg.protocols import FULL, ZERO_SHOT, Protocol, choose_protocol
from stereohg.version import __version__

HEADINGS = {"epe": "EPE", "d1": "D1", "rmse": "RMSE"}
UNITS = "EPE and RMSE in pixels, the others in %"


def evaluate(
    data: DataName | None = None,
    root: Path | None = None,
    model: str = DEFAULT_MODEL,
    split: str | None = None,
    options: dict[str, Any] | None = None,
    protocol: Literal["full", "psmnet", "gwcnet", "zero-shot"] = "full",
    output: Path | None = None,
    figures: int = 0,
    html: bool = False,
    batch_size: int = 1,
    workers: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    max_disp: int | None = None,
    scale: float | None = None,
    align_corners: bool | None = None,
    output_scale: float | None = None,
) -> int:
    """Evaluates a network on a set with ground truth: EPE, RMSE, and the shares of bad pixels.

    Every figure is given per pixel (each pixel counts the same) and per image (each image does), over all known
    pixels, those that both cameras see (noc) and the others (hidden), objects (fg) and background (bg), where the set
    knows. D1 is the share of errors above 3 pixels and 5 % of the truth, bad-N of those above N pixels.

    Args:
        data: the set; zero-shot has its own.
        root: its folder, or table or list of pairs (motorcycle and synthetic have none); for zero-shot the folder that
            has kitti2012, kitti2015, middlebury and eth3d in it, or some of them.
        model: a bundled name or the path of a weights file, ours or published.
        split: of the set; KITTI and ETH3D have training, Scene Flow test, Middlebury trainingQ if not named.
        options: the set's other arguments, such as --options.parts '[flyingthings3d]' or --options.scale 100.
        protocol: full (the whole picture, every known pixel), psmnet or gwcnet (crops, padding and masks of the
            papers' code on Scene Flow and KITTI), or zero-shot.
        output: folder for metrics.json and the pairs' CSV.
        figures: also draw so many of the worst pairs, into the output folder.
        html: and write a page to look at beside each of these figures.
        batch_size: pairs of one size at once; the figures do not depend on it.
        workers: processes that read pairs.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.
        max_disp: largest disparity looked for, pixels, in place of the weights' own.
        scale: what the pictures are resized by before matching, in place of the model's own scale.
        align_corners: how a published file's network upsamples, if not as recognised.
        output_scale: factor on a published file's disparities.

    Returns:
        The exit status: 1 when a pair could not be read, or one of several sets gave no figure.
    """
    if figures < 0:
        raise ValueError(f"figures is {figures}; it is a number of pairs, 0 for none")
    if figures and output is None:
        raise ValueError(f"figures is {figures}, and there is no output folder to put them in; give --output")
    if html and not figures:
        raise ValueError("html writes the pages of the figures' pairs, and there are none; give --figures")
    console = make_console()
    if protocol == "zero-shot":
        sets = _zero_shot_sets(data, split, root or Path("."), console)
    else:
        sets = [_named_set(data, split, root)]
    options = {"on_error": "skip", **(options or {})}
    rules = {name: FULL if protocol == "zero-shot" else choose_protocol(protocol, name) for name, _, _ in sets}
    datasets = []
    for name, part, folder in sets:
        with _failing_alone(name, part, len(sets) == 1, console):
            datasets.append((name, part, create_dataset(name, folder, part, **options)))
    network = load_model(model, align_corners=align_corners, output_scale=output_scale)
    set_search(network, max_disp, scale)
    predictor = Predictor(network, device, precision)
    if output is not None:
        open_folder(output)

    evaluated: list[tuple[str, Evaluation, StereoDataset]] = []
    documents = []
    for name, part, dataset in datasets:
        title, result = _title(name, part), None
        with _failing_alone(name, part, len(sets) == 1, console), _progress(title, len(dataset)) as advance:
            result = run(predictor, dataset, rules[name], batch_size=batch_size, workers=workers, on_pair=advance)
        if result is None:
            continue
        evaluated.append((title, result, dataset))
        documents.append({"data": name, "split": part, **result.summary()})
        if protocol != "zero-shot":
            console.print(metrics_table(result, title))
        tell_left_out(result, title, console)
        if result.beyond():
            console.print(
                f"{title}: {result.beyond()} of the pixels that count have disparities beyond the"
                f" {searched_range(network):.0f} px that are searched; see --max_disp",
                style="yellow",
                soft_wrap=True,
            )
        if output is not None:
            result.save_csv(output / f"{title.replace(' ', '_')}_pairs.csv")
    if protocol == "zero-shot":
        console.print(zero_shot_table(documents))
    if output is not None:
        made = {"stereohg": __version__, "torch": torch.__version__, "precision": str(predictor.dtype).split(".")[1]}
        about = {"model": model, "max_disp": round(searched_range(network)), "scale": network.scale, **made}
        write_json(output / "metrics.json", {**about, "protocol": protocol, "sets": documents})
        console.print(f"written: {output / 'metrics.json'}", soft_wrap=True)
        for title, result, dataset in evaluated:  # a bad calibration, which pages read, must not lose what is measured
            folder = output / f"{title.replace(' ', '_')}_worst"
            if figures:
                _remove_figures(folder)
            for path in save_figures(result, predictor, dataset, folder, figures, html):
                console.print(f"figure: {path}", soft_wrap=True)
    failed = any(pair.failed for _, result, _ in evaluated for pair in result.skipped)
    return int(len(evaluated) < len(sets) or failed)


@contextmanager
def _failing_alone(name: str, part: str | None, is_only: bool, console: Console) -> Iterator[None]:
    """What is wrong with one of several sets is told, and the others go on."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        if is_only:
            raise
        console.print(f"failed: {_title(name, part)}: {error}", style="bold red", soft_wrap=True)


def _title(name: str, part: str | None) -> str:
    return " ".join(filter(None, (name, part)))


def metrics_table(result: Evaluation, title: str) -> Table:
    """Two rows for each region: per pixel and per image."""
    table = Table(title=f"{title}, {_rules(result.protocol)}", caption=UNITS, box=SIMPLE, padding=0)
    table.add_column()
    for heading in ("mean over", *(_heading(name) for name in FIGURES)):
        table.add_column(heading, justify="right", no_wrap=True)
    for region, sums in result.regions().items():
        pixels = sum(own.pixels for own in sums)
        for label, over, own in (
            (region, f"{pixels} pixels", per_pixel(sums)),
            ("", f"{len(sums)} images", per_image(sums)),
        ):
            table.add_row(label, over, *(_shown(name, own[name]) for name in FIGURES))
    return table


def zero_shot_table(documents: list[dict]) -> Table:
    """All sets, each with the measures that papers report of it, in each region."""
    table = Table(title="zero-shot, the whole pictures", caption=UNITS, box=SIMPLE)
    for heading in ("set", "pixels", "measure"):
        table.add_column(heading, no_wrap=True)
    for heading in ("per\npixel", "per\nimage", "EPE per\npixel", "EPE per\nimage"):
        table.add_column(heading, justify="right", no_wrap=True)
    measures = {(entry.data, entry.split): entry.measures for entry in ZERO_SHOT}
    for document in documents:
        name = f"{document['data']} {document['split']}"
        regions = {key: own for key, own in document["regions"].items() if key in ("all", "noc", "hidden")}
        for region, own in regions.items():
            for measure in measures[document["data"], document["split"]]:
                cells = [_shown(key, own[mean][key]) for key in (measure, "epe") for mean in ("per_pixel", "per_image")]
                table.add_row(name, region, _heading(measure), *cells)
                name = ""
    return table


def _remove_figures(folder: Path) -> None:
    """Those of an earlier evaluation, which would stay among this one's."""
    for path in folder.glob("[0-9][0-9][0-9]_*"):
        if path.suffix in (".png", ".html"):
            path.unlink()


def tell_left_out(result: Evaluation, title: str, console: Console) -> None:
    """Prints what does not count, and why."""
    for reason, count in result.masked().items():
        console.print(f"{title}: {count} pixels masked: {reason}")
    unread = sum(pair.failed for pair in result.skipped)
    skipped = len(result.skipped) - unread
    console.print(f"{title}: {len(result.pairs)} pairs evaluated, {skipped} skipped, {unread} missing or unreadable")
    for failed, style in ((True, "bold red"), (False, "yellow")):
        own = [pair for pair in result.skipped if pair.failed == failed]
        reasons = [f"{pair.name}: {pair.reason}" if pair.name else pair.reason for pair in own]
        tell_some(console, "skipped", reasons, style)


def _named_set(data: str | None, split: str | None, root: Path | None) -> tuple[str, str | None, Path | None]:
    if data is None:
        raise ValueError(f"--data says which set it is: one of {', '.join(DATASETS)}")
    return data, split or DATASETS[data].evaluated, root


def _zero_shot_sets(data: str | None, split: str | None, root: Path, console: Console) -> list[tuple[str, str, Path]]:
    if data is not None or split is not None:
        raise ValueError("zero-shot has its own sets and splits; leave --data and --split out")
    wanted = {entry: root / entry.data for entry in ZERO_SHOT}
    # Middlebury's resolutions are downloads of their own
    there = {
        entry: (folder / entry.split if entry.data == "middlebury" else folder).is_dir()
        for entry, folder in wanted.items()
    }
    if not any(there.values()):
        names = ", ".join(dict.fromkeys(entry.data for entry in ZERO_SHOT))
        raise FileNotFoundError(f"{root} has none of the folders {names}; zero-shot needs one of them at least")
    for entry in ZERO_SHOT:
        if not there[entry]:
            console.print(f"not evaluated: {entry.data} {entry.split} is not in {root}", style="yellow", soft_wrap=True)
    return [(entry.data, entry.split, folder) for entry, folder in wanted.items() if there[entry]]


def _rules(protocol: Protocol) -> str:
    rules = [f"protocol {protocol.name}"]
    if protocol.crop is not None:
        rules.append(f"bottom right {protocol.crop[1]}x{protocol.crop[0]}")
    if protocol.padded is not None:
        rules.append(f"filled to {protocol.padded[1]}x{protocol.padded[0]}")
    if (protocol.above, protocol.below) != (None, None):
        rules.append(protocol.range())
    return ", ".join(rules)


def _shown(name: str, value: float) -> str:
    return f"{value:.3f}" if name in ("epe", "rmse") else f"{value:.2f}"


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("_", "-"))


@contextmanager
def _progress(title: str, total: int) -> Iterator:
    with progress_bar() as progress:
        task = progress.add_task(title, total=total)
        yield lambda result: progress.advance(task)
