"""Evaluation of a stand-in network whose answer is known, on the small official trees; every figure can be recounted.

Row y of these trees has the disparity 4 + y/8, known from row 6 to 47. The network answers 5.5625, |y - 12.5|/8 off: on
average 637/8/42 pixels; above 0.5 in 34 of the 42 rows, above 1 in 27, above 2 in 19, above 3 (and 5 %) in 11.
"""

import csv
import json
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from stereohg.commands.evaluate import evaluate as command
from stereohg.data.folder import StereoFolder
from stereohg.data.kitti import Kitti2015
from stereohg.data.registry import DATASETS, create_dataset
from stereohg.data.workers import STOPPING_SIGNALS
from stereohg.evaluation import Evaluation, evaluate, evaluate_share, save_figures
from stereohg.files import write_pfm
from stereohg.models.stereo import StereoNetwork
from stereohg.prediction import Predictor
from stereohg.protocols import FULL, Protocol, choose_protocol
from tests import trees

ANSWER = 5.5625
EPE, ROWS = 637 / 8 / 42, 42


class Answers(StereoNetwork):
    """Answers ``value`` plus ``gain`` times the left picture's mean; records what it is fed."""

    def __init__(self, value: float = ANSWER, gain: float = 0.0):
        super().__init__(64)
        self.value, self.gain, self.fed = value, gain, []

    def __deepcopy__(self, memo):
        return self  # what it was fed is asked of it

    def forward_with_similarities(self, left, right):
        self.check_input(left, right)
        self.fed.append(left)
        batch, _, height, width = left.shape
        means = torch.stack([picture.double().mean() for picture in left]).float()
        answer = (self.value + self.gain * means)[:, None, None].expand(batch, height, width)
        return [answer], [torch.zeros(batch, self.num_levels, height // 4, width // 4)]


def run(dataset, protocol=FULL, network=None, **options):
    return evaluate(Predictor(network or Answers()), dataset, protocol, **options)


@pytest.fixture
def kitti(tmp_path):
    return trees.kitti(tmp_path, 2015, (0, 1))


def know_only(path, rows, value=None):
    """Rewrites a PFM so that only some rows are known."""
    values = np.full((trees.HEIGHT, trees.WIDTH), np.inf, np.float32)
    values[rows] = trees.disparity()[rows] if value is None else value
    write_pfm(path, values)


# --- figures --------------------------------------------------------------------------------------------------------


def test_figures_by_hand(kitti):
    document = run(Kitti2015(kitti)).summary()
    whole = document["regions"]["all"]
    assert (whole["images"], whole["pixels"]) == (2, 2 * ROWS * trees.WIDTH)
    squares = sum((y - 12.5) ** 2 for y in range(6, 48)) / 64
    bad = {"bad_0.5": 34, "bad_1": 27, "bad_2": 19, "bad_3": 11, "d1": 11}
    expected = {"epe": EPE, "rmse": (squares / ROWS) ** 0.5, **{name: 100 * n / ROWS for name, n in bad.items()}}
    assert whole["per_pixel"] == pytest.approx(expected, rel=1e-12)
    assert whole["per_image"] == pytest.approx(expected, rel=1e-12)
    assert document["masked_pixels"] == {"without ground truth": 2 * 6 * trees.WIDTH} and document["skipped"] == []


def test_regions_by_hand(kitti):
    regions = run(Kitti2015(kitti)).summary()["regions"]
    assert list(regions) == ["all", "noc", "hidden", "fg", "bg"]
    pixels = {name: own["pixels"] // 2 for name, own in regions.items()}
    assert pixels == {"all": 42 * 96, "noc": 42 * 84, "hidden": 42 * 12, "fg": 10 * 20, "bg": 42 * 96 - 200}
    # objects are in rows 10 to 19: (2.5 + 1.5 + 0.5 + 0.5 + ... + 6.5) / 8 / 10
    assert regions["fg"]["per_pixel"]["epe"] == pytest.approx((4.5 + 24.5) / 80)
    assert regions["hidden"]["per_pixel"]["epe"] == pytest.approx(EPE)


def test_a_region_that_the_set_does_not_know_is_left_out(tmp_path):
    assert list(run(StereoFolder(trees.own_folders(tmp_path))).regions()) == ["all"]


def test_pixels_and_images_weigh_differently(tmp_path):
    root = trees.own_folders(tmp_path)
    know_only(root / "disparity" / "b.pfm", np.s_[44:45])  # 31.5 / 8 off, in one row
    regions = run(StereoFolder(root)).summary()["regions"]["all"]
    assert regions["per_image"]["epe"] == pytest.approx((EPE + 31.5 / 8) / 2)
    assert regions["per_pixel"]["epe"] == pytest.approx((42 * EPE + 31.5 / 8) / 43)
    assert (regions["per_image"]["bad_3"], regions["per_pixel"]["bad_3"]) == pytest.approx((100 * 53 / 84, 1200 / 43))


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"batch_size": 5}, {"workers": 1, "batch_size": 3}])
def test_nothing_depends_on_the_batches(tmp_path, options):
    root = trees.kitti(tmp_path, 2015)
    for folder in ("image_2", "image_3", "disp_occ_0", "disp_noc_0", "obj_map"):  # the second of five is smaller
        path = root / "training" / folder / "000001_10.png"
        with Image.open(path) as image:
            image.crop((0, 0, 80, 40)).save(path)
    network = Answers(gain=0.5)
    batches = run(Kitti2015(root), network=network, **options)
    assert max(len(left) for left in network.fed) == min(options["batch_size"], 3)
    alone = run(Kitti2015(root), network=Answers(gain=0.5))
    assert batches.summary() == alone.summary() and batches.pairs == alone.pairs


def joined(shares):
    pairs, skipped = ([entry for share in shares for entry in getattr(share, name)] for name in ("pairs", "skipped"))
    return Evaluation(FULL, sorted(pairs, key=lambda pair: pair.index), skipped)


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_shares_together_are_the_whole(tmp_path, processes):
    root = trees.kitti(tmp_path, 2015)  # five pairs, so that two of seven processes have none
    (root / "training" / "image_3" / "000159_10.png").write_bytes(b"no picture")
    (root / "training" / "disp_occ_0" / "000007_10.png").touch()
    dataset, predictor = Kitti2015(root, on_error="skip"), Predictor(Answers(gain=0.5))
    shares = [
        evaluate_share(predictor, dataset, FULL, range(rank, len(dataset), processes)) for rank in range(processes)
    ]
    whole, together = evaluate(predictor, dataset), joined(shares).check()
    assert together.pairs == whole.pairs and together.figures() == whole.figures()
    assert sorted(pair.name for pair in together.skipped) == ["", "000159_10"]
    assert len(whole.pairs) == 4 and len(whole.skipped) == 2


def test_a_share_of_nothing_is_no_error(kitti):
    share = evaluate_share(Predictor(Answers()), Kitti2015(kitti), FULL, [])
    assert (share.pairs, share.skipped, share.figures()) == ([], [], {})
    with pytest.raises(ValueError, match="of 0 pairs none gives a figure"):
        share.check()


# --- what does not count --------------------------------------------------------------------------------------------


def test_a_pair_without_truth_is_skipped_and_not_perfect(tmp_path):
    root = trees.own_folders(tmp_path)
    know_only(root / "disparity" / "a.pfm", np.s_[:0])
    told = []
    result = run(StereoFolder(root), on_pair=told.append)
    assert [pair.name for pair in result.pairs] == ["b"] and len(told) == 2
    (skipped,) = result.skipped
    assert (skipped.name, skipped.failed) == ("a", False)
    assert skipped.reason == f"no pixel counts: {48 * 96} without ground truth"
    assert result.summary()["regions"]["all"]["per_image"]["epe"] == pytest.approx(EPE)


def test_an_unreadable_pair_is_skipped_and_no_other_takes_its_place(kitti):
    (kitti / "training" / "image_3" / "000000_10.png").write_bytes(b"no picture")
    (kitti / "training" / "disp_occ_0" / "000007_10.png").touch()
    result = run(Kitti2015(kitti, on_error="skip"))
    assert [pair.name for pair in result.pairs] == ["000001_10"]
    assert all(pair.failed for pair in result.skipped)
    assert "000007_10.png has no left" in result.skipped[0].reason
    assert "image_3/000000_10.png is not a whole picture" in result.skipped[1].reason.replace("\\", "/")


def test_a_set_without_any_truth_is_an_error(kitti):
    with pytest.raises(ValueError, match="of 1 pairs none gives a figure .*000003_10: no pixel counts.*ground truth"):
        run(Kitti2015(kitti, "testing"))


def test_an_answer_that_is_not_finite_is_no_pair_to_leave_out(kitti):
    with pytest.raises(ValueError, match="000000_10: prediction is not finite at 4032 of 4032"):
        run(Kitti2015(kitti), network=Answers(float("nan")))


def test_what_evaluate_does_not_take(kitti):
    with pytest.raises(ValueError, match="the set has a transform"):
        run(Kitti2015(kitti, transform=lambda sample, generator: sample))
    with pytest.raises(ValueError, match="batch_size is 0"):
        run(Kitti2015(kitti), batch_size=0)


# --- protocols ------------------------------------------------------------------------------------------------------


def test_a_range_masks_pixels_and_counts_them(kitti):
    result = run(Kitti2015(kitti), Protocol(above=5, below=8))  # rows 9 to 31
    assert result.masked() == {"without ground truth": 2 * 6 * 96, "not in 5 < d < 8": 2 * (3 + 16) * 96}
    expected = (3.5 + 2.5 + 1.5 + 0.5 + sum(y - 12.5 for y in range(13, 32))) / 8 / 23
    assert result.summary()["regions"]["all"]["per_pixel"]["epe"] == pytest.approx(expected)


def test_a_crop_is_the_bottom_right(kitti):
    network = Answers()
    result = run(Kitti2015(kitti), Protocol(crop=(16, 32)), network)
    assert network.fed[0].shape[-2:] == (16, 32)
    assert result.regions().keys() == {"all", "noc", "bg"}  # the occluded columns and the objects lie outside
    assert result.masked() == {"without ground truth": 1152, "outside the crop": 2 * (42 * 96 - 16 * 32)}
    assert result.summary()["regions"]["all"]["per_pixel"]["epe"] == pytest.approx((47 + 32 - 25) / 16)


def test_psmnet_crops_kitti_and_fills_what_is_smaller_with_black(kitti):
    network = Answers()
    result = run(Kitti2015(kitti), choose_protocol("psmnet", "kitti2015"), network)
    left = network.fed[0][0]
    assert left.shape == (3, 368, 1232)
    torch.testing.assert_close(
        left[:, 0, 0], -torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])
    )
    picture = trees.pictures(0)[0][-1, -1] / 255
    torch.testing.assert_close(left[0, -1, -1].item(), (picture[0] - 0.485) / 0.229, rtol=0, atol=1e-5)
    assert result.summary()["regions"]["all"]["per_pixel"]["epe"] == pytest.approx(EPE)


def test_gwcnet_fills_kitti_with_zeros_at_the_top_and_right(kitti):
    network = Answers()
    result = run(Kitti2015(kitti), choose_protocol("gwcnet", "kitti2012"), network)
    left = network.fed[0][0]
    assert left.shape == (3, 384, 1248)
    assert not left[:, :-48].any() and not left[:, :, 96:].any() and left[:, -48:, :96].abs().min() > 0
    assert result.summary()["regions"]["all"]["per_pixel"]["epe"] == pytest.approx(EPE)


def test_a_picture_that_is_too_large_to_be_filled_is_an_error(kitti):
    with pytest.raises(ValueError, match="000000_10 is 96x48 pixels, and small fills pictures up to 96x32"):
        run(Kitti2015(kitti), Protocol("small", padded=(32, 96)))


def test_gwcnet_skips_a_pair_of_which_less_than_a_tenth_counts(tmp_path):
    root = trees.own_folders(tmp_path)
    far = np.full((48, 96), 200, np.float32)
    for name, rows in (("a", 4), ("b", 5)):  # of 48 rows, 4.8 are a tenth
        values = far.copy()
        values[:rows] = 10
        write_pfm(root / "disparity" / f"{name}.pfm", values)
    rules = choose_protocol("gwcnet", "sceneflow")
    result = run(StereoFolder(root), Protocol("gwcnet", None, None, rules.above, rules.below, rules.least_share))
    assert [pair.name for pair in result.pairs] == ["b"]
    assert result.skipped[0].reason == "384 of 4608 known disparities are in 0 < d < 192, and gwcnet asks for 10 %"


def test_the_published_rules():
    assert choose_protocol("full", "eth3d") == Protocol()
    assert choose_protocol("psmnet", "sceneflow_clean") == Protocol("psmnet", below=192)
    assert choose_protocol("gwcnet", "sceneflow").crop == (512, 960)
    assert choose_protocol("gwcnet", "kitti2015").range() == "0 < d < 192"


def test_protocols_that_there_are_not():
    with pytest.raises(ValueError, match="rules for Scene Flow and KITTI, and none for eth3d"):
        choose_protocol("psmnet", "eth3d")
    with pytest.raises(ValueError, match="no protocol 'psm'; known are full, psmnet, gwcnet"):
        choose_protocol("psm", "kitti2015")


# --- sets by name ---------------------------------------------------------------------------------------------------


def test_every_set_by_name(tmp_path):
    roots = {
        "sceneflow": trees.scene_flow(tmp_path / "final", images="finalpass"),
        "sceneflow_clean": trees.scene_flow(tmp_path / "clean"),
        "kitti2012": trees.kitti(tmp_path / "2012", 2012),
        "kitti2015": trees.kitti(tmp_path / "2015", 2015),
        "middlebury": trees.middlebury(tmp_path / "middlebury"),
        "middlebury2014": trees.middlebury2014(tmp_path / "2014"),
        "eth3d": trees.eth3d(tmp_path / "eth3d"),
        "folder": trees.own_folders(tmp_path / "own"),
    }
    roots |= {"motorcycle": None, "synthetic": None}
    pairs = {name: len(create_dataset(name, root)) for name, root in roots.items()}
    assert pairs == dict(zip(DATASETS, (1, 1, 5, 5, 2, 2, 1, 2, 1, 1000), strict=True))
    assert len(create_dataset("kitti2015", roots["kitti2015"], "gwcnet_val", seed=3)) == 3


def test_sets_that_there_are_not(tmp_path):
    with pytest.raises(ValueError, match="no set 'kitti'; known are sceneflow,"):
        create_dataset("kitti", tmp_path)
    with pytest.raises(ValueError, match="folder has no splits, and split is 'test'"):
        create_dataset("folder", tmp_path, "test")
    with pytest.raises(ValueError, match="kitti2015 lies in a folder, and no root was given"):
        create_dataset("kitti2015")
    with pytest.raises(ValueError, match="synthetic cannot be made with length, lenght: .*'lenght'"):
        create_dataset("synthetic", length=3, lenght=3)
    with pytest.raises(ValueError, match="folder cannot be made with ground_truth: .*'ground_truth'"):
        create_dataset("folder", trees.own_folders(tmp_path), ground_truth="noc")


def test_a_root_belongs_to_sets_that_have_one(tmp_path):
    for name in ("motorcycle", "synthetic"):
        with pytest.raises(ValueError, match=f"{name} lies in no folder, and root is own.csv; say which set that is"):
            create_dataset(name, "own.csv")


def test_a_list_may_have_its_paths_elsewhere(tmp_path):
    trees.own_folders(tmp_path / "data")
    (tmp_path / "pairs.txt").write_text("left/a.png right/a.png disparity/a.pfm\n")
    assert len(create_dataset("folder", tmp_path / "pairs.txt", root=tmp_path / "data", on_error="skip")) == 1


def test_files_that_are_all_missing_are_the_reason(tmp_path):
    (tmp_path / "pairs.txt").write_text("l.png r.png d.pfm\n")
    with pytest.raises(ValueError, match=r"none gives a figure \(.*l.png and .*r.png and .*d.pfm not found\)"):
        run(create_dataset("folder", tmp_path / "pairs.txt", on_error="skip"))


def test_what_is_nearer_than_the_network_searches_is_counted(tmp_path):
    """A fourth of a picture's 16 pixels of truth, at 17 px, where 16 are searched."""
    root = trees.own_folders(tmp_path, ".npy")
    truth = np.full((trees.HEIGHT, trees.WIDTH), np.nan, np.float32)
    truth[:4, :4], truth[0, :4] = 16, 17
    for name in "ab":
        np.save(root / f"disparity/{name}.npy", truth)
    network = Answers()
    network.max_disp = 16
    result = run(create_dataset("folder", root), network=network)
    assert result.beyond() == result.summary()["pixels_beyond_the_range"] == 8


class Telling(StereoFolder):
    """Says what a stopping signal does where it is read."""

    def read(self, index):
        raise ValueError(" ".join(signal.getsignal(number).name for number in STOPPING_SIGNALS))


def test_signals_are_not_for_the_workers(tmp_path):
    """So that a training that is told to stop in its validation ends with a checkpoint."""
    own = evaluate_share(Predictor(Answers()), Telling(trees.own_folders(tmp_path)), FULL, [0], workers=1)
    assert own.skipped[0].reason == "SIG_IGN SIG_IGN"


def test_options_reach_the_set(tmp_path):
    noc = create_dataset("kitti2015", trees.kitti(tmp_path, 2015), ground_truth="noc")
    assert not noc[0].valid[trees.HIDDEN].any()
    scenes = create_dataset("synthetic", length=2, height=32, width=64, max_disp=16)
    assert len(scenes) == 2 and scenes[0].size == (32, 64) and scenes[0].disparity.max() < 16


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # the tables fit a terminal of the usual width
    monkeypatch.setattr("stereohg.commands.evaluate.load_model", lambda name, **options: Answers())


def test_table_json_csv_and_figures(kitti, stand_in, capsys):
    output = kitti / "out"
    (kitti / "training" / "image_3" / "000001_10.png").write_bytes(b"no picture")
    assert command("kitti2015", kitti, output=output, figures=1) == 1
    told = capsys.readouterr().out
    assert "kitti2015 training, protocol full" in told and "4032 pixels 1.896" in told and " 26.19 " in told
    assert "576 pixels masked: without ground truth" in told
    assert (
        "1 pairs evaluated, 0 skipped, 1 missing or unreadable" in told
        and "000001_10.png is not a whole picture" in told
    )

    document = json.loads((output / "metrics.json").read_text())
    (own,) = document["sets"]
    assert (document["model"], document["max_disp"], own["data"], own["split"]) == (
        "hgstereo_s",
        64,
        "kitti2015",
        "training",
    )
    assert own["regions"]["all"]["per_pixel"]["epe"] == pytest.approx(EPE)
    assert own["skipped"][0]["name"] == "000001_10"

    with (output / "kitti2015_training_pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["000000_10", "000001_10"]
    assert float(rows[0]["hidden_epe"]) == pytest.approx(EPE) and rows[0]["fg_pixels"] == "200"
    assert rows[1]["all_epe"] == "" and "not a whole picture" in rows[1]["skipped"]

    with Image.open(output / "kitti2015_training_worst" / "001_000000_10.png") as figure:
        assert figure.size == (96, 4 * 48)


def test_figures_of_an_earlier_evaluation_go(kitti, stand_in):
    folder = kitti / "out" / "kitti2015_training_worst"
    assert command("kitti2015", kitti, output=kitti / "out", figures=2) == 0
    (folder / "notes.txt").touch()
    assert len(list(folder.iterdir())) == 3
    assert command("kitti2015", kitti, output=kitti / "out", figures=1) == 0
    first, notes = sorted(path.name for path in folder.iterdir())
    assert first.startswith("001_") and notes == "notes.txt"


def test_a_scene_that_cannot_be_kept_is_named(tmp_path, stand_in, capsys):
    (tmp_path / "file").touch()
    keep = {"length": 1, "height": 64, "width": 64, "max_disp": 20, "keep": str(tmp_path / "file" / "x")}
    with pytest.raises(ValueError, match="of 1 pairs none gives a figure .*scene_0: .*Not a directory"):
        command("synthetic", None, options=keep)


def test_options_of_the_set_by_the_command(kitti, stand_in):
    assert command("kitti2015", kitti, options={"ground_truth": "noc"}, output=kitti / "out") == 0
    (own,) = json.loads((kitti / "out" / "metrics.json").read_text())["sets"]
    assert own["regions"]["all"]["pixels"] == 2 * 42 * 84
    with pytest.raises(ValueError, match="kitti2015 cannot be made with on_error, truth"):
        command("kitti2015", kitti, options={"truth": "noc"})


def test_the_worst_pairs_are_drawn_first(tmp_path):
    root = trees.own_folders(tmp_path)
    know_only(root / "disparity" / "b.pfm", np.s_[44:45])
    dataset, predictor = StereoFolder(root), Predictor(Answers())
    paths = save_figures(evaluate(predictor, dataset), predictor, dataset, tmp_path / "worst", 5)
    assert [path.name for path in paths] == ["001_b.png", "002_a.png"]


def test_zero_shot_is_one_table_of_what_there_is(tmp_path, stand_in, capsys):
    trees.kitti(tmp_path / "kitti2012", 2012, (0, 1))
    trees.middlebury(tmp_path / "middlebury")
    trees.eth3d(tmp_path / "eth3d")
    assert command(root=tmp_path, protocol="zero-shot", output=tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if "measure" in line) + 2
    rows = [row for row in map(str.split, lines[start:]) if len(row) in (6, 8)]
    assert [row[:4] for row in rows if len(row) == 8] == [
        ["kitti2012", "training", "all", "D1"],
        ["middlebury", "trainingQ", "all", "bad-2"],
        ["eth3d", "training", "all", "bad-1"],
    ]
    assert len(rows) == 3 * (2 + 1 + 1)
    assert f"{100 * 19 / 42:.2f}" in " ".join(lines) and f"{100 * 27 / 42:.2f}" in " ".join(lines)
    assert any("not evaluated: kitti2015 training is not in" in line for line in lines)
    assert any("not evaluated: middlebury trainingH is not in" in line for line in lines)
    assert [own["data"] for own in json.loads((tmp_path / "out" / "metrics.json").read_text())["sets"]] == [
        "kitti2012",
        "middlebury",
        "eth3d",
    ]


def test_the_other_sets_go_on_without_one(tmp_path, stand_in, capsys):
    """A set in which nothing is known fails alone, and so does one of which there is nothing."""
    trees.middlebury(tmp_path / "middlebury")
    for truth in trees.eth3d(tmp_path / "eth3d").rglob("disp0GT.pfm"):
        know_only(truth, np.s_[0:0])
    assert command(root=tmp_path, protocol="zero-shot", output=tmp_path / "out") == 1
    assert "failed: eth3d training: of" in " ".join(capsys.readouterr().out.split())
    assert [own["data"] for own in json.loads((tmp_path / "out" / "metrics.json").read_text())["sets"]] == [
        "middlebury"
    ]
    (tmp_path / "kitti2015" / "testing").mkdir(parents=True)
    assert command(root=tmp_path, protocol="zero-shot", output=tmp_path / "other") == 1
    assert "failed: kitti2015 training: " in (told := " ".join(capsys.readouterr().out.split()))
    assert "kitti2015 has nothing of Kitti2015 in it" in told
    assert (tmp_path / "other" / "metrics.json").read_text() == (tmp_path / "out" / "metrics.json").read_text()


def test_pages_of_cropped_pictures_have_a_cropped_calibration(tmp_path):
    """Of 741x500 pictures the last 384x256 are left, 357 columns and 244 rows less."""
    dataset, predictor = create_dataset("motorcycle"), Predictor(Answers())
    protocol = replace(FULL, crop=(256, 384))
    (path,) = save_figures(evaluate(predictor, dataset, protocol), predictor, dataset, tmp_path, 1, pages=True)
    x, y = map(float, re.search(r'"centre": \[([-\d.]+), ([-\d.]+)\]', path.with_suffix(".html").read_text()).groups())
    assert (x, y) == pytest.approx((311.193 - 357, 254.877 - 244))


def test_a_calibration_of_other_pictures_loses_no_metrics(kitti, stand_in):
    calibration = "P2: 700 0 600 0 0 700 180 0 0 0 1 0\nP3: 700 0 600 -350 0 700 180 0 0 0 1 0\nS_rect_02: 8 4"
    (kitti / "training/calib_cam_to_cam").mkdir()
    (kitti / "training/calib_cam_to_cam/000000.txt").write_text(calibration)
    with pytest.raises(ValueError, match="the calibration is of 8x4 pictures, and this one is 96x48"):
        command("kitti2015", kitti, output=kitti / "out", figures=1, html=True)
    assert json.loads((kitti / "out" / "metrics.json").read_text())["sets"]


def test_what_the_command_does_not_take(tmp_path):
    with pytest.raises(ValueError, match="--data says which set"):
        command(root=tmp_path)
    with pytest.raises(ValueError, match="zero-shot has its own sets"):
        command("kitti2015", tmp_path, protocol="zero-shot")
    with pytest.raises(FileNotFoundError, match="none of the folders kitti2012, kitti2015, middlebury, eth3d"):
        command(root=tmp_path, protocol="zero-shot")
    with pytest.raises(ValueError, match="figures is 2, and there is no output folder"):
        command("kitti2015", tmp_path, figures=2)
    with pytest.raises(ValueError, match="figures is -1"):
        command("kitti2015", tmp_path, figures=-1)
    with pytest.raises(ValueError, match="none for eth3d"):
        command("eth3d", tmp_path, protocol="gwcnet")


def test_an_output_that_cannot_be_is_told_before_the_work(kitti, tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr("stereohg.commands.evaluate.run", lambda *_, **__: pytest.fail("hours of work"))
    (tmp_path / "out").touch()
    with pytest.raises(OSError, match=r"out cannot take the output \(File exists\); give another folder"):
        command("kitti2015", kitti, output=tmp_path / "out")


def test_the_bundled_network(tmp_path, capsys):
    root = trees.own_folders(tmp_path)
    assert command("folder", root, max_disp=32, output=tmp_path / "out") == 0
    own = json.loads((tmp_path / "out" / "metrics.json").read_text())
    # 48 levels of pictures enlarged 1.5 times
    assert own["max_disp"] == 32 and own["sets"][0]["regions"]["all"]["per_pixel"]["epe"] < 1
    assert command("folder", root, max_disp=32, scale=2.0, output=tmp_path / "finer") == 0
    finer = json.loads((tmp_path / "finer" / "metrics.json").read_text())
    assert (finer["max_disp"], finer["scale"]) == (32, 2.0)
    epe = [document["sets"][0]["regions"]["all"]["per_pixel"]["epe"] for document in (own, finer)]
    assert epe[0] != epe[1] < 1
