"""Each set in its official layout: who is in it, where, and what is told of files that are wrong."""

import dataclasses
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch.utils.data import DataLoader

from stereohg.data.people.boxes import boxes_of, read_boxes
from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.crop import Crop, PublishedCrop, Window
from stereohg.data.people.folder import KeypointFolder
from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.lsp import Lsp, LspExtended
from stereohg.data.people.mpii import MEAN, Mpii
from stereohg.data.people.registry import KEYPOINT_DATASETS, create_keypoint_dataset
from stereohg.data.people.samples import NO_STD, KeypointExample, collate
from stereohg.data.people.skeletons import COCO, LSP, MPII, SKELETONS, Skeleton
from stereohg.data.people.transforms import Augmentation
from stereohg.pose.decoding import decode
from tests import pose_trees as trees

# --- skeletons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_flip_order_exchanges_right_and_left(skeleton):
    flipped = [skeleton.keypoints[index] for index in skeleton.flip_order]
    exchanged = [n.replace("left", "?").replace("right", "left").replace("?", "right") for n in skeleton.keypoints]
    assert flipped == exchanged
    assert set(Skeleton.from_names("", skeleton.keypoints).flip_pairs) == set(skeleton.flip_pairs)
    members = [index for _, group in skeleton.columns() for index in group]
    assert len(set(members)) == len(members)


def test_skeletons_of_ones_own():
    own = Skeleton.from_names("hand", ("r_thumb", "l_thumb", "right", "LeftToe", "RightToe"), [(0, 1)])
    assert own.flip_pairs == ((0, 1), (4, 3)) and own.flip_order == [1, 0, 2, 4, 3]
    assert own.columns()[2] == ("right", [2])
    for right, left in (("knee_right", "knee_left"), ("R_knee", "L_knee"), ("rknee", "lknee"), ("kneeR", "kneeL")):
        assert Skeleton.from_names("own", ("nose", left, right)).flip_pairs == ((2, 1),)
    assert Skeleton.from_names("own", ("bar", "bal", "shoulder")).flip_pairs == ()
    for two in ("kneeRt", "kneeLt"), ("hip_r_1", "hip_l_1"), ("rtHip", "ltHip"), ("knee.Rt", "knee.Lt"):
        assert Skeleton.from_names("own", ("nose", *two)).flip_pairs == ((1, 2),)
    assert Skeleton.from_dict(json.loads(json.dumps(dataclasses.asdict(MPII)))) == MPII


def test_names_with_two_sides_exchange_both():
    """The right eye's left corner is the inner one; in the mirror it is the left eye's right corner."""
    corners = ("right_eye_right_corner", "right_eye_left_corner", "left_eye_right_corner", "left_eye_left_corner")
    assert Skeleton.from_names("eyes", corners).flip_pairs == ((0, 3), (1, 2))
    short = ("right_eye_r", "right_eye_l", "left_eye_r", "left_eye_l")
    assert Skeleton.from_names("eyes", short).flip_pairs == ((0, 3), (1, 2))


def test_pairs_are_of_names_that_find_each_other():
    """A third name that finds one of a pair is in none."""
    own = Skeleton.from_names("own", ("left_l", "right_l", "right_r"))
    assert own.flip_pairs == ((2, 0),)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"keypoints": ("a", "a")}, "has a twice"),
        ({"keypoints": ()}, "has no keypoints"),
        ({"limbs": ((0, 2),)}, "has 2 keypoints, and none of index 2"),
        ({"flip_pairs": ((0, 1), (1, 0))}, "in two flip pairs"),
    ],
)
def test_skeleton_errors(changed, message):
    with pytest.raises(ValueError, match=message):
        Skeleton(**{"name": "s", "keypoints": ("a", "b"), **changed})


# --- MPII -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [trees.mpii, trees.mpii_json])
def test_mpii(tmp_path, tree):
    root = tree(tmp_path)
    (train,) = Mpii(root, "train").people
    assert train.name == "000000001_1" and train.image == root / "images/000000001.jpg"
    assert not train.labelled[[0, 5]].any() and train.labelled.sum() == 14
    assert not train.visible[3] and train.visible.sum() == 13  # hidden, and labelled all the same
    np.testing.assert_allclose(train.keypoints[train.labelled], trees.place(0)[train.labelled])
    assert (train.keypoints[~train.labelled] == 0).all()
    (validation,) = Mpii(root, "validation").people
    np.testing.assert_allclose(validation.keypoints, trees.place(1))
    assert validation.head_size == pytest.approx(0.6 * 50)  # 30, 40, 50
    window = validation.window
    assert (window.x, window.y, window.side) == pytest.approx((71, 60 + 15 * 0.4, 200 * 0.4 * 1.25))


def test_mpii_official_parts(tmp_path):
    dataset = Mpii(trees.mpii(tmp_path), "trainval")
    assert [person.name for person in dataset.people] == ["000000001_1", "000000002_1", "000000002_2"]
    assert dataset.people[2].visible.all()  # where nothing is said
    assert not dataset.people[1].visible[4] and dataset.people[1].labelled[4]
    assert dataset.left_out == {"no position or scale": 1}
    (tmp_path / "detections.mat").unlink()
    assert len(Mpii(tmp_path, "trainval")) == 3
    with pytest.raises(FileNotFoundError, match="detections.mat is not there.*split='trainval'"):
        Mpii(tmp_path, "validation")


def test_mpii_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="has neither mpii_human_pose_v1_u12_1.mat nor mpii_annotations.json"):
        Mpii(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        Mpii(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split is 'test'"):
        Mpii(tmp_path, "test")
    trees.mpii_json(tmp_path)
    savemat(tmp_path / "detections_our_format.mat", {"headboxes_src": np.zeros((2, 2, 3))})
    with pytest.raises(ValueError, match="has 3 head boxes, and the validation set 1 people"):
        Mpii(tmp_path, "validation")
    (tmp_path / "detections_our_format.mat").unlink()
    assert math.isnan(Mpii(tmp_path, "validation").people[0].head_size)
    path = tmp_path / "mpii_annotations.json"
    entries = json.loads(path.read_text())
    entries[0]["joint_self"] = [[1, 2, 1]]
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="mpii_annotations.json: person 0 is malformed"):
        Mpii(tmp_path)
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="is not MPII's list of people"):
        Mpii(tmp_path)
    savemat(tmp_path / "other.mat", {"RELEASE": {"annolist": []}})
    with pytest.raises(ValueError, match="other.mat is not MPII's RELEASE"):
        Mpii(tmp_path, "trainval", annotations=tmp_path / "other.mat")


# --- LSP ------------------------------------------------------------------------------------------------------------


def test_lsp(tmp_path):
    dataset = Lsp(trees.lsp(tmp_path))
    assert len(dataset) == 1000 and len(Lsp(tmp_path, "test")) == 2 and len(Lsp(tmp_path, "all")) == 1002
    first = dataset.people[0]
    np.testing.assert_allclose(first.keypoints, trees.place(0, 14))
    assert first.labelled.all() and not first.visible[1] and first.visible.sum() == 13
    sample = Lsp(tmp_path, "test").read(0)
    assert sample.person.name == "im1001"
    window = sample.person.window  # of the whole picture
    assert (window.x, window.y, window.side) == ((trees.WIDTH - 1) / 2, (trees.HEIGHT - 1) / 2, 1.25 * trees.WIDTH)


def test_lsp_in_mpiis_places(tmp_path):
    person = Lsp(trees.lsp(tmp_path), skeleton=MPII).people[0]
    own = trees.place(0, 14)
    for name in ("left_wrist", "right_ankle", "head_top"):
        at = MPII.keypoints.index(name)
        np.testing.assert_allclose(person.keypoints[at], own[LSP.keypoints.index(name)])
    np.testing.assert_allclose(person.keypoints[8], own[12])  # the neck is the upper neck
    np.testing.assert_allclose(person.keypoints[6], (own[2] + own[3]) / 2)
    np.testing.assert_allclose(person.keypoints[7], (own[8] + own[9]) / 2)
    assert person.labelled.all() and not person.visible[1]


def test_lsp_extended(tmp_path):
    people = LspExtended(trees.lsp_extended(tmp_path)).people
    assert [person.name for person in people] == ["im00001", "im00002", "im00003"]
    assert not people[2].labelled[1] and people[2].labelled.sum() == 13
    known = trees.place(2, 14)[people[2].labelled]
    np.testing.assert_allclose(people[2].keypoints[people[2].labelled], known)
    window = people[2].window
    assert window.side == pytest.approx(1.25 * np.ptp(known, 0).max())
    assert (window.x, window.y) == pytest.approx((known.min(0) + known.max(0)) / 2)
    assert len(LspExtended(tmp_path, skeleton=MPII).people[0].labelled) == 16


def test_lsp_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no joints.mat"):
        Lsp(tmp_path)
    trees.lsp_extended(tmp_path)
    with pytest.raises(ValueError, match=r"joints of \(14, 3, 3\); LSP's are \(3,14,N\)"):
        Lsp(tmp_path)
    with pytest.raises(ValueError, match="split is 'val'"):
        Lsp(tmp_path, "val")
    with pytest.raises(ValueError, match="skeleton is coco"):
        LspExtended(tmp_path, skeleton=COCO)
    savemat(tmp_path / "joints.mat", {"other": 1})
    with pytest.raises(ValueError, match="has no variable joints, but other"):
        Lsp(tmp_path)
    (tmp_path / "joints.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut")
    with pytest.raises(ValueError, match="joints.mat is no whole MATLAB file"):
        Lsp(tmp_path)


# --- COCO -----------------------------------------------------------------------------------------------------------


def changed(root, change):
    path = root / "annotations/person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_coco(tmp_path):
    dataset = CocoKeypoints(trees.coco(tmp_path))
    assert [person.name for person in dataset.people] == ["139_1", "285_2", "285_3"]
    assert dataset.left_out == {"a crowd": 1, "no keypoint labelled": 1}
    assert dataset.skeleton is COCO and dataset.category == 1
    first = dataset.people[0]
    assert first.image_id == 139 and first.image.name == "000000000139.jpg"
    assert first.labelled[0] and not first.visible[0] and not first.labelled[1] and first.visible[2:].all()
    np.testing.assert_allclose(first.keypoints[2:], trees.place(1, 17)[2:])
    assert (first.window.x, first.window.y, first.window.side) == (69.5, 54.5, 150)


def test_a_set_in_cocos_form(tmp_path):
    def hands(document):
        document["categories"] = [
            {"id": 7, "name": "box"},
            {"id": 9, "name": "hand", "keypoints": ["left_tip", "right_tip", "root"], "skeleton": [[1, 3], [2, 3]]},
        ]
        document["annotations"] = document["annotations"][:2]
        for annotation, category in zip(document["annotations"], (9, 7), strict=True):
            annotation |= {"category_id": category, "keypoints": [1.5, 2, 2, 3, 4, 1, 0, 0, 0]}

    changed(trees.coco(tmp_path), hands)
    dataset = CocoKeypoints(tmp_path)
    assert dataset.skeleton.limbs == ((0, 2), (1, 2)) and dataset.skeleton.flip_pairs == ((1, 0),)
    assert dataset.category == 9 and dataset.left_out == {"another category": 1}
    np.testing.assert_array_equal(dataset.people[0].keypoints, [[1.5, 2], [3, 4], [0, 0]])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bbox": [0, 0, 0, 5]}, r"annotation 1 of 000000000139.jpg has the box \[0, 0, 0, 5\]; width and height must"),
        ({"bbox": [160, 0, 5, 5]}, "outside the picture of 160x120"),
        ({"keypoints": [1, 2, 2]}, "has 3 numbers for 17 keypoints of three"),
        ({"image_id": 1}, "annotation 1 is of image 1, not there"),
        ({"keypoints": None}, "annotation 1 of 000000000139.jpg has no keypoints"),
        ({"keypoints": [math.nan] * 2 + [2] * 49}, "139_1 in 000000000139.jpg has a keypoint that is no number: 0"),
    ],
)
def test_broken_annotations_are_named_or_left_out(tmp_path, change, message):
    changed(trees.coco(tmp_path), lambda document: document["annotations"][0].update(change))
    with pytest.raises(ValueError, match=f"{message}.*on_error='skip' leaves them out"):
        CocoKeypoints(tmp_path)
    dataset = CocoKeypoints(tmp_path, on_error="skip")
    assert len(dataset) == 2 and len(dataset.problems) == 1


def test_coco_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="person_keypoints_val2017.json does not exist"):
        CocoKeypoints(tmp_path)
    path = trees.coco(tmp_path) / "annotations/person_keypoints_val2017.json"
    assert len(CocoKeypoints(tmp_path, annotations=path)) == 3
    changed(tmp_path, lambda document: document.update(annotations=document["annotations"][3:]))
    with pytest.raises(ValueError, match="nobody in it, beside 1 with a crowd, 1 with no keypoint labelled"):
        CocoKeypoints(tmp_path)
    changed(tmp_path, lambda document: document.pop("images"))
    with pytest.raises(ValueError, match="is not in COCO's form for keypoints"):
        CocoKeypoints(tmp_path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="is not in COCO's form for keypoints"):
        CocoKeypoints(tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is no whole JSON"):
        CocoKeypoints(tmp_path)


# --- one's own ------------------------------------------------------------------------------------------------------


def test_own_table(tmp_path):
    dataset = KeypointFolder(trees.own(tmp_path))
    assert dataset.skeleton.keypoints == trees.OWN_NAMES and dataset.skeleton.flip_pairs == ((2, 1),)
    first, second = dataset.people
    np.testing.assert_allclose(first.keypoints, trees.place(0, 3))
    assert first.window == Window(34.5, 59.5, 100)
    assert first.visible.all() and not second.visible[0] and second.labelled.tolist() == [True, True, False]
    assert second.image == tmp_path / "sub/b.png" and second.image_id == "sub/b.png"
    assert second.window.side == pytest.approx(1.25 * np.ptp(second.keypoints[:2], 0).max())
    assert dataset[1].heatmaps.shape == (3, 64, 64)


def test_a_known_skeleton_is_found_by_its_names(tmp_path):
    columns = ",".join(f"{name}_x,{name}_y" for name in LSP.keypoints)
    (tmp_path / "t.csv").write_text(f"image,{columns}\na.png{',3,4' * 14}\n")
    dataset = KeypointFolder(tmp_path / "t.csv")
    assert dataset.skeleton is LSP and dataset.people[0].window is None  # one point has no extent
    with pytest.raises(ValueError, match="skeleton coco has others"):
        KeypointFolder(tmp_path / "t.csv", skeleton=COCO)


@pytest.mark.parametrize(
    "text, message",
    [
        ("image,a_x\n", "needed are image and, for each keypoint, NAME_x and NAME_y"),
        ("picture,a_x,a_y\n", "begins with the columns picture, a_x, a_y"),
        ("image,a_x,a_y\na.png,1,two\n", "line 2: could not convert"),
        ("image,a_x,a_y\na.png,1,nan\n", "line 2: a_y is nan; a number was expected"),
        ("image,a_x,a_y\na.png,1,\n", "line 2: a has one of x and y"),
        ("image,a_x,a_y\n,1,2\n", "line 2: a line has an image"),
        ("image,a_x,a_y,x,y,width,height\na.png,1,2,0,0,0,5\n", "line 2: the box is 0x5 pixels"),
        ("image,a_x,a_y,x,y,width,height\na.png,1,2,10,20,100,,\n", "line 2: the box has no height; it has x, y"),
        ("image,a_x,a_y,width,height\na.png,1,2,10,20\n", "line 2: the box has no x"),
        ("image,a_x,a_y\na.png,,\n", "KeypointFolder has nobody in it, beside 1 with no keypoint labelled"),
        ("image,a_x,a_y\n", "KeypointFolder has nobody in it"),
    ],
)
def test_own_table_errors(tmp_path, text, message):
    (tmp_path / "keypoints.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        KeypointFolder(tmp_path)


def test_an_own_table_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="keypoints.csv is not there"):
        KeypointFolder(tmp_path)


# --- boxes ----------------------------------------------------------------------------------------------------------


def test_boxes(tmp_path):
    (tmp_path / "b.csv").write_text("image, x, y, width, height, score\na.png, 1, 2, 3, 4, 0.5\na.png, 5, 6, 7, 8, 1\n")
    boxes = read_boxes(tmp_path / "b.csv")
    assert boxes_of(tmp_path / "a.png", boxes) == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert boxes_of(tmp_path / "b.png", boxes) == []
    entries = [{"image_id": 139, "bbox": [1, 2, 3, 4]}, {"file_name": "a.png", "image_id": 1, "bbox": [5, 6, 7, 8]}]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    boxes = read_boxes(tmp_path / "b.json")
    assert boxes_of(tmp_path / "000000000139.jpg", boxes) == [(1, 2, 3, 4)] and len(boxes["a.png"]) == 1
    entries = [{"image_id": 1, "category_id": category, "bbox": [category, 2, 3, 4]} for category in (1, 3)]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    assert read_boxes(tmp_path / "b.json") == {"1": [(1, 2, 3, 4)]}  # a car is no person


def test_a_box_of_no_picture_and_decimal_commas_are_told(tmp_path):
    (tmp_path / "b.csv").write_text("image,x,y,width,height\n,1,2,3,4\n")
    with pytest.raises(ValueError, match="line 2: whose box is it"):
        read_boxes(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_text(",image,x,y,width,height\n0,a.png,1,2,3,4\n")  # numbered, as pandas writes it
    assert read_boxes(tmp_path / "b.csv") == {"a.png": [(1, 2, 3, 4)]}
    (tmp_path / "b.csv").write_text("image,x,y,width,height\na.png,1,5,2,5,30,0,40,0\n")
    with pytest.raises(ValueError, match="line 2 has 9 cells, .* 5 columns; are there decimal commas"):
        read_boxes(tmp_path / "b.csv")


def test_boxes_of_low_scores_are_left_out(tmp_path):
    lines = ["a.png,1,2,3,4,0.29", "a.png,5,6,7,8,0.3", "a.png,9,9,9,9,", "b.png,1,2,3,4,0.1"]
    (tmp_path / "b.csv").write_text("\n".join(["image,x,y,width,height,score", *lines]))
    assert read_boxes(tmp_path / "b.csv") == {"a.png": [(5, 6, 7, 8), (9, 9, 9, 9)]}
    assert len(read_boxes(tmp_path / "b.csv", least_score=0.1)["a.png"]) == 3
    scores = ({"score": 0.001}, {"score": 0.99}, {"score": None}, {})
    entries = [{"image_id": 1, "bbox": [number, 2, 3, 4], **score} for number, score in enumerate(scores)]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    assert [box[0] for box in read_boxes(tmp_path / "b.json")["1"]] == [1, 2, 3]


@pytest.mark.parametrize(
    "name, image",
    [
        ("imgs/a.png", "data/imgs/a.png"),
        ("imgs/a", "data/imgs/a.png"),
        ("./imgs/a.png", "imgs/a.png"),
        ("data/imgs/a.png", "a.png"),
        ("1", "01.png"),
        ("0", "0000.png"),
    ],
)
def test_boxes_find_their_picture(tmp_path, monkeypatch, name, image):
    (tmp_path / "data/imgs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data/imgs" if image == "a.png" else tmp_path)
    (tmp_path / "b.json").write_text(json.dumps([{"file_name": name, "bbox": [1, 2, 3, 4]}]))
    assert boxes_of(Path(image), read_boxes(tmp_path / "b.json")) == [(1, 2, 3, 4)]


def test_boxes_of_other_pictures_are_not_taken():
    boxes = {name: [(number, 2, 3, 4)] for number, name in enumerate(("1", "01", "x/a.png", "a1", "1.jpg"))}
    for image, numbers in (("01.png", [1]), ("001.png", [0]), ("y/a.png", []), ("a01.png", []), ("xx/a.png", [])):
        assert [box[0] for box in boxes_of(Path(image), boxes)] == numbers


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("b.txt", "", "neither a table"),
        ("b.csv", "image,x,y\n", "has no column width; needed are image, x, y, width, height"),
        ("b.csv", "image,x,y,width,height\na,1,2,3,\n", "line 2: .* is no box"),
        ("b.csv", "image,x,y,width,height\na,1,2,3,0\n", "line 2: the box is 3x0"),
        ("b.csv", "image,x,y,width,height,score\na,1,2,3,4,sure\n", "line 2: .* of score sure is no box"),
        ("b.json", '{"bbox": 1}', "is no list of boxes in COCO's form"),
        ("b.json", '[{"image_id": 1, "bbox": [1]}]', r"entry 1: \[1\] of score None is no box"),
        ("b.json", "[3]", "is no list of boxes in COCO's form"),
        (
            "b.json",
            '[{"image_id": 1, "category_id": 0, "bbox": [0, 0, 2, 2]}]',
            r"has no people \(category_id 1\), only 0",
        ),
    ],
)
def test_box_errors(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_boxes(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_boxes(tmp_path / "none.csv")


# --- the base -------------------------------------------------------------------------------------------------------


def test_an_example_is_the_person_cropped(tmp_path):
    dataset = Mpii(trees.mpii(tmp_path), "validation", size=(128, 192))
    example = dataset[0]
    assert example.image.shape == (128, 192, 3) and example.image.dtype == np.float32
    assert example.heatmaps.shape == (16, 32, 48) and (example.weight == 1).all()
    found, _ = decode(torch.from_numpy(example.heatmaps)[None])
    back = example.crop.from_heatmap(found[0].numpy())
    np.testing.assert_allclose(back[1:], trees.place(1)[1:], atol=0.02)  # the first is in the uppermost cells


def test_a_mirrored_example_exchanges_the_sides(tmp_path):
    always = Augmentation(scale=0, turned=0, mirrored=1, colour=0)
    root = trees.mpii(tmp_path)
    plain, mirrored = Mpii(root)[0], Mpii(root, augmentation=always)[0]
    assert mirrored.crop.mirrored
    np.testing.assert_allclose(mirrored.image, plain.image[:, ::-1], atol=2e-2)
    np.testing.assert_allclose(mirrored.heatmaps, plain.heatmaps[MPII.flip_order][..., ::-1], atol=1e-5)
    np.testing.assert_array_equal(mirrored.weight, plain.weight[MPII.flip_order])


def test_people_without_sides_are_not_mirrored(tmp_path):
    (tmp_path / "keypoints.csv").write_text("image,a_x,a_y,b_x,b_y\na.png,1,2,3,4\n")
    with pytest.raises(ValueError, match="skeleton keypoints has no flip pairs, which mirrored people need; name the"):
        KeypointFolder(tmp_path, augmentation=Augmentation())
    assert len(KeypointFolder(tmp_path, augmentation=Augmentation(mirrored=0))) == 1
    (tmp_path / "keypoints.csv").write_text("image,a_x,a_y\na.png,1,2\n")
    assert len(KeypointFolder(tmp_path, augmentation=Augmentation())) == 1  # one keypoint changes places with none


def test_published_examples_have_whole_cells_and_count_what_is_seen(tmp_path):
    root = trees.mpii(tmp_path)
    example = Mpii(root, published=True)[0]
    assert isinstance(example.crop, PublishedCrop)
    assert example.weight[[0, 3, 5]].tolist() == [0, 0, 0] and example.weight.sum() == 13
    assert (example.heatmaps[example.weight > 0].max((1, 2)) == 1).all() and not example.heatmaps[0].any()
    assert Mpii(root)[0].weight[3] == 1  # hidden, and learnt all the same
    cauchy = Mpii(root, targets=Targets(sigma=2, shape="cauchy"))[0]
    assert cauchy.heatmaps.max() <= 1 / 4


def test_randomness_is_of_seed_epoch_and_index(tmp_path):
    root = trees.coco(tmp_path)

    def images(workers: int, seed: int = 0, epochs: tuple[int, ...] = (0, 1)) -> list[torch.Tensor]:
        dataset = CocoKeypoints(root, augmentation=Augmentation(), size=(64, 64), seed=seed)
        loader = DataLoader(dataset, 2, collate_fn=collate, num_workers=workers, persistent_workers=workers > 0)
        batches = []
        for epoch in epochs:
            dataset.set_epoch(epoch)
            batches += [batch.image for batch in loader]
        return batches

    here, there = images(0), images(1)
    assert all(map(torch.equal, here, there)) and not torch.equal(here[0], here[2])
    assert torch.equal(images(0, epochs=(1,))[0], here[2]) and not torch.equal(images(0, seed=1)[0], here[0])
    dataset = CocoKeypoints(root, augmentation=Augmentation(), size=(64, 64))
    sample = pickle.loads(pickle.dumps(dataset)).sample(1, epoch=1)
    dataset.set_epoch(1)
    np.testing.assert_array_equal(sample.image, dataset[1].image)
    assert dataset.epoch == 1


def test_collate(tmp_path):
    dataset = Mpii(trees.mpii(tmp_path), "trainval", size=(64, 64))
    batch = collate(list(map(dataset.__getitem__, range(3))), dataset.mean, NO_STD)
    assert (
        batch.image.shape == (3, 3, 64, 64)
        and batch.heatmaps.shape == (3, 16, 16, 16)
        and batch.weight.shape == (3, 16)
    )
    expected = dataset[1].image - np.float32(MEAN)
    np.testing.assert_allclose(batch.image[1].permute(1, 2, 0), expected, atol=1e-6)
    assert batch.name[2] == "000000002_2" and batch.skipped == ()


def test_a_bad_picture_is_named_or_skipped(tmp_path):
    root = trees.coco(tmp_path)
    (root / "val2017/000000000139.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="000000000139.jpg is not a whole picture"):
        CocoKeypoints(root)[0]
    example = CocoKeypoints(root, on_error="skip")[0]
    assert isinstance(example, KeypointExample) and example.person.name == "285_2"
    assert len(example.skipped) == 1 and "000000000139.jpg" in example.skipped[0]
    (root / "val2017/000000000285.jpg").unlink()
    with pytest.raises(ValueError, match="3 people in a row cannot be read: .*000000000285.jpg does not exist"):
        CocoKeypoints(root, on_error="skip")[0]


def test_pictures_are_turned_as_the_annotations_have_them(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    stored = trees.picture(height=3, width=4)
    Image.fromarray(stored).save(trees.own(tmp_path / "own") / "a.png", exif=exif)
    np.testing.assert_array_equal(KeypointFolder(tmp_path / "own").read(0).image, np.rot90(stored, -1))
    Image.fromarray(stored).save(trees.lsp(tmp_path / "lsp") / "images/im0001.jpg", exif=exif)
    sample = Lsp(tmp_path / "lsp").read(0)
    assert sample.image.shape == (3, 4, 3) and sample.person.window.x == 1.5
    assert not Mpii.upright and CocoKeypoints.upright


def test_base_errors(tmp_path):
    root = trees.own(tmp_path)
    for options, message in (
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"size": (63, 64)}, r"size is \(63, 64\); it is height and width of the crop, both multiples of 4"),
        ({"size": (64, 128), "published": True}, "the published crop is square"),
    ):
        with pytest.raises(ValueError, match=message):
            KeypointFolder(root, **options)
    with pytest.raises(IndexError, match="has 2 people; there is no number 2"):
        KeypointFolder(root)[2]


def test_registry(tmp_path):
    assert isinstance(create_keypoint_dataset("coco", trees.coco(tmp_path))[0].crop, Crop)
    assert len(create_keypoint_dataset("folder", trees.own(tmp_path))) == 2
    assert KEYPOINT_DATASETS["mpii"].measure == "pckh"
    with pytest.raises(ValueError, match="there is no set 'aic'; known are mpii, lsp, lsp_extended, coco"):
        create_keypoint_dataset("aic", tmp_path)
    with pytest.raises(ValueError, match="folder has no splits"):
        create_keypoint_dataset("folder", tmp_path, "train")
