"""Several networks on one pair."""

import re

import numpy as np
import pytest
from PIL import Image

from stereohg.cli import main
from stereohg.data.synthetic import SyntheticStereo
from stereohg.files import read_disparity, read_image, write_disparity


@pytest.fixture
def scene(tmp_path):
    made = SyntheticStereo(height=64, width=128, max_disp=32, asymmetry=0)[0]
    for side in ("left", "right"):
        Image.fromarray(getattr(made, side)).save(tmp_path / f"{side}.png")
    write_disparity(tmp_path / "truth.pfm", made.disparity)
    return tmp_path


def test_side_by_side(scene, capsys):
    pair = [str(scene / "left.png"), str(scene / "right.png")]
    target = scene / "out" / "comparison.png"
    options = ["--models", "hgstereo_s,sgbm", "--max_disp", "32", "-o", str(target)]
    assert main(["compare", *pair, *options, "--truth", str(scene / "truth.pfm")]) == 0
    told = capsys.readouterr().out
    for word in ("hgstereo_s", "sgbm", "EPE", "bad-3", "confidence", "seconds", "mean difference", str(target.name)):
        assert word in told
    height, width, _ = read_image(target).shape
    assert width > height > 300  # two rows of a wide picture's panels
    assert main(["compare", *pair, *options, "--models", "sgbm"]) == 0
    told = capsys.readouterr().out
    assert "EPE" not in told and "mean difference" not in told


def test_a_truth_with_scene_flows_sign_is_the_same_truth(scene, capsys):
    pair = [str(scene / "left.png"), str(scene / "right.png")]
    write_disparity(scene / "negative.pfm", -read_disparity(scene / "truth.pfm")[0])
    told = []
    for truth in ("truth", "negative"):
        options = ["--truth", str(scene / f"{truth}.pfm"), "--models", "sgbm", "--max_disp", "32"]
        assert main(["compare", *pair, *options, "-o", str(scene / "c.png")]) == 0
        told.append(re.findall(r"[\d.]+ px +[\d.]+ %", capsys.readouterr().out))
    assert told[0] == told[1] and told[0]


def test_what_is_no_pair_is_told(scene, capsys):
    left = str(scene / "left.png")
    assert main(["compare", left, left, "--models", "sgbm", "--max_disp", "32", "-o", str(scene / "out.png")]) == 0
    assert "left and right are the same picture" in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_compared(scene, capsys):
    pair = [str(scene / "left.png"), str(scene / "right.png")]
    Image.new("RGB", (30, 20)).save(scene / "small.png")
    write_disparity(scene / "unknown.pfm", np.full((64, 128), np.nan))
    for options, told in (
        (["--models", "sgbm,sgbm"], "it must name different ones"),
        (["--models", "nothing.tar"], "neither bundled weights nor a file"),
        (["--max_disp", "0"], "max_disp is 0; it must be a positive number of pixels"),
        (["--truth", str(scene / "nothing.pfm")], "does not exist"),
        (["--truth", str(scene / "unknown.pfm")], "has no known disparity; leave it out"),
    ):
        assert main(["compare", *pair, *options, "-o", str(scene / "c.png")]) == 1
        assert told in capsys.readouterr().err
    assert main(["compare", pair[0], str(scene / "small.png"), "-o", str(scene / "c.png")]) == 1
    Image.new("RGB", (2, 9)).save(scene / "thin.png")
    assert main(["compare", *[str(scene / "thin.png")] * 2, "--models", "sgbm", "-o", str(scene / "c.png")]) == 1
    assert "the pictures are 2 pixels wide; StereoSGBM wants 3" in " ".join(capsys.readouterr().err.split())
    assert main(["compare", "nothing.png", "nothing.png", "-o", str(scene / "c.foo")]) == 1
    assert "c.foo would be a figure; name it .png or .pdf" in " ".join(capsys.readouterr().err.split())
    assert not (scene / "c.png").exists()
