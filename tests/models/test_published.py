"""The checkpoints that the papers' authors publish, in each form that PyTorch has written them; and what is refused."""

import collections
import json
import logging
import math
import os
import pickle
import types
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from stereohg import create_model
from stereohg.models import recognition
from stereohg.models.checkpoint import CheckpointError
from stereohg.models.published import read_published, save_published
from stereohg.models.published_keys import published_keys
from stereohg.models.recognition import KnownFile, recognise
from stereohg.models.weights import load_model, read_card, save_model
from tests import parity

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
STEREO = ("psmnet", "psmnet_basic", "gwcnet_g", "gwcnet_gc")


@cache
def theirs(model) -> dict[str, torch.Tensor]:
    """The network's weights under its authors' keys."""
    own = model.state_dict()
    return {name: own[key] for key, name in published_keys(model.architecture, own).items()}


def parallel(state: dict) -> dict:
    return {f"module.{key}": value for key, value in state.items()}


def uncounted(state: dict) -> dict:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def save(content, path: Path, zipped: bool = True, **options) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped, **options)
    return path


def assert_same_weights(one, other) -> None:
    ours, others = one.state_dict(), other.state_dict()
    assert ours.keys() == others.keys()
    for key, value in ours.items():
        assert torch.equal(value, others[key]), key


@pytest.fixture(scope="module")
def networks():
    """Each network that has a published format, the keypoint one at its smallest."""
    torch.manual_seed(0)
    models = {name: create_model(name) for name in STEREO}
    models["keypoint_hourglass"] = create_model("keypoint_hourglass", num_stacks=1)
    return models


@pytest.fixture(scope="module")
def pose(networks):
    return networks["keypoint_hourglass"]


# --- formats --------------------------------------------------------------------------------------------------------


@FORMS
def test_psmnet_tar(networks, tmp_path, zipped):
    model = networks["psmnet"]
    content = {"epoch": 9, "state_dict": parallel(theirs(model)), "train_loss": torch.tensor(0.75)}
    loaded = load_model(save(content, tmp_path / "checkpoint_9.tar", zipped))
    assert_same_weights(model, loaded)
    assert loaded.architecture == "psmnet"
    assert not loaded.training
    assert (loaded.card["training"]["epoch"], loaded.card["training"]["train_loss"]) == (9, 0.75)


@FORMS
def test_gwcnet_ckpt(networks, tmp_path, zipped):
    model = networks["gwcnet_gc"]
    adam = torch.optim.Adam(model.parameters())
    content = {"epoch": 15, "model": parallel(theirs(model)), "optimizer": adam.state_dict()}
    loaded = load_model(save(content, tmp_path / "checkpoint_000015.ckpt", zipped))
    assert_same_weights(model, loaded)
    assert loaded.architecture == "gwcnet_gc"
    assert "GwcNet-GC in the format GwcNet .ckpt" in loaded.card["recognised"]


@FORMS
def test_pytorch_pose(pose, tmp_path, zipped):
    content = {
        "epoch": 30,
        "arch": "hg",
        "state_dict": parallel(theirs(pose)),
        "best_acc": np.float64(0.875),
        "optimizer": torch.optim.RMSprop(pose.parameters()).state_dict(),
    }
    loaded = load_model(save(content, tmp_path / "model_best.pth.tar", zipped))
    assert_same_weights(pose, loaded)
    training = loaded.card["training"]
    assert (training["epoch"], training["arch"], training["best_acc"]) == (30, "hg", 0.875)
    assert loaded.card["normalisation"]["std"] == [1.0, 1.0, 1.0], "pytorch-pose subtracts the mean of MPII alone"
    assert "1 stack of 1 block, 16 keypoints, batch norm" in loaded.card["recognised"]


@FORMS
@pytest.mark.parametrize("wrap", [parallel, uncounted, lambda state: parallel(parallel(uncounted(state)))])
def test_bare_state_dicts(pose, tmp_path, zipped, wrap):
    state = collections.OrderedDict(wrap(theirs(pose)))
    assert_same_weights(pose, load_model(save(state, tmp_path / "clean.pth", zipped)))


@FORMS
def test_tensors_saved_on_a_gpu_come_to_the_cpu(pose, tmp_path, zipped, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:1")
        path = save(theirs(pose), tmp_path / "gpu.pth", zipped)
    assert b"cuda:1" in path.read_bytes()
    assert_same_weights(pose, load_model(path))


@FORMS
def test_parameters_and_half_precision_are_taken(pose, tmp_path, zipped):
    state = {key: v.half() if v.is_floating_point() else v for key, v in theirs(pose).items()}
    state["conv1.bias"] = torch.nn.Parameter(state["conv1.bias"])
    loaded = load_model(save(state, tmp_path / "half.pth", zipped))
    assert all(value.dtype == torch.float32 for value in loaded.parameters())
    torch.testing.assert_close(loaded.stem[0].weight, pose.stem[0].weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.5), np.int64(300), np.bool_(True)], ids=repr)
def test_numpy_numbers_of_any_age_are_read(tmp_path, value):
    content = {"epoch": 1, "arch": "hg", "state_dict": {"a": torch.zeros(1)}, "best_acc": value}
    path = save(content, tmp_path / "a.pth.tar", zipped=False)
    renamed = tmp_path / "b.pth.tar"
    renamed.write_bytes(path.read_bytes().replace(b"numpy._core.", b"numpy.core."))
    second = types.SimpleNamespace(__name__="pickle", Pickler=Python2Pickler, dump=pickle.dump)
    old = save(content, tmp_path / "c.pth.tar", zipped=False, pickle_module=second)
    assert b"_codecs" not in old.read_bytes()
    for file in (path, renamed, old):
        assert read_published(file)[1].details["best_acc"] == value


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 did."""

    def _save_bytes(self, data):
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)

    dispatch = {**pickle._Pickler.dispatch, bytes: _save_bytes}


# --- recognition ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEREO)
def test_stereo_networks_are_recognised_by_their_published_keys(name):
    shapes = json.loads((parity.FOLDER / f"{name}.keys.json").read_text())
    assert recognise({key: torch.empty(shape, device="meta") for key, shape in shapes}) == (name, {})


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize(("stacks", "blocks", "keypoints"), [(1, 1, 16), (2, 4, 17), (11, 1, 1), (1, 12, 16)])
def test_keypoint_networks_are_recognised(stacks, blocks, keypoints, norm):
    arguments = {"num_stacks": stacks, "num_blocks": blocks, "num_keypoints": keypoints, "norm": norm}
    with torch.device("meta"):
        model = create_model("keypoint_hourglass", **arguments)
    names = published_keys("keypoint_hourglass", model.state_dict())
    assert len(set(names.values())) == len(names)
    assert recognise({names[key]: value for key, value in model.state_dict().items()}) == (
        "keypoint_hourglass",
        arguments,
    )


def test_what_a_file_was_taken_for_is_logged(pose, tmp_path, caplog):
    path = save(theirs(pose), tmp_path / "s1.pth")
    with caplog.at_level(logging.INFO, "stereohg"):
        model = load_model(path)
    assert caplog.messages == [model.card["recognised"]]
    assert caplog.messages[0].startswith("s1.pth was taken for the stacked hourglass for keypoints (1 stack of 1 block")


@pytest.mark.parametrize("wrap", [lambda state: {"epoch": 1, "model_state": state}, lambda state: state, parallel])
def test_openstereos_psmnet_is_told_and_not_loaded(networks, tmp_path, wrap):
    state = {}
    for key, value in theirs(networks["psmnet"]).items():
        extraction = key.removeprefix("feature_extraction.")
        name = f"CostProcessor.aggregator.{key}" if extraction == key else f"Backbone.{extraction}"
        state[name] = torch.zeros(()).expand(value.shape)
    state["Backbone.layer2.0.downsample.0.bias"] = torch.zeros(64)
    state["DispProcessor.disp_processor.disp_regression.weight"] = torch.zeros(1, 1, 192, 1, 1)
    path = save(wrap(state), tmp_path / "open.pth")
    with pytest.raises(CheckpointError, match="open.pth is OpenStereo's PSMNet, which is another network.*`pre`"):
        load_model(path)


def test_other_networks_of_openstereo_are_told(tmp_path):
    path = save({"model_state": {"Backbone.conv.weight": torch.zeros(1)}}, tmp_path / "open.pth")
    with pytest.raises(CheckpointError, match="a network of OpenStereo"):
        load_model(path)


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uncounted_file(networks, tmp_path_factory):
    state = {"state_dict": uncounted(theirs(networks["psmnet_basic"]))}
    return save(state, tmp_path_factory.mktemp("old") / "old.tar", zipped=False)


def test_files_from_before_batches_were_counted_align_corners(uncounted_file, networks):
    old = load_model(uncounted_file)
    assert (old.align_corners, old.output_scale) == (True, 1.0)
    assert "without num_batches_tracked, so trained before PyTorch 0.4.1" in old.card["recognised"]
    assert old.card["recognised"].endswith("align_corners=True, output_scale=1.0")
    assert_same_weights(old, networks["psmnet_basic"])


def test_newer_files_do_not_align_corners(networks, tmp_path):
    new = load_model(save(theirs(networks["psmnet_basic"]), tmp_path / "new.tar"))
    assert new.align_corners is False
    assert "with num_batches_tracked, so trained with PyTorch 0.4.1 or later" in new.card["recognised"]


def test_the_rule_can_be_overridden(uncounted_file):
    model = load_model(uncounted_file, align_corners=False, output_scale=1.17, max_disp=64)
    assert (model.align_corners, model.output_scale, model.max_disp) == (False, 1.17, 64)
    assert model.card["recognised"].endswith("; as asked, max_disp=64, align_corners=False, output_scale=1.17")
    assert model.card["arguments"] == {"max_disp": 64, "align_corners": False, "output_scale": 1.17, "scale": 1.0}


def test_a_known_file_has_its_own_settings(uncounted_file, monkeypatch):
    sha256 = read_published(uncounted_file)[1].sha256
    known = KnownFile("the weights of a test", "here", "MIT", {"align_corners": False, "output_scale": 1.25})
    monkeypatch.setitem(recognition.KNOWN_FILES, sha256, known)
    model = load_model(uncounted_file)
    assert (model.align_corners, model.output_scale) == (False, 1.25)
    assert "known by its SHA-256 as the weights of a test" in model.card["recognised"]
    assert (model.card["licence"], model.card["training"]["source"]) == ("MIT", "here")


def test_the_authors_kitti_2015_file_is_known():
    known = recognition.KNOWN_FILES["1ef1b757f0ca909c6fae20281dc0283965e8d47e034e47502dcb16f845ad143d"]
    assert known.settings == {"align_corners": True, "output_scale": 1.0}


def test_a_published_file_becomes_ours_with_its_provenance(uncounted_file, tmp_path):
    model = load_model(uncounted_file)
    save_model(model, tmp_path / "ours.safetensors")
    card = read_card(tmp_path / "ours.safetensors")
    assert card["recognised"] == model.card["recognised"]
    assert card["training"]["file"] == "old.tar"
    assert load_model(tmp_path / "ours.safetensors").align_corners is True


# --- refusals -------------------------------------------------------------------------------------------------------


class Attack:
    """Makes a file when it is unpickled by someone who trusts it."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Harmless:
    """A class of the program that wrote the file."""


@FORMS
def test_code_in_a_file_is_named_and_not_run(pose, tmp_path, zipped):
    made = tmp_path / "made"
    path = save({"state_dict": theirs(pose), "epoch": Attack(made)}, tmp_path / "evil.tar", zipped)
    with pytest.raises(CheckpointError, match=r"evil.tar holds more than weights: it wants to run \w+\.system"):
        load_model(path)
    assert not made.exists()
    torch.load(path, weights_only=False)  # the attack works
    assert made.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_plain_pickle_is_not_run(tmp_path, protocol):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Attack(tmp_path / "made"), protocol))
    with pytest.raises(CheckpointError, match=r"evil.pkl .*\.system"):
        load_model(path)
    assert not (tmp_path / "made").exists()


def test_classes_of_other_programs_are_named(pose, tmp_path):
    path = save({"state_dict": theirs(pose), "args": Harmless()}, tmp_path / "a.pth.tar")
    with pytest.raises(CheckpointError, match=r"test_published\.Harmless"):
        load_model(path)


@FORMS
def test_truncated_files_are_refused(pose, tmp_path, zipped):
    data = save({"state_dict": theirs(pose)}, tmp_path / "whole.tar", zipped).read_bytes()
    path = tmp_path / "cut.tar"
    for size in (1, 40, 1000, len(data) // 2, len(data) - 100):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="cut.tar is truncated, corrupt or no checkpoint"):
            load_model(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="cut.tar is empty"):
        load_model(path)


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "page.tar"
    path.write_text("<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(CheckpointError, match="page.tar is truncated, corrupt or no checkpoint"):
        load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights: its state dict is empty"),
        ({"state_dict": {}}, "holds no weights: its state dict is empty"),
        ({"test_loss": torch.tensor(0.5)}, "holds no weights, only test_loss"),
        ([torch.zeros(1)], "holds a list; a dict"),
        ({"state_dict": {"a": torch.zeros(1), "b": 3}}, "its entry 'b' is not a plain tensor"),
        ({"state_dict": {1: torch.zeros(1)}}, "its entry 1 is not a plain tensor"),
        ({"fc.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)}, "no network here, such as fc.weight, fc.bias;"),
    ],
)
def test_contents_that_are_no_weights_of_a_network(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=f"odd.tar .*{message}"):
        load_model(save(content, tmp_path / "odd.tar"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score.0.bias": None}, "lacks 1 keys: score.0.bias"),
        ({"hg.0.hg.1.0.0.bn1.running_mean": None}, r"lacks 1 keys: hg\.0\.hg\.1\.0\.0\.bn1\.running_mean"),
        ({"bn1.num_batches_tracked": None}, "lacks 1 keys: bn1.num_batches_tracked"),
        ({"extra.weight": torch.zeros(1)}, "1 foreign keys: extra.weight; expected are keys such as conv1.weight"),
        ({"conv1.weight": torch.zeros(64, 1, 7, 7)}, r"conv1.weight has the shape \(64, 1, 7, 7\); .*\(64, 3, 7, 7\)"),
        ({"conv1.bias": torch.full((64,), math.nan)}, "NaN or infinite weights in conv1.bias"),
        ({"bn1.running_var": torch.full((64,), math.inf)}, "NaN or infinite weights in bn1.running_var"),
    ],
)
def test_weights_that_do_not_fit_are_named(pose, tmp_path, change, message):
    state = theirs(pose) | change
    path = save({key: value for key, value in state.items() if value is not None}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=f"odd.pth .*{message}"):
        load_model(path)


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*STEREO, "keypoint_hourglass"])
def test_what_is_written_is_read(networks, tmp_path, name):
    save_published(networks[name], tmp_path / "file.tar")
    loaded = load_model(tmp_path / "file.tar")
    assert loaded.architecture == name
    assert_same_weights(networks[name], loaded)


def written(model, folder: Path, **options) -> dict:
    save_published(model, folder / "file", **options)
    assert list(folder.iterdir()) == [folder / "file"]
    assert not (folder / "file").read_bytes().startswith(b"PK"), "PyTorch reads the zip form only since 1.4"
    return torch.load(folder / "file", weights_only=True)


def test_psmnet_is_written_as_its_authors_do(networks, tmp_path):
    content = written(networks["psmnet"], tmp_path, epochs=10)
    assert list(content) == ["epoch", "state_dict", "train_loss"]
    assert content["epoch"] == 10
    keys = [f"module.{key}" for key, _ in json.loads((parity.FOLDER / "psmnet.keys.json").read_text())]
    assert sorted(content["state_dict"]) == sorted(keys)


def test_gwcnet_is_written_with_a_fresh_adam(networks, tmp_path):
    model = networks["gwcnet_g"]
    content = written(model, tmp_path, epochs=10)
    assert list(content) == ["epoch", "model", "optimizer"]
    assert content["epoch"] == 9, "the last epoch, counted from zero: training goes on with the next"
    assert all(key.startswith("module.") for key in content["model"])
    adam = torch.optim.Adam(model.parameters(), lr=1.0)
    adam.load_state_dict(content["optimizer"])
    assert (adam.param_groups[0]["lr"], adam.param_groups[0]["betas"]) == (1e-3, (0.9, 0.999))
    assert not adam.state


def test_pytorch_pose_is_written_with_a_fresh_rmsprop(pose, tmp_path):
    content = written(pose, tmp_path, epochs=10, best_acc=0.5)
    assert list(content) == ["epoch", "arch", "state_dict", "best_acc", "optimizer"]
    assert (content["epoch"], content["arch"], content["best_acc"]) == (10, "hg", 0.5)
    optimiser = torch.optim.RMSprop(pose.parameters(), lr=1.0)
    optimiser.load_state_dict(content["optimizer"])
    assert (optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["momentum"]) == (2.5e-4, 0)
    assert not optimiser.state


def test_group_norm_has_its_own_arch(tmp_path):
    model = create_model("keypoint_hourglass", num_stacks=1, norm="group")
    assert written(model, tmp_path)["arch"] == "hg_gn"
    assert load_model(tmp_path / "file").arguments["norm"] == "group"


def test_aligned_corners_survive_the_round_trip(uncounted_file, tmp_path):
    model = load_model(uncounted_file)
    save_published(model, tmp_path / "again.tar")
    again = load_model(tmp_path / "again.tar")
    assert again.align_corners is True
    assert_same_weights(model, again)


def test_an_output_scale_cannot_be_written(uncounted_file, tmp_path, caplog):
    save_published(load_model(uncounted_file, output_scale=1.17), tmp_path / "again.tar")
    assert "cannot hold output_scale=1.17" in caplog.text


def test_networks_without_a_published_format_are_refused(pose, tmp_path):
    with pytest.raises(ValueError, match="hgstereo_s has no published format; networks that have one are psmnet"):
        save_published(create_model("hgstereo_s"), tmp_path / "a.tar")
    with pytest.raises(ValueError, match="Linear has no published format"):
        save_published(torch.nn.Linear(1, 1), tmp_path / "a.tar")
    broken = create_model("keypoint_hourglass", num_stacks=1)
    broken.heads[0].bias.detach().fill_(math.nan)
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in heads\.0\.bias"):
        save_published(broken, tmp_path / "a.tar")
    assert not list(tmp_path.iterdir())
