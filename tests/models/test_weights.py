"""Our own format: what is written comes back, with its card; what is damaged is refused with its name."""

import copy
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from stereohg import create_model
from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from stereohg.models import weights
from stereohg.models.checkpoint import CheckpointError
from stereohg.models.weights import bundled_names, load_model, read_card, save_model

SMALL = (8, 16, 16, 16, 16)


@pytest.fixture(scope="module")
def model():
    """A network whose running statistics are not those it was made with."""
    torch.manual_seed(0)
    network = create_model("hgstereo_s", max_disp=64, feature_channels=SMALL, num_stacks=1)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
    return network


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_model(model, path, {"training": {"data": "noise"}, "metrics": {"EPE": 3.5}, "licence": "MIT", "note": "hi"})
    return path


@pytest.fixture
def damaged(saved, tmp_path):
    """A copy of the saved file, with its weights or its card changed."""

    def copy(change_state=None, change_card=None):
        state, card = load_file(saved), read_card(saved)
        for change, subject in ((change_state, state), (change_card, card)):
            if change:
                change(subject)
        path = tmp_path / "damaged.safetensors"
        save_file(state, path, metadata={"card": json.dumps(card)})
        return path

    return copy


def assert_same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert value.dtype == theirs[key].dtype
        assert torch.equal(value, theirs[key]), key


def test_what_is_saved_is_loaded(model, saved):
    loaded = load_model(saved)
    assert_same_weights(model, loaded)
    assert not loaded.training
    assert loaded.architecture == "hgstereo_s"
    assert loaded.max_disp == 64


def test_the_card_says_what_the_weights_are(saved):
    card = read_card(saved)
    assert card == load_model(saved).card
    assert card["format"] == "stereohg"
    assert card["architecture"] == "hgstereo_s"
    assert card["normalisation"] == {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    assert (card["training"], card["metrics"]) == ({"data": "noise"}, {"EPE": 3.5})
    assert (card["licence"], card["note"], card["dtype"]) == ("MIT", "hi", "float32")
    assert isinstance(card["version"], str)
    arguments = card["arguments"]
    assert (arguments["max_disp"], arguments["output_scale"], arguments["feature_channels"]) == (64, 1.0, list(SMALL))
    assert arguments["num_groups"] == 8, "defaults are recorded too, since they may change"
    assert "align_corners" not in arguments, "hgstereo has no such argument"


def test_a_card_cannot_contradict_the_network(model, tmp_path):
    save_model(model, tmp_path / "a.safetensors", {"architecture": "psmnet", "format": "other"})
    assert read_card(tmp_path / "a.safetensors")["architecture"] == "hgstereo_s"


def test_settings_changed_after_building_are_saved(tmp_path):
    model = create_model("psmnet_basic", max_disp=96)
    model.max_disp, model.align_corners, model.output_scale = 32, True, 1.17
    save_model(model, tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors")
    assert (loaded.max_disp, loaded.align_corners, loaded.output_scale) == (32, True, 1.17)


def test_provenance_outlives_loading_and_saving(saved, tmp_path):
    save_model(load_model(saved, max_disp=128), tmp_path / "b.safetensors", {"metrics": {"EPE": 2.0}})
    card = read_card(tmp_path / "b.safetensors")
    assert (card["note"], card["metrics"], card["arguments"]["max_disp"]) == ("hi", {"EPE": 2.0}, 128)
    assert "overridden" not in card


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_card_tells_the_type_that_is_in_the_file(model, tmp_path, dtype):
    save_model(copy.deepcopy(model).to(dtype), tmp_path / "a.safetensors")
    assert read_card(tmp_path / "a.safetensors")["dtype"] == "float32"
    types = {value.dtype for value in load_file(tmp_path / "a.safetensors").values() if value.is_floating_point()}
    assert types == {torch.float32}


def test_half_is_half_the_size_and_loads_as_float32(model, saved, tmp_path):
    path = tmp_path / "half.safetensors"
    save_model(model, path, half=True)
    assert path.stat().st_size < 0.56 * saved.stat().st_size  # names and card are not halved
    assert read_card(path)["dtype"] == "float16"
    originals = model.state_dict()
    for key, value in load_model(path).state_dict().items():
        original = originals[key]
        assert value.dtype == original.dtype
        torch.testing.assert_close(value, original, rtol=2**-10, atol=1e-7)


def test_weights_in_any_memory_format_are_saved(model, tmp_path):
    rearranged = create_model("hgstereo_s", feature_channels=SMALL, num_stacks=1)
    rearranged.load_state_dict(model.state_dict())
    for layer in rearranged.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.to(memory_format=torch.channels_last)
    save_model(rearranged, tmp_path / "a.safetensors")
    assert_same_weights(model, load_model(tmp_path / "a.safetensors"))


def test_overrides_are_applied_and_recorded(saved):
    loaded = load_model(saved, max_disp=288, output_scale=1.5)
    assert (loaded.max_disp, loaded.output_scale) == (288, 1.5)
    assert loaded.arguments["max_disp"] == 288
    assert loaded.card["arguments"]["output_scale"] == 1.5
    assert loaded.card["overridden"] == {"max_disp": 288, "output_scale": 1.5}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_disp": 0}, "max_disp is 0; it must be a positive number"),
        ({"output_scale": 0.0}, "must be positive"),
        ({"output_scale": math.nan}, "must be positive"),
        ({"align_corners": True}, "hgstereo_s has no align_corners"),
    ],
)
def test_settings_that_do_not_fit_are_refused(saved, setting, message):
    with pytest.raises(ValueError, match=message):
        load_model(saved, **setting)


def test_bundled_weights_are_found_by_name(saved, monkeypatch):
    monkeypatch.setattr(weights, "_bundled_folder", lambda: saved.parent)
    assert bundled_names() == ["mine"]
    assert load_model("mine").architecture == "hgstereo_s"
    assert read_card("mine")["note"] == "hi"
    with pytest.raises(FileNotFoundError, match="nobody is neither bundled weights nor a file; bundled are: mine"):
        load_model("nobody")
    with pytest.raises(FileNotFoundError, match="create_model makes that network"):
        load_model("psmnet")


def test_what_comes_with_the_package_loads():
    assert "hgstereo_s" in bundled_names()
    for name in bundled_names():
        assert load_model(name).card["format"] == "stereohg"


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="nor a file"):
        load_model(tmp_path / "absent.safetensors")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_model(tmp_path)


def test_foreign_missing_and_misshapen_weights_are_named(damaged):
    key = "entry.conv.weight"
    with pytest.raises(CheckpointError, match=r"damaged.safetensors .* lacks 1 keys: entry\.conv\.weight"):
        load_model(damaged(lambda state: state.pop(key)))
    with pytest.raises(CheckpointError, match="1 foreign keys: odd"):
        load_model(damaged(lambda state: state.update(odd=torch.zeros(1))))
    with pytest.raises(
        CheckpointError, match=r"entry\.conv\.weight has the shape \(1, 2\); expected is \(8, 8, 3, 3, 3\)"
    ):
        load_model(damaged(lambda state: state.update({key: torch.zeros(1, 2)})))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_named(damaged, value):
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in entry\.conv\.weight"):
        load_model(damaged(lambda state: state["entry.conv.weight"].view(-1)[3:4].fill_(value)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(format="other"), "no card of stereohg"),
        (lambda card: card.update(architecture="raft"), "holds the network 'raft'; this version has gwcnet_g"),
        (lambda card: card.update(arguments={"depth": 3}), "arguments that it does not take: .*depth"),
        (lambda card: card.update(arguments=None), "arguments that it does not take"),
        (lambda card: card["arguments"].update(max_disp=100), "arguments that it does not take: max_disp is 100"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(damaged, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_model(damaged(change_card=change))


def test_a_file_without_a_card_is_refused(saved, tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file(load_file(saved), path)
    with pytest.raises(CheckpointError, match="bare.safetensors has no card"):
        load_model(path)


@pytest.mark.parametrize("size", [0, 5, 100, 50_000, -1])
def test_a_truncated_file_is_refused(saved, tmp_path, size):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="cut.safetensors is truncated or corrupt"):
        load_model(path)


def test_what_cannot_be_saved_leaves_the_file_as_it_was(model, saved, tmp_path):
    path = tmp_path / "kept.safetensors"
    path.write_bytes(b"before")
    bad = load_model(saved)
    with pytest.raises(TypeError):
        save_model(bad, path, {"training": object()})
    weight = bad.entry.conv.weight.detach()
    weight[0] = 1e6
    with pytest.raises(CheckpointError, match=r"entry\.conv\.weight is too large for float16"):
        save_model(bad, path, half=True)
    weight[0] = math.nan
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in entry\.conv\.weight"):
        save_model(bad, path)
    with pytest.raises(ValueError, match="Linear is no registered network"):
        save_model(torch.nn.Linear(1, 1), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_keypoint_networks_are_saved_with_all_their_arguments(tmp_path):
    model = create_model("keypoint_hourglass", num_stacks=1, norm="group")
    save_model(model, tmp_path / "pose.safetensors")
    loaded = load_model(tmp_path / "pose.safetensors")
    assert_same_weights(model, loaded)
    assert loaded.arguments == {"num_stacks": 1, "num_blocks": 1, "num_keypoints": 16, "norm": "group"}
    with pytest.raises(ValueError, match="keypoint_hourglass has no max_disp"):
        load_model(tmp_path / "pose.safetensors", max_disp=64)
