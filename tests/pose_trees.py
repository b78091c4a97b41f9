"""Small sets of keypoints in the official layouts: MATLAB's nested structs as the released files have them, and JSON.

Every person's keypoint k is at ``place(person)[k]``, a fixed pattern, so that each can be asserted. Files of MPII and
LSP count pixels from one, the others from zero; what a tree stores is what its format stores.
"""

import csv
import json
from pathlib import Path

import numpy as np
from scipy.io import savemat

from stereohg.data.people.skeletons import COCO
from tests.trees import save_picture

HEIGHT, WIDTH = 120, 160


def place(person: int, count: int = 16) -> np.ndarray:
    """(count,2) x, y from zero; distinct, inside the picture, and with fractions."""
    k = np.arange(count)
    return np.stack([20.25 + 6 * k + person, 15.5 + 5 * ((k * 7) % count) + 2 * person], 1)


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def save_pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        save_picture(folder / name, picture(seed))


# --- MPII -----------------------------------------------------------------------------------------------------------

MPII_SCALE = 0.4
HEAD_BOX = (50.0, 10.0, 80.0, 50.0)  # x1, y1, x2, y2: a diagonal of 50


def mpii_person(person: int, hidden: tuple[int, ...] = (), absent: tuple[int, ...] = (), flags: str = "number") -> dict:
    """An annorect; ``flags`` is how is_visible is stored: "number", "text", or "none" for no field at all."""
    points = []
    for index, (x, y) in enumerate(place(person) + 1):
        if index in absent:
            continue
        point = {"x": x, "y": y, "id": index}
        if flags != "none":
            seen = int(index not in hidden)
            point["is_visible"] = str(seen) if flags == "text" else (seen if index not in (8, 9) else np.array([]))
        points.append(point)
    x1, y1, x2, y2 = HEAD_BOX
    return {
        **{"x1": x1, "y1": y1, "x2": x2, "y2": y2, "scale": MPII_SCALE},
        "objpos": {"x": 71.0 + person, "y": 61.0},
        "annopoints": {"point": _structs(points)},
    }


def mpii(root: Path) -> Path:
    """Four pictures: train with one person, validation with two of whom one is in the set, test, and nobody."""
    save_pictures(root / "images", "000000001.jpg", "000000002.jpg", "000000003.jpg", "000000004.jpg")
    bare = {"scale": 1.0, "objpos": {"x": 30.0, "y": 30.0}}
    empty = {"x1": 1.0, "y1": 1.0, "x2": 2.0, "y2": 2.0, "scale": [], "objpos": [], "annopoints": []}
    annotated = [
        ("000000001.jpg", [mpii_person(0, hidden=(3,), absent=(0, 5))]),
        ("000000002.jpg", [mpii_person(1, hidden=(4,), flags="text"), mpii_person(2, flags="none"), empty]),
        ("000000003.jpg", [bare]),
        ("000000004.jpg", []),
    ]
    annolist = [
        {"image": {"name": name}, "annorect": _structs(people), "frame_sec": [], "vididx": []}
        for name, people in annotated
    ]
    release = {
        "annolist": _structs(annolist),
        "img_train": np.array([[1, 1, 0, 1]], np.uint8),
        "version": "12",
        "single_person": np.array([[np.array([1])], [np.array([1])], [np.array([])], [np.array([])]], object),
    }
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    savemat(root / "detections.mat", {"RELEASE_img_index": [[2.0]], "RELEASE_person_index": [[1.0]]})
    return root


def mpii_json(root: Path) -> Path:
    """The same people as the widely used JSON has them, with the head boxes of the validation set beside it."""
    save_pictures(root / "images", "000000001.jpg", "000000002.jpg")
    entries = []
    for person, hidden, absent in ((0, (3,), (0, 5)), (1, (4,), ())):
        joints = np.column_stack([place(person) + 1, np.ones(16)])
        joints[list(hidden), 2] = 0
        joints[list(absent)] = 0
        entries.append(
            {
                **{"dataset": "MPI", "isValidation": float(person), "img_paths": f"00000000{person + 1}.jpg"},
                **{"img_width": float(WIDTH), "img_height": float(HEIGHT), "objpos": [71.0 + person, 61.0]},
                **{"joint_self": joints.tolist(), "scale_provided": MPII_SCALE, "joint_others": []},
                **{"annolist_index": person + 1.0, "people_index": 1.0, "numOtherPeople": 0.0},
            }
        )
    root.mkdir(parents=True, exist_ok=True)
    (root / "mpii_annotations.json").write_text(json.dumps(entries))
    savemat(root / "detections_our_format.mat", {"headboxes_src": np.reshape(HEAD_BOX, (2, 2, 1))})
    return root


def _structs(people: list[dict]) -> np.ndarray:
    """A 1xN MATLAB struct array; fields that one of them lacks are empty there, as MATLAB has them."""
    fields = list(dict.fromkeys(name for person in people for name in person))
    array = np.empty((1, len(people)), [(name, object) for name in fields] or [("annopoints", object)])
    for column, person in enumerate(people):
        for name in fields:
            array[name][0, column] = person.get(name, np.array([]))
    return array


# --- LSP ------------------------------------------------------------------------------------------------------------


def lsp(root: Path, count: int = 1002) -> Path:
    """Pictures of the first and of the first test number only; joint 1 of each is hidden."""
    save_pictures(root / "images", "im0001.jpg", "im1001.jpg")
    joints = np.stack([np.column_stack([place(n % 5, 14) + 1, np.arange(14) == 1]) for n in range(count)], 2)
    savemat(root / "joints.mat", {"joints": joints.transpose(1, 0, 2)})
    return root


def lsp_extended(root: Path, count: int = 3) -> Path:
    """Joint 1 of each is not labelled."""
    save_pictures(root / "images", "im00001.jpg", "im00002.jpg", "im00003.jpg")
    joints = np.stack([np.column_stack([place(n, 14) + 1, np.arange(14) != 1]) for n in range(count)], 2)
    savemat(root / "joints.mat", {"joints": joints})
    return root


# --- COCO -----------------------------------------------------------------------------------------------------------

COCO_BOX = [10.0, 5.0, 120.0, 100.0]


def coco(root: Path, split: str = "val2017") -> Path:
    """Two pictures, three people, a crowd, one without keypoints; keypoint 0 of the first is hidden, 1 not there."""
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "height": HEIGHT, "width": WIDTH} for number in (139, 285)
    ]
    save_pictures(root / split, *(image["file_name"] for image in images))

    def annotation(number: int, image: int, **changed) -> dict:
        flags = np.full(17, 2)
        flags[:2] = (1, 0) if number == 1 else 2
        keypoints = np.column_stack([place(number, 17), flags])
        keypoints[flags == 0] = 0
        return {
            **{"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": COCO_BOX, "area": 8000.0},
            **{"num_keypoints": int((flags > 0).sum()), "keypoints": keypoints.ravel().tolist(), "segmentation": []},
            **changed,
        }

    document = {
        "images": images,
        "annotations": [
            annotation(1, 139),
            annotation(2, 285),
            annotation(3, 285),
            annotation(4, 285, iscrowd=1, segmentation={"counts": [0], "size": [HEIGHT, WIDTH]}),
            annotation(5, 285, num_keypoints=0, keypoints=[0.0] * 51),
        ],
        "categories": [
            {
                **{"id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO.keypoints)},
                "skeleton": [[first + 1, second + 1] for first, second in COCO.limbs],
            }
        ],
    }
    path = root / "annotations" / f"person_keypoints_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return root


# --- one's own ------------------------------------------------------------------------------------------------------

OWN_NAMES = ("nose", "left_hand", "right_hand")


def own(root: Path) -> Path:
    """Two pictures: a person with a box, and one with none, a hidden nose, and no right hand."""
    save_pictures(root, "a.png", "sub/b.png")
    header = ["image", "x", "y", "width", "height"]
    header += [f"{name}_{part}" for name in OWN_NAMES for part in ("x", "y")] + ["nose_visible"]
    first, second = place(0, 3), place(1, 3)
    rows = [
        ["a.png", 10, 20, 50, 80, *first.ravel(), 1],
        ["sub/b.png", "", "", "", "", *second[:2].ravel(), "", "", 0],
    ]
    with (root / "keypoints.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return root
