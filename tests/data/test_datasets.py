"""The sets: official trees in, known pixels out; and what each says of a tree that is not right."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from stereohg.data.check import recognise
from stereohg.data.eth3d import Eth3d
from stereohg.data.folder import StereoFolder
from stereohg.data.kitti import GWCNET_VAL_2012, GWCNET_VAL_2015, Kitti2012, Kitti2015
from stereohg.data.middlebury import Middlebury
from stereohg.data.preprocess import as_rgb, to_tensor
from stereohg.data.registry import create_dataset
from stereohg.data.sceneflow import SceneFlow
from stereohg.data.stereo import StereoFiles, collate, match
from stereohg.data.synthetic import KeptScenes, SyntheticStereo
from stereohg.data.synthetic.pairs import SyntheticPairs
from stereohg.data.transforms import HorizontalFlip, RandomCrop
from tests import trees

ROW = 16
THERE = trees.BASE + ROW / 8  # the disparity of that row


def assert_dense(sample, seed):
    left, right = trees.pictures(seed)
    np.testing.assert_array_equal(sample.left, left)
    np.testing.assert_array_equal(sample.right, right)
    np.testing.assert_array_equal(sample.disparity, trees.disparity())
    assert sample.valid.all() and sample.disparity.dtype == np.float32 and sample.valid.dtype == bool


def assert_sparse(sample, seed=0):
    np.testing.assert_array_equal(sample.left, trees.pictures(seed)[0])
    assert sample.disparity[ROW, 40] == THERE
    assert not sample.valid[trees.UNKNOWN].any() and sample.valid[6:].all()
    assert (sample.disparity[trees.UNKNOWN] == 0).all()


# --- Scene Flow -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", ["folders", "merged", "gwcnet", "psmnet"])
@pytest.mark.parametrize("sign", [1, -1])
def test_scene_flow(tmp_path, tree, sign):
    trees.scene_flow(tmp_path, tree, sign)
    train = SceneFlow(tmp_path, images="cleanpass")
    assert [files.name for files in train.files] == [
        "driving/15mm_focallength/scene_forwards/fast/0001",
        "driving/35mm_focallength/scene_backwards/slow/0001",
        "flyingthings3d/TRAIN/A/0000/0006",
        "flyingthings3d/TRAIN/C/0001/0006",
        "monkaa/a_rain_of_stones_x2/0000",
    ]
    for index, scene in enumerate((*trees.DRIVING, *trees.FLYING[:2], *trees.MONKAA)):
        assert_dense(train[index], len(scene))
    test = SceneFlow(tmp_path, "test", "cleanpass")
    assert [files.name for files in test.files] == ["flyingthings3d/TEST/B/0002/0006"]
    assert test[0].disparity[ROW, 0] == THERE and test[0].right_disparity is None


def test_scene_flow_in_webp(tmp_path):
    """As Freiburg packs it, too."""
    expected = [files.name for files in SceneFlow(trees.scene_flow(tmp_path), images="cleanpass").files]
    for folder in list(tmp_path.rglob("*frames_cleanpass")):
        folder.rename(folder.with_name(f"{folder.name}_webp"))
    for picture in list(tmp_path.rglob("*.png")):
        Image.open(picture).save(picture.with_suffix(".webp"), lossless=True)
        picture.unlink()
    there = SceneFlow(tmp_path, images="cleanpass")
    assert [files.name for files in there.files] == expected and there[0].left.shape == (trees.HEIGHT, trees.WIDTH, 3)


def test_scene_flow_final_pass_and_parts(tmp_path):
    trees.scene_flow(tmp_path, images="finalpass")
    (one,) = SceneFlow(tmp_path, parts=["monkaa"])
    assert one.name == "monkaa/a_rain_of_stones_x2/0000"
    with pytest.raises(FileNotFoundError, match="has nothing of flyingthings3d's train part, cleanpass"):
        SceneFlow(tmp_path, images="cleanpass")
    with pytest.raises(ValueError, match="FlyingThings3D alone has a test part"):
        SceneFlow(tmp_path, "test", parts=["monkaa"])
    for wrong in ({"images": "clean"}, {"split": "val"}, {"parts": ["sintel"]}, {"view": "top"}):
        with pytest.raises(ValueError, match="known are"):
            SceneFlow(tmp_path, **wrong)


def test_scene_flow_right_view(tmp_path):
    trees.scene_flow(tmp_path, sign=-1)
    sample = SceneFlow(tmp_path, images="cleanpass", parts=["monkaa"], view="right")[0]
    left, right = trees.pictures(len(trees.MONKAA[0]))
    np.testing.assert_array_equal(sample.left, right[:, ::-1])
    np.testing.assert_array_equal(sample.right, left[:, ::-1])
    assert sample.disparity[ROW, 5] == sample.right_disparity[ROW, 5] == THERE
    shutil.rmtree(tmp_path / "monkaa" / "disparity" / "a_rain_of_stones_x2" / "right")
    with pytest.raises(ValueError, match=r"left.0000.png has no right disparity"):
        SceneFlow(tmp_path, images="cleanpass", parts=["monkaa"], view="right")


def test_scene_flow_by_a_wrong_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="is KITTI 2015, whose archive is called data_scene_flow.zip"):
        SceneFlow(trees.kitti(tmp_path, 2015))
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        SceneFlow(tmp_path / "nowhere")


def test_scene_flow_misplaced_twice_and_alone(tmp_path):
    trees.scene_flow(tmp_path, "merged")
    frames = tmp_path / "frames_cleanpass"
    shutil.copytree(frames / "a_rain_of_stones_x2", frames / "TRAIN" / "a_rain_of_stones_x2")
    shutil.copytree(frames / "TRAIN" / "A", frames / "TRAIN" / "D")
    (tmp_path / "disparity/TRAIN/A/0000/left/0006.pfm").unlink()
    problems = SceneFlow(tmp_path, images="cleanpass", on_error="skip").problems
    assert sum("are the same frame; keep one" in problem for problem in problems) == 2
    assert sum("D/0000/left/0006.png is not where Scene Flow has its files" in problem for problem in problems) == 1
    assert any(problem.endswith("A/0000/left/0006.png has no disparity of its name") for problem in problems)
    with pytest.raises(ValueError, match="more; `stereohg data check` lists all"):
        SceneFlow(tmp_path, images="cleanpass")


def test_the_few_pixels_of_the_other_sign_are_unknown(tmp_path):
    trees.scene_flow(tmp_path)
    odd = -trees.disparity()
    odd[0, 0] = 2
    trees.save_released_pfm(tmp_path / "monkaa/disparity/a_rain_of_stones_x2/left/0000.pfm", odd)
    sample = SceneFlow(tmp_path, images="cleanpass", parts=["monkaa"])[0]
    assert sample.disparity[ROW, 0] == THERE and sample.valid.sum() == sample.valid.size - 1
    assert not sample.valid[0, 0] and sample.disparity[0, 0] == 0


def sparse_folder(root, unknown, known=12.0, rows=3):
    """A pair of which the first rows are known."""
    trees.own_folders(root, ".npy")
    values = np.full((trees.HEIGHT, trees.WIDTH), unknown, np.float32)
    values[:rows] = known
    np.save(root / "disparity/a.npy", values)
    return StereoFolder(root)[0]


@pytest.mark.parametrize("unknown", [-1, -16, -999])
def test_a_negative_code_is_unknown_wherever_it_stands(tmp_path, unknown):
    """Most of a sparse map is unknown, and says nothing of the sign of the rest."""
    sample = sparse_folder(tmp_path, unknown)
    assert sample.valid[:3].all() and not sample.valid[3:].any()
    assert (sample.disparity[:3] == 12).all() and (sample.disparity[3:] == 0).all()


def test_several_codes_turn_no_map_round(tmp_path):
    """Fewer values than there are true ones: 12, 13 and 14."""
    trees.own_folders(tmp_path, ".npy")
    values = np.full((trees.HEIGHT, trees.WIDTH), -1, np.float32)
    values[:3] = [[12], [13], [14]]
    values[5, 5] = -2
    np.save(tmp_path / "disparity/a.npy", values)
    sample = StereoFolder(tmp_path)[0]
    assert sample.valid[:3].all() and sample.valid.sum() == 3 * trees.WIDTH and sample.disparity.max() == 14


@pytest.mark.parametrize("unknown", [-1, -16])
def test_nothing_but_the_code_is_nothing_known(tmp_path, unknown):
    assert not sparse_folder(tmp_path, unknown, known=unknown).valid.any()


# --- KITTI ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, year", [(Kitti2012, 2012), (Kitti2015, 2015)])
def test_kitti(tmp_path, kind, year):
    trees.kitti(tmp_path, year)
    dataset = kind(tmp_path)
    assert [files.name for files in dataset.files] == [f"{n:06d}_10" for n in (0, 1, 159, 160, 187)]
    sample = dataset[3]
    assert_sparse(sample, 160)
    assert not sample.visible[trees.HIDDEN].any() and sample.visible[6:, 12:].all()
    noc = kind(tmp_path, ground_truth="noc")[0]
    np.testing.assert_array_equal(noc.valid, sample.visible)
    if year == 2015:
        assert sample.foreground[trees.OBJECT].all() and sample.foreground.sum() == 10 * 20
    else:
        assert sample.foreground is None
    (test,) = kind(tmp_path, "testing")
    assert test.name == "000003_10" and not test.valid.any() and test.disparity.shape == test.size


@pytest.mark.parametrize(
    "kind, year, split, numbers",
    [
        (Kitti2012, 2012, "gwcnet_train", [0, 1, 159, 160]),
        (Kitti2012, 2012, "gwcnet_val", [187]),
        (Kitti2015, 2015, "gwcnet_train", [0, 160]),
        (Kitti2015, 2015, "gwcnet_val", [1, 159, 187]),
        (Kitti2015, 2015, "psmnet_train", [0, 1, 159]),
        (Kitti2015, 2015, "psmnet_val", [160, 187]),
    ],
)
def test_kitti_published_splits(tmp_path, kind, year, split, numbers):
    trees.kitti(tmp_path, year)
    assert [int(files.name[:6]) for files in kind(tmp_path, split).files] == numbers


@pytest.mark.parametrize(("kind", "year"), [(Kitti2012, 2012), (Kitti2015, 2015)])
def test_kitti_cameras_where_they_were_unpacked(tmp_path, kind, year):
    root = trees.kitti(tmp_path, year)
    assert kind(root).calibration(0) is None
    folder = root / "training" / ("calib" if year == 2012 else "calib_cam_to_cam")
    folder.mkdir()
    lines = ("P2: 700 0 600 42 0 700 180 0 0 0 1 0", "P3: 700 0 600 -336 0 700 180 0 0 0 1 0")
    (folder / "000001.txt").write_text("\n".join(lines))
    assert kind(root).calibration(0) is None
    assert kind(root).calibration(1).baseline == pytest.approx(0.54)


def test_kitti_split_sizes():
    assert len(GWCNET_VAL_2012) == 14 and len(GWCNET_VAL_2015) == 20


def test_kitti_errors(tmp_path):
    trees.kitti(tmp_path, 2015, (0,))
    with pytest.raises(ValueError, match="split is 'val'; known are training"):
        Kitti2015(tmp_path, "val")
    with pytest.raises(ValueError, match="ground_truth is 'all'"):
        Kitti2015(tmp_path, ground_truth="all")
    with pytest.raises(FileNotFoundError, match=r"nothing of Kitti2012 in it; expected was training/colored_0"):
        Kitti2012(tmp_path)
    eight_bits = tmp_path / "training/disp_occ_0/000000_10.png"
    trees.save_picture(eight_bits, np.ones((trees.HEIGHT, trees.WIDTH), np.uint8), "L")
    with pytest.raises(ValueError, match="disp_occ_0/000000_10.png holds 8-bit integers"):
        Kitti2015(tmp_path)[0]
    (tmp_path / "training/image_3/000000_10.png").unlink()
    with pytest.raises(ValueError, match="image_2/000000_10.png has no right of its name"):
        Kitti2015(tmp_path)


# --- Middlebury, ETH3D ----------------------------------------------------------------------------------------------


def test_middlebury(tmp_path):
    trees.middlebury(tmp_path)
    dataset = Middlebury(tmp_path, right_truth=True)
    adirondack, motorcycle = dataset
    assert (adirondack.name, motorcycle.name) == ("Adirondack", "Motorcycle")
    assert_sparse(motorcycle)
    assert not motorcycle.visible[trees.HIDDEN].any() and motorcycle.visible[ROW, 12]
    assert adirondack.right_disparity is None and motorcycle.right_disparity[ROW, 40] == THERE  # big-endian
    assert dataset.calibration(0).baseline == pytest.approx(0.193001)
    test = Middlebury(tmp_path, "testQ")
    assert not test[0].valid.any() and test.calibration(0).ndisp == 70
    for wrong in ({"split": "trainingX"}, {"right": "im1E"}):
        with pytest.raises(ValueError, match="known are|right is"):
            Middlebury(tmp_path, **wrong)
    with pytest.raises(FileNotFoundError, match="expected was trainingH/SCENE/im0.png"):
        Middlebury(tmp_path, "trainingH")


def test_middlebury_2014(tmp_path):
    trees.middlebury2014(tmp_path)
    first, second = Middlebury(tmp_path, "2014")
    assert (first.name, second.name) == ("Pipes-imperfect", "Pipes-perfect") and first.visible is None
    assert_sparse(first)
    dark = Middlebury(tmp_path, "2014", right="im1E")[0]
    np.testing.assert_array_equal(dark.right, first.right // 2)
    with pytest.raises(ValueError, match="im0.png has no right of its name"):
        Middlebury(tmp_path, "2014", right="im1L")


def test_eth3d(tmp_path):
    trees.eth3d(tmp_path)
    dataset = Eth3d(tmp_path)
    (sample,) = dataset
    assert sample.name == "delivery_area_1l" and sample.disparity[ROW, 40] == THERE
    assert (sample.left[..., 0] == sample.left[..., 2]).all()  # grey pictures, three channels
    assert sample.visible[ROW, 12] and not sample.visible[ROW, 11] and not sample.valid[0].any()
    (test,) = Eth3d(tmp_path, "test")
    assert not test.valid.any()
    (tmp_path / "two_view_test").rename(tmp_path / "two_view_testing")
    assert len(Eth3d(tmp_path, "test")) == 1 and dataset.calibration(0).doffs == 31.086
    with pytest.raises(ValueError, match="split is 'val'"):
        Eth3d(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match="expected was two_view_training/SCENE/im0.png"):
        Eth3d(tmp_path / "two_view_training")


# --- one's own ------------------------------------------------------------------------------------------------------


def test_eth3d_unpacked_into_one_folder(tmp_path):
    trees.eth3d(tmp_path)
    for part in ("two_view_training", "two_view_training_gt"):
        for scene in (tmp_path / part).iterdir():
            (tmp_path / scene.name).mkdir(exist_ok=True)
            for file in scene.iterdir():
                file.rename(tmp_path / scene.name / file.name)
            scene.rmdir()
        (tmp_path / part).rmdir()
    sample = Eth3d(tmp_path)[0]
    assert sample.valid.any() and sample.visible is not None and recognise(tmp_path) == "eth3d"


@pytest.mark.parametrize("ending", [".pfm", ".png", ".npy", ".tiff"])
def test_parallel_folders(tmp_path, ending):
    first, second = StereoFolder(trees.own_folders(tmp_path, ending))
    assert (first.name, second.name) == ("a", "b")
    assert_sparse(first)


def test_folders_without_truth_or_with_some(tmp_path):
    trees.own_folders(tmp_path)
    (tmp_path / "disparity/b.pfm").rename(tmp_path / "disparity/c.pfm")
    with pytest.raises(ValueError, match=r"left/b.png has no disparity of its name; .*c.pfm has no pair of its name"):
        StereoFolder(tmp_path)
    assert [files.name for files in StereoFolder(tmp_path, on_error="skip").files] == ["a"]
    np.save(tmp_path / "disparity/a.npy", trees.disparity())
    with pytest.raises(ValueError, match="both named 'a'"):
        StereoFolder(tmp_path)
    shutil.rmtree(tmp_path / "disparity")
    assert not StereoFolder(tmp_path)[1].valid.any()
    with pytest.raises(ValueError, match="a root belongs to a table or list"):
        StereoFolder(tmp_path, root=tmp_path)


@pytest.mark.parametrize("file", ["pairs.csv", "lists/pairs.txt"])
def test_lists(tmp_path, file):
    trees.own_folders(tmp_path, ".png")
    source = tmp_path / file
    source.parent.mkdir(exist_ok=True)
    rows = [["left/b.png", "right/b.png", "disparity/b.png"], ["left/a.png", "right/a.png"]]
    if source.suffix == ".csv":
        source.write_text(
            "left, right, disparity, weather\n" + "".join(", ".join([*r, "", ""][:4]) + "\n" for r in rows)
        )
    else:
        source.write_text("".join(" ".join(row) + "\n" for row in rows) + "\n")
    first, second = StereoFolder(source, root=tmp_path, scale=128)
    assert (first.name, second.name) == ("left/b", "left/a")  # in the list's order
    assert first.disparity[ROW, 40] == 2 * THERE and not second.valid.any()


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("p.txt", "left/a.png\n", "line 1: 1 names"),
        ("p.txt", "\n\n", "lists no pair"),
        ("p.txt", "left/a.png right/z.png\n", r"line 1: .*z.png not found"),
        ("p.txt", "left/a.png right/a.png\n\nleft/a.png right/b.png\n", "line 3: left/a is in line 1 already"),
        ("p.csv", "image,right\n", "columns image, right; left and right are needed"),
        ("p.csv", "left,right,disp\n", "has a column 'disp', .* is it to be 'disparity'"),
        (
            "p.csv",
            "left,right\nleft/a.png,right/a.png,,d.pfm\n",
            "line 2 has 4 cells, and the first .* 2 columns",
        ),
        ("p.csv", "left,right\nleft/a.png,\n", "line 2: a line has a left and a right"),
        ("p.json", "{}", "neither a folder nor a table"),
        ("p.csv", b"left,right,wo\nleft/a.png,right/a.png,M\xfcnchen\n", "p.csv is not in UTF-8 .*; save it again"),
    ],
)
def test_list_errors(tmp_path, name, text, message):
    trees.own_folders(tmp_path)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        StereoFolder(tmp_path / name)


@pytest.mark.parametrize(
    "name, text", [("p.txt", "left/a.png right/a.png\n"), ("p.csv", "left,right\nleft/a.png,right/a.png")]
)
def test_lists_of_windows(tmp_path, name, text):
    """With a byte order mark, and both characters at the end of a line."""
    trees.own_folders(tmp_path)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [files.name for files in StereoFolder(tmp_path / name).files] == ["left/a"]


def test_a_folder_without_a_side(tmp_path):
    (tmp_path / "left").mkdir()
    with pytest.raises(FileNotFoundError, match="has no folder 'right'"):
        StereoFolder(tmp_path)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="pairs.txt does not exist"):
        StereoFolder(tmp_path / "pairs.txt")


# --- the base -------------------------------------------------------------------------------------------------------


def test_files_of_other_sizes_are_named(tmp_path):
    trees.own_folders(tmp_path)
    trees.save_released_pfm(tmp_path / "disparity/a.pfm", np.ones((9, 8), np.float32))
    with pytest.raises(ValueError, match=r"disparity/a.pfm is 8x9 pixels, and .*left/a.png 96x48"):
        StereoFolder(tmp_path)[0]
    trees.save_picture(tmp_path / "right/b.png", trees.pictures()[1][:-2])
    with pytest.raises(ValueError, match=r"right/b.png is 96x46"):
        StereoFolder(tmp_path)[1]


def test_a_bad_file_is_named_or_skipped(tmp_path):
    trees.own_folders(tmp_path)
    path = tmp_path / "disparity/b.pfm"
    path.write_bytes(path.read_bytes()[:-4])
    message = f"disparity/b.pfm is cut short: its header announces 96x48 pixels, {4 * 96 * 48} bytes, and "
    with pytest.raises(ValueError, match=message):
        StereoFolder(tmp_path)[1]
    dataset = StereoFolder(tmp_path, on_error="skip")
    batch = next(iter(DataLoader(dataset, 2, collate_fn=collate, num_workers=1)))
    assert batch.name == ["a", "a"] and len(batch.skipped) == 1 and "b.pfm is cut short" in batch.skipped[0]
    (tmp_path / "left/a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="2 pairs in a row cannot be read"):
        dataset[0]
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        StereoFolder(tmp_path, on_error="ignore")
    with pytest.raises(IndexError, match="there is no number 2"):
        dataset[2]


def test_randomness_is_of_seed_epoch_and_index(tmp_path):
    trees.own_folders(tmp_path)

    def lefts(workers: int, seed: int = 0, epochs: tuple[int, ...] = (0, 1)) -> list[torch.Tensor]:
        dataset = StereoFolder(tmp_path, transform=RandomCrop(16, 32), seed=seed)
        loader = DataLoader(dataset, 2, collate_fn=collate, num_workers=workers, persistent_workers=workers > 0)
        batches = []
        for epoch in epochs:
            dataset.set_epoch(epoch)
            batches += [batch.left for batch in loader]
        return batches

    here, there = lefts(0), lefts(1)
    assert all(map(torch.equal, here, there)) and not torch.equal(here[0], here[1])
    assert torch.equal(lefts(0, epochs=(1,))[0], here[1]) and not torch.equal(lefts(0, seed=1)[0], here[0])


def test_a_set_can_be_sent_to_another_process(tmp_path):
    dataset = StereoFolder(trees.own_folders(tmp_path), transform=RandomCrop(16, 32), on_error="skip")
    dataset.set_epoch(2)
    there = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(there[1].left, dataset[1].left)
    assert there.epoch == 2


def test_right_truth_is_read_when_there_is_a_use_for_it(tmp_path):
    trees.scene_flow(tmp_path)
    options = {"images": "cleanpass", "parts": ["monkaa"]}
    flipped = SceneFlow(tmp_path, **options, transform=HorizontalFlip(1.0))[0]
    assert flipped.right_disparity is not None
    np.testing.assert_array_equal(flipped.left, SceneFlow(tmp_path, **options)[0].right[:, ::-1])


def test_collate(tmp_path):
    trees.kitti(tmp_path, 2015, (0, 1))
    samples = list(Kitti2015(tmp_path))
    batch = collate(samples)
    assert batch.left.shape == (2, 3, trees.HEIGHT, trees.WIDTH) and batch.left.dtype == torch.float32
    assert torch.equal(batch.right[1], to_tensor(as_rgb(samples[1].right)))
    assert batch.disparity[1, ROW, 40] == THERE and batch.valid.dtype == torch.bool and batch.name[1] == "000001_10"
    assert batch.skipped == ()
    assert collate(samples, (0, 0, 0), (1, 1, 1)).left.max() <= 1
    small = RandomCrop(16, 32)(samples[0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="000000_10 32x16, 000001_10 96x48"):
        collate([small, samples[1]])


def test_match_is_by_name(tmp_path):
    listing = match({"left": {"b": 1, "a": 2}, "right": {"c": 3, "a": 4}}, {"calibration": {"a": 5, "z": 6}})
    assert listing.files == [StereoFiles("a", 2, 4, calibration=5)]
    assert listing.problems == ["1 has no right of its name", "3 has no left of its name"]


def test_mirrored_needs_the_right_truth(tmp_path):
    sample = StereoFolder(trees.own_folders(tmp_path))[0]
    with pytest.raises(ValueError, match="a has no ground truth of its right picture"):
        sample.mirrored()


def test_synthetic_pairs_are_new_every_epoch():
    scenes = SyntheticStereo(48, 96, max_disp=24)
    dataset = SyntheticPairs(scenes, 2)
    dataset.set_epoch(3)
    first, second = dataset
    np.testing.assert_array_equal(second.left, scenes[7].left)
    np.testing.assert_array_equal(first.visible, ~scenes[6].occluded)
    assert first.name == "scene_6" and first.valid.all() and len(dataset) == 2


def test_kept_scenes_are_rendered_once(tmp_path, monkeypatch):
    def dataset(seed):
        return create_dataset("synthetic", length=2, height=48, width=96, max_disp=24, keep=tmp_path, seed=seed)

    first, other = dataset(0)[1], dataset(1)[1]
    monkeypatch.setattr(SyntheticStereo, "__getitem__", None)  # nothing can be rendered from here on
    again = dataset(0)
    again.set_epoch(3)  # every epoch has the scenes of the first
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(getattr(again[1], name), array)
    assert not np.array_equal(other.left, first.left)
    np.testing.assert_array_equal(dataset(1)[1].left, other.left)


def test_damaged_kept_scenes_are_rendered_anew(tmp_path):
    scenes = SyntheticStereo(48, 96, max_disp=24)
    kept = KeptScenes(scenes, tmp_path)
    kept[0]
    whole = kept.path(0).read_bytes()
    kept.path(0).write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(kept[0].left, scenes[0].left)
    assert kept.path(0).read_bytes() == whole
    kept.path(0).write_bytes(b"")
    np.testing.assert_array_equal(kept[0].left, scenes[0].left)
    assert len(list(tmp_path.rglob("*.npz"))) == 1


def test_seeds_do_not_share_kept_scenes(tmp_path):
    one, next_one = (KeptScenes(SyntheticStereo(seed=seed), tmp_path).path(0) for seed in (987654321, 987654322))
    assert one != next_one


def test_a_split_of_which_a_part_of_kitti_has_nothing_is_told(tmp_path):
    root = trees.kitti(tmp_path, 2015, (0, 1))
    with pytest.raises(FileNotFoundError, match="image_2 has 2 pictures, and none of the split psmnet_val"):
        create_dataset("kitti2015", root, "psmnet_val")
