"""``stereohg data check``: what is there, and in words what is wrong."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stereohg.cli import main
from stereohg.commands.data import data
from stereohg.data import check, eth3d, kitti, middlebury, sceneflow
from stereohg.data.check import check_data, misfit_of, recognise
from stereohg.data.folder import StereoFolder
from tests import trees


@pytest.fixture
def small(monkeypatch):
    """The published numbers of pairs, as the small trees have them."""
    counts = {("train", "flyingthings3d"): 2, ("train", "monkaa"): 1, ("train", "driving"): 2}
    monkeypatch.setattr(sceneflow, "PAIRS", counts | {("test", "flyingthings3d"): 1})
    for year in (kitti.Kitti2012, kitti.Kitti2015):
        monkeypatch.setattr(year, "pairs", {"training": 5, "testing": 1})
    monkeypatch.setattr(eth3d, "PAIRS", {"training": 1, "test": 1})


TREES = {
    "sceneflow": trees.scene_flow,
    "kitti2012": lambda root: trees.kitti(root, 2012),
    "kitti2015": lambda root: trees.kitti(root, 2015),
    "middlebury2014": trees.middlebury2014,
    "eth3d": trees.eth3d,
    "folder": trees.own_folders,
}


@pytest.mark.parametrize("name", TREES)
def test_whole_sets_have_nothing_wrong(tmp_path, small, name):
    report = check_data(TREES[name](tmp_path), expect=name)
    assert (report.layout, report.problems) == (name, [])
    assert any("the disparities fit the pictures in" in fact for fact in report.facts)


@pytest.mark.parametrize("tree", ["merged", "gwcnet", "psmnet"])
def test_every_tree_of_scene_flow_is_known(tmp_path, small, tree):
    assert check_data(trees.scene_flow(tmp_path, tree, sign=-1)).problems == []


def test_the_published_numbers():
    assert sum(n for (split, _), n in sceneflow.PAIRS.items() if split == "train") == 35454
    assert sceneflow.PAIRS["test", "flyingthings3d"] == 4370
    assert kitti.Kitti2012.pairs == {"training": 194, "testing": 195}
    assert kitti.Kitti2015.pairs == {"training": 200, "testing": 200}
    assert middlebury.PAIRS_V3 == 15 and eth3d.PAIRS == {"training": 27, "test": 20}


def test_counts_against_the_published_set(tmp_path, capsys):
    assert data("check", trees.middlebury(tmp_path)) == 1
    told = capsys.readouterr().out
    assert "is laid out as Middlebury, version 3" in told
    assert "wrong: trainingQ: 2 pairs, where the published set has 15" in told
    assert "wrong: testQ: 1 pair, where the published set has 15" in told
    assert "trainingQ: 2 of 2 pairs tried could be read (96x48); 88 % of their pixels have ground truth" in told


def test_kitti_given_as_scene_flow_is_named(tmp_path, small, capsys):
    trees.kitti(tmp_path, 2015)
    assert data("check", tmp_path) == 0
    told = capsys.readouterr().out
    assert "KITTI 2015 (data_scene_flow.zip, which is not Scene Flow)" in told and told.endswith("nothing is wrong\n")
    assert data("check", tmp_path, expect="sceneflow") == 1
    assert "wrong: this is KITTI 2015, whose archive is called data_scene_flow.zip" in capsys.readouterr().out
    assert "it was to be ETH3D, two views" in check_data(tmp_path, "eth3d").problems
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        archive.writestr("training/image_2/000000_10.png", b"")
    (problem,) = check_data(tmp_path / "download.zip").problems
    assert "is an archive; unpack it" in problem and "this is KITTI 2015" in problem


def test_what_is_missing_misplaced_or_unreadable(tmp_path, small):
    trees.scene_flow(tmp_path, "merged")
    frames, truth = tmp_path / "frames_cleanpass", tmp_path / "disparity"
    (frames / "15mm_focallength").rename(frames / "15mm")
    (truth / "a_rain_of_stones_x2/left/0000.pfm").unlink()
    cut = truth / "TRAIN/C/0001/left/0006.pfm"
    cut.write_bytes(cut.read_bytes()[:100])
    problems = check_data(tmp_path).problems
    for text in (
        "15mm/scene_forwards/fast/left/0001.png is not where Scene Flow has its files",
        "driving, train, cleanpass: 1 pair, where the published set has 2",
        "a_rain_of_stones_x2/left/0000.png has no disparity of its name",
        "0006.pfm is cut short: its header announces 96x48 pixels, 18432 bytes, and ",
    ):
        assert sum(text in problem for problem in problems) == 1, text


def test_a_part_that_is_not_there(tmp_path, small):
    trees.scene_flow(tmp_path, "psmnet")
    (tmp_path / "monkaa_frames_cleanpass").rename(tmp_path / "monkaa")
    (problem,) = check_data(tmp_path).problems
    assert problem.startswith("monkaa, train, cleanpass: missing.")


def test_exchanged_pictures_show_in_the_warp(tmp_path):
    trees.own_folders(tmp_path)
    assert check_data(tmp_path).problems == []
    (tmp_path / "left").rename(tmp_path / "l")
    (tmp_path / "right").rename(tmp_path / "left")
    (tmp_path / "l").rename(tmp_path / "right")
    (problem,) = check_data(tmp_path).problems
    assert "do not fit the pictures in 2 of 2 pairs" in problem and problem.count(" at x + d") == 2


@pytest.mark.parametrize("stored", [1 / 256, 0.5, 2.56])
def test_other_units_show_in_the_warp(tmp_path, stored):
    sample = StereoFolder(trees.own_folders(tmp_path, ".npy"))[0]
    assert misfit_of(sample) == ""
    told = misfit_of(replace(sample, disparity=stored * sample.disparity))
    assert told.endswith(f" at x - {1 / stored:.3g} d")


def test_disparities_that_lead_out_of_the_picture_are_told(tmp_path):
    sample = StereoFolder(trees.own_folders(tmp_path, ".npy"))[0]
    assert misfit_of(replace(sample, disparity=256 * sample.disparity)) == (
        "of 100 % of the known pixels x - d is outside the picture"
    )


def test_one_pair_that_does_not_fit_is_named(tmp_path):
    trees.own_folders(tmp_path, ".npy")
    np.save(tmp_path / "disparity/b.npy", trees.sparse() * 2)
    (problem,) = check_data(tmp_path).problems
    assert "do not fit the pictures in 1 of 2 pairs" in problem and "b: " in problem and " at x - 0.5 d" in problem


def test_what_warping_says_nothing_of_is_no_fit(tmp_path):
    trees.own_folders(tmp_path, ".npy")
    nowhere = np.zeros_like(trees.sparse())
    for name in "ab":
        np.save(tmp_path / f"disparity/{name}.npy", nowhere)
    assert misfit_of(StereoFolder(tmp_path)[0]) is None
    report = check_data(tmp_path)
    assert report.problems == [] and any("in no pair could be seen" in fact for fact in report.facts)
    np.save(tmp_path / "disparity/a.npy", nowhere + np.nan)
    assert any("a.npy has no known pixel" in problem for problem in check_data(tmp_path).problems)


def test_zeros_are_told_where_they_are_many(tmp_path):
    trees.own_folders(tmp_path, ".npy")
    assert not any("exactly 0" in fact for fact in check_data(tmp_path).facts)
    for name in "ab":
        np.save(tmp_path / f"disparity/{name}.npy", np.where(np.isfinite(trees.sparse()), trees.sparse(), 0))
    assert any("of the known pixels are exactly 0, which is a disparity" in fact for fact in check_data(tmp_path).facts)


def test_options_of_ones_own_set(tmp_path, capsys):
    trees.own_folders(tmp_path, ".npy")
    for name in "ab":
        np.save(tmp_path / f"disparity/{name}.npy", trees.sparse() * 4)
    assert main(["data", "check", str(tmp_path)]) == 1
    assert main(["data", "check", str(tmp_path), "--options.scale", "4"]) == 0
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/pairs.txt").write_text("left/a.png right/a.png\n")
    assert main(["data", "check", str(tmp_path / "lists/pairs.txt"), "--options.root", str(tmp_path)]) == 0
    trees.eth3d(tmp_path / "eth3d")
    problems = check_data(tmp_path / "eth3d", options={"scale": 2}).problems
    assert "only a set of one's own has options (scale)" in problems


def test_an_option_that_there_is_not(tmp_path):
    trees.own_folders(tmp_path)
    (problem,) = check_data(tmp_path, options={"foo": 3}).problems
    assert problem.startswith("pairs: folder cannot be made with") and "'foo'" in problem


def test_folders_that_may_not_be_read_are_skipped(tmp_path, small, monkeypatch):
    def may_be_read(function):
        def guarded(path, *rest, **options):
            if "lost+found" in str(path) and (function is os.listdir or Path(path).name != "lost+found"):
                raise PermissionError(path)
            return function(path, *rest, **options)

        return guarded

    for name in ("a", "b"):
        (tmp_path / name / "lost+found").mkdir(parents=True)
    trees.kitti(tmp_path / "a/kitti", 2015)
    trees.middlebury2014(tmp_path / "b")
    monkeypatch.setattr(os, "listdir", may_be_read(os.listdir))
    monkeypatch.setattr(os, "stat", may_be_read(os.stat))
    assert "kitti is laid out as KITTI 2015" in check_data(tmp_path / "a").problems[0]
    assert check_data(tmp_path / "b").problems == []


def test_malformed_lists_are_told(tmp_path):
    (tmp_path / "pairs.txt").write_text("one\n")
    (problem,) = check_data(tmp_path / "pairs.txt").problems
    assert "line 1: 1 names" in problem


def test_what_is_not_known(tmp_path):
    (tmp_path / "subset/train/image_clean").mkdir(parents=True)
    assert "is FlyingThings3D_subset, which lacks pairs" in check_data(tmp_path / "subset").problems[0]
    trees.kitti(tmp_path / "kitti", 2012, (0,))
    assert recognise(tmp_path) is None
    for folder in (tmp_path, tmp_path / "kitti/training", tmp_path / "kitti/training/colored_0"):
        (problem,) = check_data(folder).problems
        assert "has no layout that is known, but" in problem and problem.endswith("as KITTI 2012; give that")
    empty = tmp_path / "a" / "b" / "empty"
    empty.mkdir(parents=True)
    assert "Scene Flow has frames_cleanpass" in check_data(empty).problems[0]
    (empty / "monkaa.tar").touch()
    assert "holds archives (monkaa.tar); unpack them" in check_data(empty).problems[0]
    assert "does not exist" in check_data(tmp_path / "nowhere").problems[0]
    (tmp_path / "notes.md").touch()
    assert recognise(tmp_path / "notes.md") is None


def test_long_lists_are_cut(tmp_path, capsys, monkeypatch):
    report = check.Report(problems=[f"number {n}" for n in range(30)])
    monkeypatch.setattr("stereohg.commands.data.check_data", lambda *_: report)
    assert data("check", tmp_path) == 1
    told = capsys.readouterr().out
    assert "number 19" in told and "number 20" not in told and "10 more" in told
