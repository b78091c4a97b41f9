"""What a folder of stereo data holds, and what is wrong with it, in words.

The layout is recognised by its folders' names. Each part that is there is listed as training would list it, counted
against the published set, and a few of its pairs, evenly spread, are read fully. Whether the ground truth fits the
pictures is found by warping: the right picture, fetched at x - d, must resemble the left one more than where it is,
than at x + d, and than at x - k d for the k of units that are mistaken for one another.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from stereohg.data import eth3d, middlebury, sceneflow
from stereohg.data.kitti import Kitti2012, Kitti2015
from stereohg.data.preprocess import as_rgb
from stereohg.data.registry import create_dataset
from stereohg.data.stereo import StereoDataset, StereoSample

SetName = Literal["sceneflow", "kitti2012", "kitti2015", "middlebury", "middlebury2014", "eth3d", "folder"]
ARCHIVES = (".zip", ".tar", ".bz2", ".gz", ".7z")
MANY_ZEROS = 0.05  # of the known pixels
SMALL_MOTION = 1.0  # pixels that two places are apart at least; below, warping tells nothing
UNITS = 1.25, 1.5, 2, 2.56, 16, 100, 256  # pictures of another size, other tools' formats, 16-bit PNGs
FACTORS = *(1 / k for k in UNITS), *UNITS
BETTER = 0.95  # of the difference at x - d: what fits better than by chance
INSIDE, COMPARED = 0.5, 0.01  # shares of the known pixels: whose match is in the picture, and that two places differ in


@dataclass
class Part:
    """One split of a set: what it is made with, and how many pairs the published one has (None: any number)."""

    name: str
    split: str | None = None
    published: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """``facts`` are what was found, ``problems`` what is wrong; the data is fit for use when there are none."""

    layout: SetName | None = None
    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


TITLES: dict[SetName, str] = {
    "sceneflow": "Scene Flow",
    "kitti2012": "KITTI 2012",
    "kitti2015": "KITTI 2015 (data_scene_flow.zip, which is not Scene Flow)",
    "middlebury": "Middlebury, version 3",
    "middlebury2014": "Middlebury 2014",
    "eth3d": "ETH3D, two views",
    "folder": "a set of one's own",
}
WHOLE_FLYINGTHINGS = "take the whole FlyingThings3D (frames_cleanpass or frames_finalpass, and disparity)"
NOT_SCENE_FLOW = (
    "this is KITTI 2015, whose archive is called data_scene_flow.zip; the Scene Flow sets (FlyingThings3D, Monkaa, "
    "Driving) are another download, from Freiburg"
)


def check_data(
    root: str | Path, expect: SetName | None = None, samples: int = 8, options: dict[str, Any] | None = None
) -> Report:
    """Looks through a folder, or a table or list of pairs.

    Args:
        root: what training would be given.
        expect: which set it should be; None takes any.
        samples: pairs of each part that are read fully.
        options: of a set of one's own: ``scale``, and of a table or list ``root``; see ``StereoFolder``.
    """
    root, report = Path(root), Report()
    if root.is_file() and root.suffix.lower() in ARCHIVES:
        report.problems.append(f"{root} is an archive; unpack it and give the folder{_inside(root)}")
        return report
    if not root.exists():
        report.problems.append(f"{root} does not exist")
        return report
    report.layout = recognise(root)
    if report.layout is None:
        report.problems.append(_unknown(root))
        return report
    report.facts.append(f"{root} is laid out as {TITLES[report.layout]}")
    if (report.layout, expect) == ("kitti2015", "sceneflow"):
        report.problems.append(NOT_SCENE_FLOW)
    elif expect not in (None, report.layout):
        report.problems.append(f"it was to be {TITLES[expect]}")
    if options and report.layout != "folder":
        report.problems.append(f"only a set of one's own has options ({', '.join(options)})")
    for part in _parts(report.layout, root, options or {}):
        _check_part(part, root, samples, report)
    return report


def recognise(root: Path) -> SetName | None:
    """Which set's layout a folder has."""
    if root.is_file():
        return "folder" if root.suffix.lower() in (".csv", ".txt") else None
    if _passes(root):
        return "sceneflow"
    signs: dict[SetName, tuple[str, ...]] = {
        "kitti2015": ("training/image_2", "testing/image_2"),
        "kitti2012": ("training/colored_0", "testing/colored_0"),
        "middlebury": middlebury.SPLITS[:-1],
        "eth3d": ("two_view_training", *eth3d.TEST_FOLDERS),
        "folder": ("left",),
    }
    for name, folders in signs.items():
        if any((root / folder).is_dir() for folder in folders):
            return name
    if any(root.glob(f"{eth3d.SCENE}/disp0GT.pfm")):
        return "eth3d"
    return "middlebury2014" if any(root.glob("*/disp0.pfm")) else None


# --- the sets' parts ------------------------------------------------------------------------------------------------


def _passes(root: Path) -> list[sceneflow.Pass]:
    """The passes of Scene Flow of which there are pictures."""
    kinds = {images: {kind for _, kind in sceneflow.scene_flow_folders(root, images)} for images in sceneflow.PASSES}
    return [images for images, found in kinds.items() if "frames" in found]


def _parts(layout: SetName, root: Path, options: dict[str, Any]) -> list[Part]:
    """Every part that there is, of Scene Flow in each pass that there are pictures of."""
    if layout == "sceneflow":
        return [
            Part(f"{part}, {split}, {images}", split, published, {"images": images, "parts": (part,)})
            for images in _passes(root)
            for (split, part), published in sceneflow.PAIRS.items()
        ]
    if layout == "folder":
        return [Part("pairs", options=options)]
    if layout == "middlebury2014":
        return [Part("2014")]
    published = {
        "kitti2012": Kitti2012.pairs,
        "kitti2015": Kitti2015.pairs,
        "middlebury": {s: middlebury.PAIRS_V3 for s in middlebury.SPLITS[:-1] if (root / s).is_dir()},
        "eth3d": eth3d.PAIRS,
    }
    return [Part(split, split, count) for split, count in published[layout].items()]


# --- one part -------------------------------------------------------------------------------------------------------


def _check_part(part: Part, root: Path, samples: int, report: Report) -> None:
    try:
        dataset = create_dataset(report.layout, root, part.split, on_error="skip", **part.options)
    except FileNotFoundError as error:
        report.problems.append(f"{part.name}: missing. {str(error).split('. `stereohg')[0]}")
        return
    except ValueError as error:
        report.problems.append(f"{part.name}: {error}")
        return
    told = set(report.problems)  # a misplaced file shows in every part of its folder
    report.problems += [problem for problem in dataset.problems if problem not in told]
    if part.published in (None, len(dataset)):
        as_published = "" if part.published is None else ", as published"
        report.facts.append(f"{part.name}: {_pairs(len(dataset))}{as_published}")
    else:
        report.problems.append(f"{part.name}: {_pairs(len(dataset))}, where the published set has {part.published}")
    if len(dataset) and samples > 0:
        _read_some(dataset, part.name, samples, report)


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _read_some(dataset: StereoDataset, part: str, samples: int, report: Report) -> None:
    """Reads some pairs and looks whether their ground truth fits."""
    misfits: list[str] = []
    known, zeros, sizes, judged = [], [], [], 0
    chosen = np.unique(np.linspace(0, len(dataset) - 1, samples).round().astype(int))
    for index in chosen:
        try:
            sample = dataset.read(int(index))
        except (OSError, ValueError) as error:
            report.problems.append(f"{part}: {error}")
            continue
        sizes.append(f"{sample.size[1]}x{sample.size[0]}")
        if dataset.files[index].disparity is None:
            continue
        known.append(float(sample.valid.mean()))
        zeros.append(np.count_nonzero(sample.disparity[sample.valid] == 0) / max(1, np.count_nonzero(sample.valid)))
        if not sample.valid.any():
            report.problems.append(f"{part}: {dataset.files[index].disparity} has no known pixel")
            continue
        misfit = misfit_of(sample)
        if misfit is None:
            continue
        judged += 1
        if misfit:
            misfits.append(f"{sample.name}: {misfit}")
    truth = f"; {100 * np.mean(known):.0f} % of their pixels have ground truth" if known else "; no ground truth"
    found = f" ({', '.join(sorted(set(sizes)))})" if sizes else ""
    report.facts.append(f"{part}: {len(sizes)} of {_pairs(len(chosen))} tried could be read{found}{truth}")
    if zeros and np.mean(zeros) > MANY_ZEROS:
        report.facts.append(
            f"{part}: {100 * np.mean(zeros):.0f} % of the known pixels are exactly 0, which is a disparity; if it means"
            " unknown, write NaN, infinity or -1 instead (training leaves it out with loss.above 0)"
        )
    if misfits:
        report.problems.append(
            f"{part}: the disparities do not fit the pictures in {len(misfits)} of {_pairs(judged)}; where x + d is "
            "better left and right are exchanged, where x - k d is they are in other units (k times as large ones are "
            "right), where x is they may be of another picture. Mean difference of grey values, the right picture "
            f"fetched at x - d and elsewhere: {'; '.join(misfits)}"
        )
    elif judged:
        report.facts.append(f"{part}: the disparities fit the pictures in {_pairs(judged)}")
    elif known:
        report.facts.append(f"{part}: in no pair could be seen whether the disparities fit the pictures")


def misfit_of(sample: StereoSample) -> str | None:
    """What speaks against a pair's disparities, "" where nothing does, None where warping tells nothing of them.

    Each place is compared with x - d over the pixels in which both are in the right picture, and apart.
    """
    left, right = (cv2.cvtColor(255 * as_rgb(image), cv2.COLOR_RGB2GRAY) for image in (sample.left, sample.right))
    height, width = left.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    d = np.where(sample.valid, sample.disparity, 0).astype(np.float32)
    known = sample.valid if sample.visible is None else sample.valid & sample.visible
    inside = known & _within(x - d, width)
    if np.count_nonzero(inside) < INSIDE * np.count_nonzero(known):
        return f"of {100 * (1 - inside.sum() / known.sum()):.0f} % of the known pixels x - d is outside the picture"
    elsewhere = {"x + d": x + d, "x": x} | {f"x - {k:.3g} d": x - k * d for k in FACTORS}
    own = _difference(left, right, x - d, y)
    was_compared, better = False, {}
    for name, source in elsewhere.items():
        both = inside & _within(source, width) & (np.abs(source - (x - d)) >= SMALL_MOTION)
        if np.count_nonzero(both) <= COMPARED * np.count_nonzero(known):
            continue
        was_compared = True
        theirs, ours = (float(difference[both].mean()) for difference in (_difference(left, right, source, y), own))
        if theirs < BETTER * ours:
            better[name] = theirs, ours
    if not better:
        return "" if was_compared else None
    name, (theirs, ours) = min(better.items(), key=lambda found: found[1][0] / found[1][1])
    return f"{ours:.1f} at x - d, {theirs:.1f} at {name}"


def _within(source: np.ndarray, width: int) -> np.ndarray:
    return (source >= 0) & (source <= width - 1)


def _difference(left: np.ndarray, right: np.ndarray, source: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(cv2.remap(right, source, y, cv2.INTER_LINEAR) - left)


# --- what is not recognised -----------------------------------------------------------------------------------------


def _inside(archive: Path) -> str:
    """What is known of an archive's content."""
    names = zipfile.ZipFile(archive).namelist() if zipfile.is_zipfile(archive) else []
    is_kitti = archive.name == "data_scene_flow.zip" or any(name.startswith("training/image_2/") for name in names)
    return f"; {NOT_SCENE_FLOW}" if is_kitti else ""


def _unknown(root: Path) -> str:
    """Where, near by, a known layout is; or what was looked for."""
    if root.is_dir():
        inner = [path for path in sorted(root.iterdir()) if path.is_dir()]
        archives = [path.name for path in sorted(root.iterdir()) if path.suffix.lower() in ARCHIVES]
        for folder in (*inner, root.resolve().parent, root.resolve().parent.parent):
            try:
                layout = recognise(folder)
            except PermissionError:  # such as lost+found
                continue
            if layout not in (None, "folder"):
                return f"{root} has no layout that is known, but {folder} is laid out as {TITLES[layout]}; give that"
        if (root / "train" / "image_clean").is_dir():
            return f"{root} is FlyingThings3D_subset, which lacks pairs; {WHOLE_FLYINGTHINGS}"
        if archives:
            return f"{root} holds archives ({', '.join(archives)}); unpack them"
    return (
        f"{root} has no layout that is known: Scene Flow has frames_cleanpass or frames_finalpass, KITTI 2015 "
        "training/image_2, KITTI 2012 training/colored_0, Middlebury trainingQ (H, F), or disp0.pfm in each scene, "
        "ETH3D two_view_training; a set of one's own is a .csv, a .txt, or a folder with left and right"
    )
