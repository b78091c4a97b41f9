"""Weights from one form to another and back, exactly."""

import pytest
import torch
import yaml

import stereohg
from stereohg.cli import main
from stereohg.models.published import read_published
from stereohg.models.registry import create_model
from stereohg.models.weights import read_card, save_model
from stereohg.sharing import card_in_words


@pytest.mark.parametrize(
    "name, suffix", [("psmnet", ".tar"), ("gwcnet_g", ".ckpt"), ("keypoint_hourglass", ".pth.tar")]
)
@pytest.mark.parametrize("align_corners", [False, True])
def test_there_and_back(tmp_path, capsys, name, suffix, align_corners):
    torch.manual_seed(0)
    if name == "keypoint_hourglass":
        model = stereohg.create_model(name, num_stacks=1, num_keypoints=17)
    else:
        model = stereohg.create_model(name, align_corners=align_corners)
    theirs, ours, again = tmp_path / f"theirs{suffix}", tmp_path / "ours.safetensors", tmp_path / f"again{suffix}"
    stereohg.save_published(model, theirs, epochs=7)
    assert main(["convert", str(theirs), str(ours)]) == 0
    assert f"{theirs}: {name}, written to {ours}" in capsys.readouterr().out
    assert main(["convert", str(ours), str(again)]) == 0
    (first, before), (second, after) = read_published(theirs), read_published(again)
    assert list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)
    assert (before.format, before.details) == (after.format, after.details)
    assert "recognised" in read_card(ours)


def test_a_card_may_tell_of_the_training_in_words(tmp_path):
    ours = tmp_path / "own.safetensors"
    save_model(create_model("psmnet_basic", max_disp=16), ours, {"training": "three days", "metrics": "good"})
    assert main(["convert", str(ours), str(tmp_path / "own.tar")]) == 0
    assert "metrics" not in yaml.safe_load(card_in_words(read_card(ours), "owner/name").split("---\n")[1])


def test_what_cannot_be_converted(tmp_path, capsys):
    target = tmp_path / "model.safetensors"
    target.write_text("mine")
    assert main(["convert", "hgstereo_s", str(target)]) == 1
    assert "is there already" in capsys.readouterr().err and target.read_text() == "mine"
    assert main(["convert", "hgstereo_s", str(target), "--overwrite", "--half"]) == 0
    assert read_card(target)["dtype"] == "float16"
    for arguments, told in (
        (["hgstereo_s", str(tmp_path / "model.tar")], "has no published format"),
        (["hgstereo_s", str(tmp_path / "model.onnx")], "should end in"),
        (["hgstereo_s", str(tmp_path / "model.tar"), "--half"], "leave out --half"),
    ):
        assert main(["convert", *arguments]) == 1
        assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
