"""Stereo as a task: which weights it begins with, what counts, and what it shows."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stereohg.data.motorcycle import Motorcycle
from stereohg.data.preprocess import denormalise
from stereohg.data.transforms import RandomCrop
from stereohg.models.checkpoint import CheckpointError
from stereohg.models.registry import create_model
from stereohg.models.weights import load_model, read_card, save_model
from stereohg.training.config import Augmentation, DataConfig, LossConfig, StereoModelConfig, ValidationConfig
from stereohg.training.initial import training_before
from stereohg.training.recipes import load_recipe
from stereohg.training.self_supervision import SelfSupervisedTask
from stereohg.training.stereo import StereoTask, count_heads, start
from stereohg.training.tasks import make_task
from stereohg.training.windows import Window
from tests import runs, trees

SMALL = StereoModelConfig(arguments={"max_disp": 32})


def task(**changes) -> StereoTask:
    return StereoTask(replace(runs.TINY, **changes))


# --- weights to begin with ------------------------------------------------------------------------------------------


def test_random_weights_are_those_of_the_seed():
    torch.manual_seed(3)
    network = start(SMALL)
    torch.manual_seed(3)
    runs.assert_same(network, create_model("hgstereo_s", max_disp=32))
    assert (network.architecture, network.max_disp) == ("hgstereo_s", 32)


def test_weights_go_on_from_a_file_or_a_bundled_name(tmp_path):
    save_model(create_model("hgstereo_s", max_disp=64), tmp_path / "own.safetensors")
    for weights in (str(tmp_path / "own.safetensors"), "hgstereo_s"):
        network = start(replace(SMALL, weights=weights))
        runs.assert_same(network, load_model(weights))
        assert network.training and network.max_disp == 32
    assert start(StereoModelConfig(weights=str(tmp_path / "own.safetensors"))).max_disp == 64  # the file's own


def test_the_card_tells_of_every_training(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    before = {"training": {"steps": 7}}
    save_model(create_model("hgstereo_s", max_disp=32), first, before)
    own = task(model=replace(SMALL, weights=str(first)))
    own.save(own.network(), second, {"steps": 3}, {})
    assert read_card(second)["training"]["weights_before"] == before["training"]
    assert "weights_before" not in read_card(saved(task(), tmp_path / "third.safetensors"))["training"]
    assert read_card(second)["licence"] == "of the weights that training began with: not stated"
    assert read_card(saved(task(), tmp_path / "third.safetensors"))["licence"] == "not stated"
    own.save(task(model=replace(SMALL, weights=str(second))).network(), second, {"steps": 3}, {})
    assert read_card(second)["licence"] == "of the weights that training began with: not stated"
    assert training_before("nowhere.pth") is None
    torch.save({}, tmp_path / "others.pth")
    assert training_before(str(tmp_path / "others.pth")) is None


def test_the_normalisation_is_that_of_the_weights(tmp_path):
    path, other = tmp_path / "own.safetensors", {"mean": [0.5] * 3, "std": [1.0] * 3}
    save_model(create_model("hgstereo_s", max_disp=32), path, {"normalisation": other})
    own, usual = task(model=replace(SMALL, weights=str(path))), task()
    network = own.network()
    (one, another) = (each.collate([each.samples[0]]).left for each in (own, usual))
    torch.testing.assert_close(one + 0.5, denormalise(another))
    with torch.no_grad():
        shown = own.pictures(network.eval(), own.collate([own.samples[0]]))["left"]
    assert np.abs(shown.astype(int) - own.samples[0].left).max() <= 1
    own.save(network, path, {}, {})
    assert read_card(path)["normalisation"] == other


def saved(own: StereoTask, path: Path) -> Path:
    own.save(own.network(), path, {}, {})
    return path


def test_a_recipe_that_goes_on_from_weights_wants_them():
    with pytest.raises(ValueError, match="goes on from weights: give --model.weights FILE"):
        start(replace(SMALL, weights=None))
    with pytest.raises(FileNotFoundError, match="nowhere.pth is neither bundled weights nor a file"):
        start(replace(SMALL, weights="nowhere.pth"))
    with pytest.raises(ValueError, match="hgstereo_rooms is a recipe; stereohg train, and train_chain in Python, run"):
        make_task(load_recipe("hgstereo_wide")).network()


def test_a_recipe_says_what_task_it_is_of():
    assert type(make_task(runs.TINY)) is StereoTask
    photometric = replace(runs.TINY, loss=LossConfig("photometric", [0.5, 1.0]))
    assert type(make_task(photometric)) is SelfSupervisedTask
    with pytest.raises(ValueError, match="StereoTask has no loss 'photometric'; make_task chooses the task"):
        StereoTask(photometric)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "gwcnet.safetensors"
    save_model(create_model("gwcnet_g", max_disp=32), path)
    with pytest.raises(ValueError, match="gwcnet.safetensors holds gwcnet_g, and the recipe trains hgstereo_s"):
        start(replace(SMALL, weights=str(path)))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated or corrupt"):
        start(replace(SMALL, weights=str(path)))


# --- what counts ----------------------------------------------------------------------------------------------------


@pytest.fixture
def wall(tmp_path):
    """The tests' wall, row y at 4 + y/8 pixels, without a transform."""
    config = runs.on_folder(runs.pairs(tmp_path, [48]))
    return replace(config, augmentation=replace(config.augmentation, crop=None))


def ready(config) -> tuple[StereoTask, object]:
    """The task, which knows the network, and a batch of its first pair."""
    own = StereoTask(config)
    own.network()
    return own, own.collate([own.samples[0]])


GWCNET = {"model": StereoModelConfig("gwcnet_g")}


def test_settings_that_do_not_fit_the_network_are_told_before_the_first_step(tmp_path):
    for changes, told in (
        ({"augmentation": Augmentation(crop=RandomCrop(48, 96))}, "augmentation.crop is 96x48 .* multiples of 32"),
        ({"window": Window(32, 80)}, "window is 80x32 .* multiples of 32"),
        ({"window": Window(32, 64)}, "window wants augmentation.crop"),
        ({"window": Window(32, 64), **GWCNET}, "window is of use to hgstereo, .* alone"),
        ({"loss": LossConfig(heads=[1.0])}, r"2 heads, and loss.heads is \[1.0\]"),
        (GWCNET, r"4 heads, and loss.heads is \[0.5, 1.0\]"),
    ):
        with pytest.raises(ValueError, match=told):
            task(**changes).network()


@pytest.mark.parametrize("value", [lambda x: x.sum().item(), lambda x: x.numpy(), lambda x: bool(x.sum() > 0)])
def test_a_network_whose_forward_asks_for_values_can_be_trained(monkeypatch, value):
    network = create_model("hgstereo_s", max_disp=32)
    assert count_heads(network) == 2
    monkeypatch.setattr(network, "forward", lambda left, right: value(left))
    assert count_heads(network) is None


def test_the_coarse_answer_is_learnt_where_that_is_asked_for():
    """Beside the rest, of which its weight makes no difference; and its gradient reaches what it is made of."""
    plain, taught, twice = (task(loss=replace(runs.TINY.loss, coarse=weight)) for weight in (0.0, 0.5, 1.0))
    losses, gradients = [], []
    for own in (plain, taught, twice):
        torch.manual_seed(0)
        network = own.network().train()
        batch = own.collate([own.samples[0], own.samples[1]])
        loss, epe, _ = own.losses(network, batch, own.counts(batch))
        loss.backward()
        losses.append(loss.item())
        gradients.append(network.match.weight.grad)
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3) and losses[1] > losses[0]
    assert not torch.allclose(gradients[0], gradients[1])
    with pytest.raises(ValueError, match="loss.coarse is of use to hgstereo, .* alone"):
        task(model=StereoModelConfig("psmnet"), loss=LossConfig(heads=[0.5, 0.7, 1.0], coarse=0.5)).network()


def test_what_is_learnt_is_the_part_to_learn_from(tmp_path):
    """And what is validated on the one to evaluate on, where neither is named."""
    data = DataConfig("sceneflow_clean", trees.scene_flow(tmp_path), options={"parts": ["flyingthings3d"]})
    own = task(data=data, validation_data=replace(data, root=None))
    assert all("TRAIN" in str(files.left) for files in own.samples.files)
    assert all("TEST" in str(files.left) for files in own.validation.files)


def test_pairs_without_ground_truth_are_refused_before_the_first_step(tmp_path):
    table = trees.own_folders(tmp_path) / "pairs.csv"
    table.write_text("left,right\nleft/a.png,right/a.png\n")
    with pytest.raises(ValueError, match="no pair of .*pairs.csv has a disparity"):
        task(data=DataConfig("folder", table))


@pytest.mark.parametrize(
    "above, below, rows",
    [(None, None, 48), (4, None, 47), (None, 9.875, 47), (5, 8, 23)],  # 4 to 9.875; the bounds do not count
)
def test_pixels_in_range_are_counted(wall, above, below, rows):
    own, batch = ready(replace(wall, loss=LossConfig(heads=[0.5, 1.0], above=above, below=below)))
    assert own.counts(batch).tolist() == [rows * trees.WIDTH]


def test_the_distribution_counts_blocks(wall):
    own, batch = ready(
        replace(wall, loss=LossConfig("distribution", [0.5, 1.0], below=6))
    )  # rows 0 to 15, four blocks high
    assert own.counts(batch).tolist() == [16 * 96, 4 * 24]


def test_a_sample_that_does_not_count_has_no_pixel(wall):
    own, _ = ready(wall)
    batch = own.collate([own.uncounted(own.samples[0])])
    assert own.counts(batch).tolist() == [0, 0]


class Guess(torch.nn.Module):
    """Answers 6 everywhere, with the last head at 8."""

    def forward_with_similarities(self, left, right):
        answer = left.new_full((len(left), *left.shape[-2:]), 6.0)
        return [answer, answer + 2], [None, None]


def test_measures_by_hand(wall):
    """Row y is (y - 16) / 8 off in the first head and (y - 32) / 8 in the last; rows 0 to 7 are by more than 3."""
    own, batch = ready(replace(wall, loss=LossConfig(heads=[0.5, 1.0])))
    loss, epe, bad = own.losses(Guess(), batch, own.counts(batch)).tolist()

    def smooth(off):
        return off**2 / 2 if off < 1 else off - 0.5

    first, last = ([abs(row - zero) / 8 for row in range(48)] for zero in (16, 32))
    assert loss == pytest.approx(sum(0.5 * smooth(a) + smooth(b) for a, b in zip(first, last, strict=True)) / 48)
    assert epe == pytest.approx(sum(last) / 48) and bad == pytest.approx(8 / 48)

    own, batch = ready(replace(wall, loss=LossConfig(heads=[0.5, 1.0], borders=2.0)))
    loss, epe, _ = own.losses(Guess(), batch, own.counts(batch)).tolist()
    shares = [1 + 2 * math.ceil(4 + row / 8) / 96 for row in range(48)]  # so many columns have no match in the picture
    rows = zip(shares, first, last, strict=True)
    assert loss == pytest.approx(sum(share * (0.5 * smooth(a) + smooth(b)) for share, a, b in rows) / 48)
    assert epe == pytest.approx(sum(last) / 48)  # what is measured is not weighted


# --- validation and pictures ----------------------------------------------------------------------------------------


def test_validation_takes_the_root_of_training_where_it_has_none(tmp_path):
    root, other = trees.kitti(tmp_path / "own", 2015, (0, 1)), trees.kitti(tmp_path / "other", 2015, (0,))
    data = DataConfig("kitti2015", root, "training")
    assert len(task(data=data, validation_data=DataConfig("kitti2015")).validation) == 2
    assert len(task(data=data, validation_data=DataConfig("kitti2015", other)).validation) == 1
    assert isinstance(task(data=data, validation_data=DataConfig("motorcycle")).validation, Motorcycle)
    assert task(data=data, validation_data=DataConfig("kitti2015"), protocol="gwcnet").protocol.padded == (384, 1248)
    assert not task(data=data).validates


def test_validation_on_what_is_learnt_is_told(tmp_path, caplog):
    data = DataConfig("folder", trees.own_folders(tmp_path))
    StereoTask(replace(runs.TINY, data=data, validation_data=DataConfig("folder")))
    assert "validation_data is what is learnt from" in caplog.text
    caplog.clear()
    StereoTask(replace(runs.TINY, data=replace(data, split=None), validation_data=DataConfig("motorcycle")))
    StereoTask(replace(runs.TINY, validation_data=runs.TINY.data))
    assert not caplog.text


def test_a_region_that_the_set_does_not_know_is_refused_at_once(tmp_path):
    data = DataConfig("folder", trees.own_folders(tmp_path))
    metric = ValidationConfig(metric="noc.per_pixel.epe")
    with pytest.raises(ValueError, match="validation_data does not tell what is noc"):
        StereoTask(replace(runs.TINY, data=data, validation_data=DataConfig("folder"), validation=metric))
    kitti = DataConfig("kitti2015", trees.kitti(tmp_path / "kitti", 2015))
    StereoTask(replace(runs.TINY, data=kitti, validation_data=kitti, validation=metric))


def test_scenes_to_validate_on_are_others():
    data = DataConfig("synthetic", options={"length": 1, "height": 64, "width": 96, "max_disp": 16})
    same = replace(data, options={**data.options, "seed": 0})  # of one's own accord
    for tried, is_same in ((data, False), (same, True)):
        made = task(data=data, validation_data=tried, augmentation=Augmentation(crop=None))
        assert np.array_equal(made.samples[0].left, made.validation[0].left) == is_same


def test_the_protocol_has_to_know_the_set():
    with pytest.raises(ValueError, match="'psmnet' has rules for Scene Flow and KITTI, and none for motorcycle"):
        task(validation_data=DataConfig("motorcycle"), protocol="psmnet")


def test_validation_names_a_pair_that_it_cannot_read_or_leaves_it_out(tmp_path):
    root = runs.pairs(tmp_path, [48, 48])
    (root / "left" / "1.png").write_bytes(b"no picture")
    network = create_model("hgstereo_s", max_disp=32)
    tried = DataConfig("folder", root)
    with pytest.raises(ValueError, match="validation cannot read 1: .*left/1.png is not a whole picture"):
        task(validation_data=tried).validate(network, 0, 1, list)
    figures = task(validation_data=replace(tried, on_error="skip")).validate(network, 0, 1, list)
    assert figures["all.per_pixel.epe"] > 0


def test_validation_searches_what_will_be_saved(tmp_path, monkeypatch):
    network, seen = create_model("hgstereo_s", max_disp=32), []
    own = task(
        validation_data=DataConfig("folder", runs.pairs(tmp_path, [48])), model=replace(SMALL, saved_max_disp=48)
    )
    forward = network.forward_with_similarities
    network.forward_with_similarities = lambda *images: seen.append(network.max_disp) or forward(*images)
    own.validate(network, 0, 1, list)
    assert seen == [48] and network.max_disp == 32


def test_pictures_are_of_the_first_pair(wall):
    own, batch = ready(wall)

    def network(left, right):
        return [batch.disparity + 5]

    pictures = own.pictures(network, batch)
    np.testing.assert_array_equal(pictures["left"], own.samples[0].left)
    assert pictures["prediction"].shape == pictures["error"].shape == (48, 96, 3)
    unknown = own.collate([own.uncounted(own.samples[0])])
    assert set(own.pictures(network, unknown)) == {"left", "prediction"}
