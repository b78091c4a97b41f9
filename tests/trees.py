"""Small data sets in the official layouts, byte formats included, of one scene whose disparity is known everywhere.

The scene is a textured wall that slopes from the top down: row y has the disparity ``BASE + y / 8``, so that the
right picture is the left one moved row by row, and each known pixel can be asserted.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from stereohg.files import write_pfm

HEIGHT, WIDTH = 48, 96
BASE = 4.0
OBJECT = np.s_[10:20, 30:50]  # KITTI's object map
HIDDEN = np.s_[:, :12]  # what the right camera does not see
UNKNOWN = np.s_[:6, :]  # without ground truth in the sparse sets


def disparity() -> np.ndarray:
    """(H,W) float32, of the left and, since it is constant along each row, of the right picture."""
    return np.repeat(BASE + np.arange(HEIGHT, dtype=np.float32)[:, None] / 8, WIDTH, 1)


def sparse() -> np.ndarray:
    """The same with infinity where nothing is known."""
    values = disparity()
    values[UNKNOWN] = np.inf
    return values


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Left and right, (H,W,3) uint8."""
    noise = np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH + 32, 3)).astype(np.float32)
    left = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    right = cv2.remap(left, x + disparity(), y, cv2.INTER_LINEAR)
    return left[:, :WIDTH].round().astype(np.uint8), right.round().astype(np.uint8)


# --- files in the bytes of the public sets --------------------------------------------------------------------------


def save_picture(path: Path, image: np.ndarray, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).convert(mode).save(path)


def save_pair(left: Path, right: Path, seed: int = 0, mode: str = "RGB") -> None:
    for path, image in zip((left, right), pictures(seed), strict=True):
        save_picture(path, image, mode)


def save_released_pfm(path: Path, values: np.ndarray, kind: bytes = b"Pf ", order: str = "<f4") -> None:
    """Bottom-up floats behind the header that FlyingThings3D was released with, a blank after the kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = b"-1.0" if order == "<f4" else b"1.0"
    header = kind + b"\n%d %d\n" % (values.shape[1], values.shape[0]) + scale + b"\n"
    path.write_bytes(header + values[::-1].astype(order).tobytes())


def save_kitti_png(path: Path, values: np.ndarray) -> None:
    """16 bits, 256 a pixel, 0 where unknown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.where(np.isfinite(values), np.round(values * 256), 0)
    Image.fromarray(stored.astype(np.uint16)).save(path)


def save_mask(path: Path, visible: int, hidden: int) -> None:
    mask = np.full((HEIGHT, WIDTH), visible, np.uint8)
    mask[HIDDEN] = hidden
    mask[UNKNOWN] = 0
    save_picture(path, mask, "L")


# --- trees ----------------------------------------------------------------------------------------------------------

FLYING = ("TRAIN/A/0000", "TRAIN/C/0001", "TEST/B/0002")
MONKAA = ("a_rain_of_stones_x2",)
DRIVING = ("15mm_focallength/scene_forwards/fast", "35mm_focallength/scene_backwards/slow")
NUMBER = {"flyingthings3d": "0006", "monkaa": "0000", "driving": "0001"}
SCENES = {"flyingthings3d": FLYING, "monkaa": MONKAA, "driving": DRIVING}


def scene_flow(root: Path, tree: str = "folders", sign: int = 1, images: str = "cleanpass") -> Path:
    """``tree``: "folders" (a folder a set), "merged" (unpacked over each other), "gwcnet" (moved) or "psmnet"."""
    for part, scenes in SCENES.items():
        prefix = "" if part == "flyingthings3d" else f"{part}_"
        home, frames, truth = {
            "folders": (root / part.replace("things3d", "Things3D"), f"frames_{images}", "disparity"),
            "merged": (root, f"frames_{images}", "disparity"),
            "gwcnet": (root, f"frames_{images}", "disparity"),
            "psmnet": (root, f"{prefix}frames_{images}", f"{prefix}disparity" if prefix else "frames_disparity"),
        }[tree]
        for scene in scenes:
            place = f"TRAIN/{scene}" if tree == "gwcnet" and prefix else scene
            number = NUMBER[part]
            views = [home / frames / place / view / f"{number}.png" for view in ("left", "right")]
            save_pair(*views, seed=len(scene), mode="RGBA")
            for view in ("left", "right"):
                save_released_pfm(home / truth / place / view / f"{number}.pfm", sign * disparity())
    return root


KITTI_FOLDERS = {
    2012: ("colored_0", "colored_1", "disp_occ", "disp_noc"),
    2015: ("image_2", "image_3", "disp_occ_0", "disp_noc_0"),
}


def kitti(root: Path, year: int, numbers: tuple[int, ...] = (0, 1, 159, 160, 187)) -> Path:
    left, right, occ, noc = KITTI_FOLDERS[year]
    visible = sparse()
    visible[HIDDEN] = np.inf
    objects = np.zeros((HEIGHT, WIDTH), np.uint8)
    objects[OBJECT] = 3
    for number in numbers:
        name, training = f"{number:06d}_10.png", root / "training"
        save_pair(training / left / name, training / right / name, number)
        save_picture(training / left / name.replace("_10", "_11"), pictures(number)[0])  # the later frame, no pair's
        save_kitti_png(training / occ / name, sparse())
        save_kitti_png(training / noc / name, visible)
        if year == 2015:
            save_picture(training / "obj_map" / name, objects, "L")
    save_pair(root / "testing" / left / "000003_10.png", root / "testing" / right / "000003_10.png")
    return root


CALIBRATION = """cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]
cam1=[994.978 0 342.279; 0 994.978 254.877; 0 0 1]
doffs=31.086
baseline=193.001
width=96
height=48
ndisp=70
"""


def _scene(folder: Path, truth: Path | None, name: str = "disp0GT.pfm", mode: str = "RGB") -> None:
    save_pair(folder / "im0.png", folder / "im1.png", mode=mode)
    (folder / "calib.txt").write_text(CALIBRATION)
    if truth is not None:
        save_released_pfm(truth / name, sparse(), kind=b"Pf")
        if name == "disp0GT.pfm":
            save_mask(truth / "mask0nocc.png", 255, 128)


def middlebury(root: Path) -> Path:
    for scene in ("Adirondack", "Motorcycle"):
        _scene(root / "trainingQ" / scene, root / "trainingQ" / scene)
    save_released_pfm(root / "trainingQ" / "Motorcycle" / "disp1GT.pfm", disparity(), kind=b"Pf", order=">f4")
    _scene(root / "testQ" / "Australia", None)
    return root


def middlebury2014(root: Path) -> Path:
    for scene in ("Pipes-imperfect", "Pipes-perfect"):
        _scene(root / scene, root / scene, "disp0.pfm")
        save_picture(root / scene / "im1E.png", pictures()[1] // 2)
    return root


def eth3d(root: Path) -> Path:
    _scene(
        root / "two_view_training" / "delivery_area_1l", root / "two_view_training_gt" / "delivery_area_1l", mode="L"
    )
    _scene(root / "two_view_test" / "lakeside_1l", None, mode="L")
    return root


def own_folders(root: Path, ending: str = ".pfm") -> Path:
    for name in ("a", "b"):
        save_pair(root / "left" / f"{name}.png", root / "right" / f"{name}.png")
        path = root / "disparity" / f"{name}{ending}"
        path.parent.mkdir(exist_ok=True)
        if ending == ".pfm":
            write_pfm(path, sparse())
        elif ending == ".png":
            save_kitti_png(path, sparse())
        elif ending == ".npy":
            np.save(path, sparse())
        else:
            Image.fromarray(sparse()).save(path)
    return root
