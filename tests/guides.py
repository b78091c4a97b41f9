"""The guides' fenced blocks, and small files under the names that they use.

A block's first line says what it is: nothing or ``bash`` for commands, ``python``, ``text`` for drawings; ``yaml`` and
``csv`` are followed by the name of the file that the block is.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch

import stereohg
from stereohg.calibration.boards import Chessboard
from stereohg.calibration.cameras import Camera, StereoRig
from stereohg.calibration.formats.opencv import write_calibration, write_rig
from stereohg.data.people.skeletons import Skeleton
from stereohg.exporting import export
from stereohg.files import write_disparity
from tests import boards, pose_trees, trees

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZE = trees.WIDTH, trees.HEIGHT
SHELL, PYTHON, DRAWING, FILES = ("", "bash"), "python", "text", ("yaml", "csv")


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        page: "README.md", "train.md", ...
        language: the first word behind the fence, "" for none.
        name: the second one, of a file.
        text: between the fences.
    """

    page: str
    language: str
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """One line of a shell block, or one side of its ``&&``."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


@cache
def blocks() -> tuple[Block, ...]:
    found = []
    for page in PAGES:
        text = page.read_text()
        assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(FENCE.findall(text)), f"{page}: an open fence"
        for info, content in FENCE.findall(text):
            language, _, name = info.partition(" ")
            found.append(Block(page.name, language, name, content))
    return tuple(found)


def commands() -> Iterator[Command]:
    """Each once, with the first page that has it."""
    seen = set()
    for block in blocks():
        for line in block.text.splitlines() if block.language in SHELL else ():
            for part in line.split(" && "):
                if part and part not in seen:
                    seen.add(part)
                    yield Command(block.page, part)


def prose(page: Path) -> str:
    """The page without its blocks."""
    return FENCE.sub("", page.read_text())


def file_of(name: str) -> str:
    """What a guide says is in a file."""
    return next(block.text for block in blocks() if block.name == name)


# --- the files that the guides name ---------------------------------------------------------------------------------


def picture(path: Path) -> None:
    left, right = trees.pictures()
    trees.save_picture(path, right if path.stem in ("right", "im1") else left)


def folder_of_pictures(path: Path) -> None:
    for seed in (1, 2):
        left, right = trees.pictures(seed)
        trees.save_picture(path / f"{seed}.png", right if path.name == "right" else left)


def folders_side_by_side(path: Path) -> None:
    for side in ("left", "right"):
        folder_of_pictures(path / side)
    for seed in (1, 2):
        write_disparity(path / "disparity" / f"{seed}.pfm", trees.disparity())


def scenes(path: Path) -> None:
    for seed in (1, 2):
        trees.save_pair(path / str(seed) / "im0.png", path / str(seed) / "im1.png", seed)


def pair_with_truth(path: Path) -> None:
    trees.save_pair(path / "left.png", path / "right.png")
    write_disparity(path / "disparity.pfm", trees.disparity())


def shown_table_of_pairs(path: Path) -> None:
    path.write_text(file_of(path.name))
    for folder in ("a", "b"):
        pair_with_truth(path.with_name(folder))


def shown_recipe(path: Path) -> None:
    path.write_text(file_of(path.name))
    shown_table_of_pairs(path.with_name("pairs.csv"))
    table_of_pairs(path.with_name("validation.csv"))


def shown_table_of_people(path: Path) -> None:
    path.write_text(file_of(path.name))
    pose_trees.save_pictures(path.parent, "a.png", "b.png")


def table_of_pairs(path: Path) -> None:
    pair_with_truth(path.with_suffix(""))
    name = path.stem
    path.write_text(f"left,right,disparity\n{name}/left.png,{name}/right.png,{name}/disparity.pfm\n")


def video(path: Path) -> None:
    left, right = trees.pictures()
    shown = {"left": left, "right": right, "sidebyside": np.hstack([left, right])}[path.stem]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, shown.shape[1::-1])
    for _ in range(3):
        writer.write(np.ascontiguousarray(shown[..., ::-1]))
    writer.release()


def both_passes(path: Path) -> None:
    for images in ("cleanpass", "finalpass"):
        trees.scene_flow(path, images=images)


def zero_shot_sets(path: Path) -> None:
    trees.kitti(path / "kitti2015", 2015, (0,))
    trees.eth3d(path / "eth3d")


def weights(name: str, **arguments) -> Callable[[Path], None]:
    """Random ones, in the published form unless the file is to be ours."""

    def write(path: Path) -> None:
        torch.manual_seed(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        model = stereohg.create_model(name, **arguments)
        (stereohg.save_model if path.suffix == ".safetensors" else stereohg.save_published)(model, path)

    return write


def bundled_weights(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stereohg.save_model(stereohg.load_model("hgstereo_s"), path)


def weights_for_own_keypoints(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = file_of("people.csv").splitlines()[0].split(",")
    names = [column.removesuffix("_x") for column in columns if column.endswith("_x")]
    model = stereohg.create_model("keypoint_hourglass", num_stacks=1, num_keypoints=len(names))
    stereohg.save_model(model, path, {"skeleton": asdict(Skeleton.from_names("people", names))})


def boards_seen(path: Path) -> None:
    """6 pairs of a 9x6 board."""
    camcorder = boards.Camcorder(boards.rig(), Chessboard(9, 6, 0.025))
    for number, pose in enumerate(boards.poses(6), 1):
        for side, shown in zip(("left", "right"), camcorder(*pose), strict=True):
            trees.save_picture(path / side / f"{number:02}.png", shown)


def rectified(path: Path) -> None:
    trees.save_pair(path / "left" / "01.png", path / "right" / "01.png")
    calibration = stereohg.StereoCalibration(focal=100.0, baseline=0.12, centre=(47.5, 23.5), size=SIZE)
    write_calibration(path / "calibration.yml", calibration)


def two_cameras(path: Path) -> None:
    """Of the small pictures."""
    camera = Camera(np.array([[100.0, 0, 47.5], [0, 100, 23.5], [0, 0, 1]]), np.zeros(5), SIZE)
    write_rig(path, StereoRig(camera, camera, np.eye(3), np.array([-0.12, 0, 0])), {})


def onnx_file(path: Path) -> None:
    export(stereohg.load_model("hgstereo_s", max_disp=32), path, dynamic=True, check=False)


def torch_file(path: Path) -> None:
    export(stereohg.load_model("hgstereo_s", max_disp=32), path, format="torch", size=SIZE[::-1], check=False)


MAKERS: dict[str, Callable[[Path], None]] = {
    "left.png": picture,
    "right.png": picture,
    "left": folder_of_pictures,
    "right": folder_of_pictures,
    "pairs": folders_side_by_side,
    "scenes": scenes,
    "truth.pfm": lambda path: write_disparity(path, trees.disparity()),
    "calib.txt": lambda path: path.write_text(trees.CALIBRATION),
    "left.mp4": video,
    "right.mp4": video,
    "sidebyside.mp4": video,
    "pairs.csv": shown_table_of_pairs,
    "validation.csv": table_of_pairs,
    "own.yaml": shown_recipe,
    "SceneFlow": both_passes,
    "KITTI2015": lambda path: trees.kitti(path, 2015),
    "sets": zero_shot_sets,
    "pretrained_model_KITTI2015.tar": weights("psmnet"),
    "pretrained_sceneflow.tar": weights("psmnet", align_corners=True),
    "gwcnet.ckpt": weights("gwcnet_gc"),
    "hg_s2_b1.pth.tar": weights("keypoint_hourglass"),
    "psmnet.safetensors": weights("psmnet"),
    "runs/psmnet/psmnet.safetensors": weights("psmnet"),
    "runs/psmnet_kitti/best.safetensors": weights("psmnet"),
    "runs/own/best.safetensors": bundled_weights,
    "runs/adapted/hgstereo_s.safetensors": bundled_weights,
    "runs/before/best.safetensors": bundled_weights,
    "runs/own/keypoint_hourglass.safetensors": weights_for_own_keypoints,
    "runs/figures/best.safetensors": weights("keypoint_hourglass", num_stacks=1),
    "runs/mpii/best.safetensors": weights("keypoint_hourglass", num_stacks=1),
    "people.jpg": lambda path: trees.save_picture(path, pose_trees.picture()),
    "people.csv": shown_table_of_people,
    "people": lambda path: pose_trees.save_pictures(path, "a.jpg", "b.jpg"),
    "boxes.csv": lambda path: path.write_text("image,x,y,width,height\na.jpg,10,20,60,90\nb.jpg,10,20,60,90\n"),
    "MPII": pose_trees.mpii,
    "board": boards_seen,
    "calibration.yml": two_cameras,
    "rectified": rectified,
    "any_size.onnx": onnx_file,  # seconds each, and for slow commands alone
    "hgstereo.pt2": torch_file,
    "examples": lambda path: shutil.copytree(ROOT / "examples", path),
}
"""By the name that the guides have for it."""


def output_of(text: str) -> str | None:
    """What a command is to write."""
    found = re.search(r" -o (\S+)|^stereohg convert \S+ (\S+)", text)
    return found and (found[1] or found[2])


def needed(text: str) -> list[str]:
    """The names in a command or a snippet for which there has to be something, and not what it is to write."""
    written = output_of(text)
    text = text if written is None else text.replace(f" {written}", "", 1)
    return [name for name in MAKERS if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w.-])", text)]


class Shelf:
    """Makes each file once, with what lies beside it, and puts copies where a test runs."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, names: list[str], place: Path) -> None:
        for name in names:
            made = self.folder / name.replace("/", "-")
            if not made.exists():
                (made / name).parent.mkdir(parents=True)
                MAKERS[name](made / name)
            shutil.copytree(made, place, dirs_exist_ok=True)
