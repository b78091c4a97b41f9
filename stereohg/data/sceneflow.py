"""Scene Flow: FlyingThings3D, Monkaa and Driving (Mayer et al., CVPR 2016), in every tree that people keep it in."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stereohg.data.samples import OnError
from stereohg.data.stereo import Listing, StereoDataset, StereoSample, Transform, match, no_pairs

Pass = Literal["cleanpass", "finalpass"]
Part = Literal["flyingthings3d", "monkaa", "driving"]
PASSES: tuple[Pass, ...] = ("cleanpass", "finalpass")
PARTS: tuple[Part, ...] = ("flyingthings3d", "monkaa", "driving")
PAIRS = {
    ("train", "flyingthings3d"): 22390,
    ("train", "monkaa"): 8664,
    ("train", "driving"): 4400,
    ("test", "flyingthings3d"): 4370,
}
"""How many pairs the published set has; 35454 to train with and 4370 to test."""

FRAME = re.compile(
    r"(?:(?P<flyingthings3d>(?P<split>TRAIN|TEST)/[ABC]/\d{4})"
    r"|(?:TRAIN/)?(?P<driving>(?:15|35)mm_focallength/scene_(?:forwards|backwards)/(?:fast|slow))"
    r"|(?:TRAIN/)?(?P<monkaa>[^/]+))"
    r"/(?P<view>left|right)/(?P<number>\d{4})\.(?:png|webp|pfm)"
)
"""A frame's or a disparity's path within its folder; Monkaa and Driving may have been moved into TRAIN."""
DISPARITY_FOLDERS = ("disparity", "frames_disparity")


class SceneFlow(StereoDataset):
    """Scene Flow, 960x540, with the ground truth of both views at every pixel.

    The three sets as they are unpacked, each in its own folder or all in one, in which ``TRAIN``, Monkaa's scenes and
    Driving's focal lengths come to lie side by side; with Monkaa and Driving moved into ``TRAIN`` (GwcNet's lists);
    or renamed (PSMNet)::

        ROOT[/FlyingThings3D]                    ROOT
          frames_cleanpass                         frames_cleanpass
            TRAIN/A/0000/left/0006.png               TRAIN/A/0000/left/0006.png
            TRAIN/A/0000/right/0006.png            frames_disparity
            TEST/...                                 TRAIN/A/0000/left/0006.pfm
          frames_finalpass/...                     monkaa_frames_cleanpass
          disparity                                  a_rain_of_stones_x2/left/0000.png
            TRAIN/A/0000/left/0006.pfm             monkaa_disparity/...
        ROOT[/Monkaa]                              driving_frames_cleanpass/...
          frames_cleanpass                         driving_disparity/...
            a_rain_of_stones_x2/left/0000.png
          disparity/...
        ROOT[/Driving]
          frames_cleanpass
            15mm_focallength/scene_forwards/fast/left/0001.png
          disparity/...

    Pictures are PNG or, in ``frames_cleanpass_webp``, WebP. Some releases have negative disparities; the sign is read
    off each file.

    Args:
        root: the folder.
        split: "train" or "test"; FlyingThings3D alone has a test part.
        images: "cleanpass" or "finalpass" (with blur, depth of field and haze).
        parts: which of the three; each must be there.
        view: "left", or "right": both pictures mirrored and exchanged, with the right picture's ground truth.
        transform, seed, on_error, right_truth: see ``StereoDataset``.

    Raises:
        FileNotFoundError: one of the parts is not there.
        ValueError: pictures or disparities lack their counterpart, or a part is there twice.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"] = "train",
        images: Pass = "finalpass",
        parts: Sequence[Part] = PARTS,
        view: Literal["left", "right"] = "left",
        transform: Transform | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        right_truth: bool | None = None,
    ):
        for name, value, known in (
            ("split", split, ("train", "test")),
            ("images", images, PASSES),
            ("view", view, ("left", "right")),
            *(("parts", part, PARTS) for part in ([parts] if isinstance(parts, str) else parts)),
        ):
            if value not in known:
                raise ValueError(f"{name} has {value!r}; known are {', '.join(known)}")
        parts = [part for part in PARTS if part in parts and (split, part) in PAIRS]  # of a string, too
        if not parts:
            raise ValueError("of the three sets FlyingThings3D alone has a test part; name it in parts")
        listing = list_scene_flow(Path(root), split, images, parts, view)
        super().__init__(listing, transform, seed, on_error, True if view == "right" else right_truth)
        self.view = view

    def read(self, index: int) -> StereoSample:
        sample = super().read(index)
        return sample.mirrored() if self.view == "right" else sample


def list_scene_flow(root: Path, split: str, images: Pass, parts: Sequence[Part], view: str = "left") -> Listing:
    """The pairs of some parts, named such as ``monkaa/eating_x2/0000``."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    problems = []
    for folder, kind in scene_flow_folders(root, images):
        for path in _files_below(folder):
            frame = FRAME.fullmatch(path)
            if frame is None:
                problems.append(f"{folder / path} is not where Scene Flow has its files")
                continue
            part = next(part for part in PARTS if frame[part] is not None)
            if part not in parts or (frame["split"] or "TRAIN").lower() != split:
                continue
            field = {"frames": frame["view"], "disparity": f"{'right_' * (frame['view'] == 'right')}disparity"}[kind]
            name = f"{part}/{frame[part]}/{frame['number']}"
            if name in found[field]:
                problems.append(f"{found[field][name]} and {folder / path} are the same frame; keep one")
            found[field][name] = folder / path
    for part in parts:
        if not any(name.startswith(part) for name in found["left"]):
            if any((root / name / "image_2").is_dir() for name in ("training", "testing")):
                raise FileNotFoundError(
                    f"{root} is KITTI 2015, whose archive is called data_scene_flow.zip, and not Scene Flow; take "
                    "Kitti2015, or download FlyingThings3D, Monkaa and Driving"
                )
            raise no_pairs(root, f"{part}'s {split} part, {images}", f"frames_{images} and disparity (see SceneFlow)")
    both = ("disparity", "right_disparity")
    needed = both if view == "right" else both[:1]
    optional = {field: found[field] for field in both if field not in needed}
    listing = match({field: found[field] for field in ("left", "right", *needed)}, optional)
    return Listing(listing.files, problems + listing.problems)


def scene_flow_folders(root: Path, images: Pass) -> list[tuple[Path, Literal["frames", "disparity"]]]:
    """The folders of pictures and of disparities in any of the trees."""
    homes = [root]
    if root.is_dir():
        homes += [root / name for name in sorted(os.listdir(root)) if name.lower() in PARTS]
    folders = []
    for home in homes:
        for prefix in ("", "monkaa_", "driving_"):
            folders += [(home / f"{prefix}frames_{images}{kind}", "frames") for kind in ("", "_webp")]
            folders += [(home / f"{prefix}{name}", "disparity") for name in DISPARITY_FOLDERS]
    return [(folder, kind) for folder, kind in folders if folder.is_dir()]


def _files_below(folder: Path) -> list[str]:
    """The pictures and disparities below a folder, as sorted paths relative to it with forward slashes."""
    paths = []
    for where, _, names in os.walk(folder, followlinks=True):
        below = os.path.relpath(where, folder).replace(os.sep, "/")
        paths += [f"{below}/{name}" for name in names if name.endswith((".png", ".webp", ".pfm"))]
    return sorted(paths)
