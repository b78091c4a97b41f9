"""``stereohg pose``: keypoints of people in pictures, and how well a network finds them."""

from math import inf
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import nn

from stereohg.commands.outputs import check_outputs, open_folder
from stereohg.commands.progress import progress_bar
from stereohg.commands.telling import make_console, tell_some
from stereohg.data.pairs import is_picture
from stereohg.data.people.boxes import LEAST_SCORE as LEAST_BOX_SCORE
from stereohg.data.people.boxes import boxes_of, names_without_picture, read_boxes
from stereohg.data.people.registry import KEYPOINT_DATASETS, KeypointData, create_keypoint_dataset, measure_of
from stereohg.data.people.samples import KeypointDataset
from stereohg.data.people.skeletons import MPII
from stereohg.devices import Precision
from stereohg.files import write_json, write_png
from stereohg.models.weights import load_model
from stereohg.pose.decoding import Decoding
from stereohg.pose.evaluation import THRESHOLDS, check_measure, evaluate_keypoints
from stereohg.pose.keypoints import Keypoints, save_coco_results, save_csv
from stereohg.pose.prediction import KeypointPredictor
from stereohg.problems import in_words

LEAST_SCORE = 0.1
NAMES = {"pckh": "PCKh", "torso": "PCK of the torso", "person": "PCK of the person"}


def pose(
    action: Literal["predict", "evaluate"],
    source: Path,
    model: str | None = None,
    output: Path | None = None,
    boxes: Path | None = None,
    data: KeypointData | None = None,
    split: str | None = None,
    options: dict[str, Any] | None = None,
    size: int | None = None,
    flip: bool = False,
    decoding: Decoding | None = None,
    published: bool = False,
    least_score: float = LEAST_SCORE,
    least_box_score: float = LEAST_BOX_SCORE,
    device: str = "auto",
    precision: Precision = "auto",
) -> int:
    """Predicts the keypoints of people in pictures, or evaluates a network on a set with known keypoints.

    predict writes keypoints.json (COCO's form for results), keypoints.csv, and NAME_keypoints.png with the skeletons.
    evaluate prints PCKh at 0.5 of MPII, PCK at 0.2 of the torso of LSP, OKS AP of COCO (in the annotated boxes), PCK
    at 0.1 of the box of a set of one's own, and writes metrics.json and keypoints.json where there is an output.

    Args:
        action: predict or evaluate.
        source: the picture or a folder of them; to evaluate, the set's folder (or, of one's own, its table).
        model: the path of a weights file, ours or pytorch-pose's.
        output: the folder for what is written; predict needs one.
        boxes: predict: the people's boxes, a .csv (image,x,y,width,height) or a .json (COCO's results); without it each
            picture is one person.
        data: evaluate: the set.
        split: evaluate: of the set; MPII has validation, LSP test, COCO val2017 if not named.
        options: evaluate: the set's other arguments, such as --options.annotations mine.json of COCO.
        size: height and width of the crops that the network sees; if not given, as it was trained, or 256.
        flip: the mean with the mirrored picture's heatmaps.
        decoding: dark (sub-pixel), quarter (as published) or argmax; if not given, dark.
        published: crops, decoding and rounding as pytorch-pose has them.
        least_score: predict: keypoints of lower scores are not drawn.
        least_box_score: predict: boxes of lower scores are left out; those without a score are not.
        device: auto, cpu, cuda, cuda:1, ...
        precision: auto, float32, bfloat16 or float16.

    Returns:
        The exit status: 1 when a picture could not be read, or there is nobody in any.
    """
    boxed, drawn, chosen = boxes is not None, least_score != LEAST_SCORE, least_box_score != LEAST_BOX_SCORE
    if action == "evaluate":
        _refuse("to evaluate", boxes=boxed, least_score=drawn, least_box_score=chosen)
    else:
        _refuse("to predict", data=data is not None, split=split is not None, options=bool(options))
        _refuse("without --boxes", least_box_score=chosen and not boxed)
    if model is None:
        raise ValueError("--model is needed: the path of a keypoint network's weights; none come with the package")
    network = load_model(model)
    crop = None if size is None else (size, size)
    how = {"size": crop, "flip": flip, "decoding": decoding, "published": published}
    console = make_console(soft_wrap=True)
    if action == "evaluate":
        dataset = _dataset(data, source, split, network, options or {})
        skeleton = None if "skeleton" in getattr(network, "card", {}) else dataset.skeleton
        predictor = KeypointPredictor(network, device, precision, skeleton=skeleton, **how)
        return _evaluate(predictor, dataset, data, split, console, output)
    if output is None:
        raise ValueError("--output is needed: the folder for the keypoints and pictures")
    predictor = KeypointPredictor(network, device, precision, **how)
    return _predict(predictor, source, boxes, console, output, least_score, least_box_score)


def _refuse(when: str, **given: bool) -> None:
    """Raises ValueError where an option is given that would change nothing."""
    for name, is_given in given.items():
        if is_given:
            raise ValueError(f"--{name} changes nothing {when}; leave it out")


def _predict(
    predictor: KeypointPredictor,
    source: Path,
    boxes: Path | None,
    console: Console,
    output: Path,
    least_score: float,
    least_box_score: float,
) -> int:
    known = None if boxes is None else read_boxes(boxes, least_box_score)
    every = None if boxes is None else read_boxes(boxes, -inf)
    pictures = {path: output / f"{path.stem}_keypoints.png" for path in _pictures(source)}
    written = [output / name for name in ("keypoints.json", "keypoints.csv")]
    check_outputs([*pictures.values(), *written], [*pictures, *([boxes] if boxes else [])])
    open_folder(output)
    results: dict[Path, Keypoints] = {}
    problems = []
    with progress_bar() as progress:
        for picture in progress.track(pictures, description="predicting"):
            own = None if known is None else boxes_of(picture, known)
            if own == []:
                least = f" of scores from {least_box_score:g}" if boxes_of(picture, every) else ""
                console.print(f"{picture.name}: no boxes in {boxes}{least}", style="yellow")
                continue
            try:
                found = results[picture] = predictor(picture, own)
                write_png(pictures[picture], found.draw(picture, least_score))
            except Exception as error:  # whatever it is, the other pictures go on
                problems.append(f"{picture.name}: {in_words(error)}")
    tell_some(console, "failed", problems)
    without = [] if every is None else names_without_picture(every, pictures)
    tell_some(console, f"no picture of boxes in {boxes}", without, "yellow")
    save_coco_results(output / "keypoints.json", [(_image_id(picture), found) for picture, found in results.items()])
    save_csv(output / "keypoints.csv", [(picture.name, found) for picture, found in results.items()])
    people = sum(map(len, results.values()))
    console.print(f"{people} people in {len(results)} pictures: {output / 'keypoints.json'}")
    return 1 if problems or not people else 0


def _pictures(source: Path) -> list[Path]:
    if source.is_dir():
        pictures = [path for path in sorted(source.iterdir()) if is_picture(path)]
        if not pictures:
            raise FileNotFoundError(f"{source}: no pictures there")
        stems = [path.stem for path in pictures]
        twice = next((path for path in pictures if stems.count(path.stem) > 1), None)
        if twice is not None:
            raise ValueError(f"{source} has two pictures named {twice.stem!r}; keep one")
        numbers = [_image_id(path) for path in pictures]
        twice = next((path for path, number in zip(pictures, numbers, strict=True) if numbers.count(number) > 1), None)
        if twice is not None:
            raise ValueError(f"{source} has two pictures of the number {_image_id(twice)}, in COCO's form; rename one")
        return pictures
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such picture or folder")
    return [source]


def _image_id(picture: Path) -> int | str:
    """COCO's pictures are named by their numbers."""
    return int(picture.stem) if picture.stem.isdecimal() else picture.stem


def _dataset(
    data: KeypointData | None, source: Path, split: str | None, network: nn.Module, options: dict[str, Any]
) -> KeypointDataset:
    if data is None:
        raise ValueError(f"--data says which set {source} is: one of {', '.join(KEYPOINT_DATASETS)}")
    if data in ("lsp", "lsp_extended") and getattr(network, "num_keypoints", None) == len(MPII):
        options = {"skeleton": MPII, **options}
    root = source if KEYPOINT_DATASETS[data].has_root else None  # the command wants a word there
    return create_keypoint_dataset(data, root, split, **{"on_error": "skip", **options})


def _evaluate(
    predictor: KeypointPredictor,
    dataset: KeypointDataset,
    data: KeypointData,
    split: str | None,
    console: Console,
    output: Path | None,
) -> int:
    measure = measure_of(data, dataset.skeleton)
    check_measure(measure, dataset)
    if output is not None:
        open_folder(output)
    with progress_bar() as progress:
        task = progress.add_task(data, total=len(dataset))
        result = evaluate_keypoints(predictor, dataset, on_person=lambda: progress.advance(task))
    if measure == "oks":
        document = result.oks(dataset)
        console.print(_ap_table(document))
    else:
        document = result.pck(measure)
        console.print(_pck_table(document))
    left_out = [f"{count} with {reason}" for reason, count in dataset.left_out.items()]
    console.print(f"{len(result.people)} people, {len(result.skipped)} skipped" + "".join(f", {o}" for o in left_out))
    tell_some(console, "skipped", result.skipped, "yellow")
    if output is not None:
        about = {"data": data, "split": split or KEYPOINT_DATASETS[data].evaluated, "left_out": dataset.left_out}
        write_json(output / "metrics.json", {**about, **document, "skipped": result.skipped})
        write_json(output / "keypoints.json", result.coco_results(getattr(dataset, "category", 1)))
        console.print(f"written: {output / 'metrics.json'}")
    return 1 if result.skipped else 0


def _pck_table(document: dict) -> Table:
    measure = document["measure"]
    title = f"{NAMES[measure]} at {THRESHOLDS[measure]:g}, %"
    caption = f"{document['instances']} keypoints of {document['people']} people"
    if document["without_unit"]:
        caption += f", {document['without_unit']} of them without a unit"
    cells = {**document["groups"], "mean": document["mean"], "pooled": document["pooled"], "AUC": document["auc"]}
    return _table(cells, 2, title=title, caption=caption)


def _ap_table(document: dict) -> Table:
    cells = {name: value for name, value in document.items() if name != "measure"}
    return _table(cells, 3, title="object keypoint similarity, annotated boxes")


def _table(cells: dict[str, float | None], digits: int, **about: str) -> Table:
    """A row a figure, for any number of keypoints."""
    table = Table(box=SIMPLE, show_header=False, **about)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for name, value in cells.items():
        table.add_row(name, "" if value is None else f"{value:.{digits}f}")
    return table
