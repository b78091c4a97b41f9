"""Keypoints as a task of the training loop: what is learnt, how it is measured, and what the weights say of it."""

import dataclasses
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.lsp import MEAN as LSP_MEAN
from stereohg.data.people.mpii import MEAN as MPII_MEAN
from stereohg.data.people.skeletons import COCO, MPII
from stereohg.models.checkpoint import CheckpointError
from stereohg.models.published import save_published
from stereohg.models.registry import create_model
from stereohg.models.weights import load_model, read_card
from stereohg.pose.evaluation import evaluate_keypoints
from stereohg.pose.prediction import KeypointPredictor
from stereohg.training.config import (
    CheckpointConfig,
    KeypointTraining,
    ModelConfig,
    OptimiserConfig,
    PeopleConfig,
    ReportConfig,
    ValidationConfig,
)
from stereohg.training.heatmap_losses import heatmap_loss
from stereohg.training.keypoints import KeypointTask
from stereohg.training.loop import train
from stereohg.training.recipes import load_recipe
from stereohg.training.run import Run
from tests import pose_trees as trees
from tests import runs
from tests.training.test_command import status

FIGURES = PeopleConfig(options={"length": 6, "picture": [64, 64]})
GROUP = ModelConfig("keypoint_hourglass", {"num_stacks": 1, "norm": "group"})
"""Each person by itself, so that a batch may have one and parts of a batch come to the whole."""
TINY = KeypointTraining(
    batch_size=2,
    steps=4,
    workers=0,
    optimiser=OptimiserConfig("rmsprop", 2.5e-4),
    checkpoints=CheckpointConfig(every=2),
    report=ReportConfig(every=1),
    model=ModelConfig("keypoint_hourglass", {"num_stacks": 1}),
    data=FIGURES,
    size=64,
)
"""An epoch of three steps and one more, of six figures."""
VALIDATED = replace(
    TINY,
    validation_data=PeopleConfig(options={"length": 3, "picture": [64, 64], "seed": 9}),
    validation=ValidationConfig(every_epochs=0, every_steps=2, metric="person.mean"),
)


def task(config: KeypointTraining = TINY, **changes) -> KeypointTask:
    return KeypointTask(replace(config, **changes))


def run(config, folder) -> nn.Module | None:
    return train(KeypointTask(config), config, folder)


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def people(name: str, root, split: str | None = None, **options) -> PeopleConfig:
    return PeopleConfig(name, root, split, options)


# --- on the loop ----------------------------------------------------------------------------------------------------


def test_it_learns(tmp_path):
    """One batch of two figures, until it is clearly better than maps without any peak."""
    data = PeopleConfig(options={"length": 2, "picture": [64, 64]})
    config = replace(TINY, data=data, augmentation=None, steps=30, optimiser=OptimiserConfig("adamw", 2e-3))
    run(replace(config, checkpoints=CheckpointConfig(every=0)), tmp_path)
    samples = task(config).samples
    truth = torch.from_numpy(np.stack([samples[0].heatmaps, samples[1].heatmaps]))
    nothing = heatmap_loss([torch.zeros_like(truth)], truth, torch.ones(2, 16)).item()
    rows = runs.history(tmp_path)
    assert rows[-1]["loss"] < 0.7 * nothing < rows[0]["loss"]
    assert rows[-1]["accuracy"] > 0.3 > 0.1 > rows[0]["accuracy"]


def test_a_run_that_stops_after_each_step_comes_to_the_same(tmp_path):
    """Crops are drawn anew in each epoch, the second of which begins with the last step."""
    assert run(VALIDATED, tmp_path / "whole") is not None
    for _ in range(3):
        assert run(replace(VALIDATED, time_limit=0.0), tmp_path / "stopped") is None
    assert run(VALIDATED, tmp_path / "stopped") is not None
    runs.assert_same_runs(tmp_path / "whole", tmp_path / "stopped")
    assert len(list((tmp_path / "whole").glob("*.safetensors"))) == 2  # the best, and the last


def test_a_batch_in_parts_is_the_batch(tmp_path):
    """Of three people, two in the first part and one in the second."""
    data = PeopleConfig(options={"length": 3, "picture": [64, 64]})
    config = replace(TINY, data=data, model=GROUP, batch_size=4, steps=2, optimiser=OptimiserConfig("sgd", 0.1))
    start = weights(Run(KeypointTask(config), config, tmp_path / "whole").network)
    whole = weights(run(config, tmp_path / "whole"))
    parts = weights(run(replace(config, accumulate=2), tmp_path / "parts"))
    assert runs.losses(tmp_path / "parts") == pytest.approx(runs.losses(tmp_path / "whole"), rel=1e-4)
    assert (parts - whole).norm() < 0.01 * (whole - start).norm()  # a maximum may be another one by a rounding


@pytest.mark.parametrize(
    "name, tree, mean, skeleton, metric",
    [("hourglass_lsp", trees.lsp, LSP_MEAN, MPII, "torso.mean"), ("hourglass_coco", trees.coco, None, COCO, "oks.AP")],
)
def test_published_recipes_on_their_sets(tmp_path, name, tree, mean, skeleton, metric):
    root = tree(tmp_path / "set")
    if name == "hourglass_coco":
        tree(root, "train2017")
    else:
        trees.save_pictures(root / "images", "im1002.jpg")  # the other one to validate on
    config = load_recipe(name)
    config = replace(config, data=replace(config.data, root=root), model=GROUP, size=64, shuffle=False, workers=0)
    run(replace(config, batch_size=1, epochs=None, steps=1), tmp_path / "run")
    learnt, tried = runs.history(tmp_path / "run")
    assert learnt["learning_rate"] == 2.5e-4 and f"validation/{metric}" in tried
    card = read_card(tmp_path / "run" / "best.safetensors")
    assert card["skeleton"]["name"] == skeleton.name and card["arguments"]["num_keypoints"] == len(skeleton)
    assert card["normalisation"] == {"mean": list(mean or CocoKeypoints.mean), "std": [1, 1, 1]}


# --- what counts ----------------------------------------------------------------------------------------------------


def test_measures_by_hand(tmp_path):
    """A first stack off by 1 and a second one off by 2; 13 of the published person's 16 keypoints count."""
    own = task(data=PeopleConfig("mpii", trees.mpii(tmp_path), "train"), published=True, augmentation=None)
    batch = own.collate([own.samples[0]])

    def network(image):
        return [batch.heatmaps + 1, batch.heatmaps + 2]

    assert own.counts(batch).tolist() == [1]
    loss, accuracy = own.losses(network, batch, torch.tensor([1])).tolist()
    assert loss == pytest.approx(13 / 16 * 0.5 * (1 + 4)) and accuracy == 1
    of_four = own.losses(network, batch, torch.tensor([4])).tolist()  # the rest are other parts'
    assert of_four == pytest.approx([loss / 4, 1 / 4])
    hardest = task(replace(own.config, hardest=13)).losses(network, batch, torch.tensor([1]))
    assert hardest[0].item() == pytest.approx(0.5 * (1 + 4))


def test_a_person_who_does_not_count_changes_nothing():
    own = task(model=GROUP)
    network, (first, second, third) = own.network(), map(own.samples.__getitem__, range(3))
    alone, beside = own.collate([first, second]), own.collate([first, second, own.uncounted(third)])
    assert own.counts(beside).tolist() == own.counts(alone).tolist() == [2]
    losses = [own.losses(network, batch, own.counts(batch))[0].item() for batch in (alone, beside)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    nobody = own.collate([own.uncounted(third)])
    measures = own.losses(network, nobody, own.counts(nobody))
    assert measures.tolist() == [0, 0]
    measures[0].backward()
    assert all((parameter.grad == 0).all() for parameter in network.parameters())


# --- weights --------------------------------------------------------------------------------------------------------


def test_the_network_has_the_keypoints_of_the_set(tmp_path):
    assert task().network().num_keypoints == 16
    own = task(data=people("folder", trees.own(tmp_path)))
    assert own.network().num_keypoints == 3
    wrong = ModelConfig("keypoint_hourglass", {"num_stacks": 1, "num_keypoints": 16})
    with pytest.raises(ValueError, match="the network has 16 keypoints, and folder 3; leave num_keypoints out"):
        task(own.config, model=wrong).network()


def test_weights_of_pytorch_pose_to_go_on_from(tmp_path):
    path = tmp_path / "hg_s1_b1.pth.tar"
    published = create_model("keypoint_hourglass", num_stacks=1)
    save_published(published, path)
    own = task(model=replace(TINY.model, weights=str(path)))
    network = own.network()
    runs.assert_same(network, published)
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(CheckpointError, match="hg_s1_b1.pth.tar"):
        task(own.config, data=people("folder", trees.own(tmp_path / "own"))).network()  # of 3 keypoints
    with pytest.raises(ValueError, match="hgstereo_s holds hgstereo_s, and the recipe trains keypoint_hourglass"):
        task(model=replace(TINY.model, weights="hgstereo_s")).network()


def test_saved_weights_say_what_their_input_and_keypoints_are(tmp_path):
    own = task(data=people("folder", trees.own(tmp_path)))
    network = own.network()
    own.save(network, tmp_path / "own.safetensors", {"steps": 4}, {"person.mean": 1.5})
    card = read_card(tmp_path / "own.safetensors")
    assert card["training"] == {"steps": 4} and card["metrics"] == {"person.mean": 1.5}
    runs.assert_same(load_model(tmp_path / "own.safetensors"), network)
    predictor = KeypointPredictor(tmp_path / "own.safetensors", size=(64, 64), flip=True)
    assert predictor.skeleton == own.samples.skeleton and predictor.skeleton.flip_pairs == ((2, 1),)
    assert predictor.normalisation == {"mean": list(own.samples.mean), "std": [1, 1, 1]}
    crop = own.samples[0].image
    seen = []
    predictor.forward = lambda image: seen.append(image) or torch.zeros(len(image), 3, 16, 16)
    predictor.heatmaps(torch.from_numpy(crop).permute(2, 0, 1)[None])
    torch.testing.assert_close(seen[0], own.collate([own.samples.sample(0, 0)]).image)


# --- validation -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validated():
    """A task that validates, its network, and the figures."""
    own = task(VALIDATED)
    torch.manual_seed(0)
    network = own.network()
    return own, network, own.validate(network, 0, 1, list)


def test_figures_have_the_sets_measure_in_their_names(validated):
    own, _, figures = validated
    titles = ["mean", "pooled", "auc", *(title for title, _ in MPII.columns())]
    assert list(figures) == [f"person.{title}" for title in titles]
    assert 0 < figures["person.auc"] < 100
    json.dumps(figures, allow_nan=False)


def test_validation_is_what_the_saved_weights_come_to(validated, tmp_path):
    own, network, figures = validated
    own.save(network, tmp_path / "own.safetensors", {}, {})
    predictor = KeypointPredictor(tmp_path / "own.safetensors", size=(64, 64))
    found = evaluate_keypoints(predictor, own.validation).pck("person")
    for name in ("mean", "pooled", "auc"):
        assert figures[f"person.{name}"] == pytest.approx(found[name])


def test_two_processes_share_the_people(validated):
    own, network, figures = validated
    second = []
    own.validate(network, 1, 2, lambda share: second.extend(share) or share)
    assert [len(share.people) for share in second] == [1]
    assert own.validate(network, 0, 2, lambda share: share + second) == pytest.approx(figures)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_validation_leaves_the_network_as_it_is(validated, layout):
    own, network, _ = validated
    network = network.to(memory_format=layout).train()
    before = {name: (value.clone(), value.stride()) for name, value in network.state_dict().items()}
    own.validate(network, 0, 1, list)
    assert all(module.training for module in network.modules())
    after = {name: (value, value.stride()) for name, value in network.state_dict().items()}
    runs.assert_same(before, after)


def test_validation_takes_the_root_of_training_where_it_has_none(tmp_path):
    root, other = trees.mpii(tmp_path / "own"), trees.mpii_json(tmp_path / "other")
    config = replace(TINY, data=PeopleConfig("mpii", root, "trainval"), validation=ValidationConfig(metric="pckh.knee"))
    own = task(config, validation_data=PeopleConfig("mpii"))
    assert (len(own.samples), len(own.validation)) == (3, 1)
    own = task(config, validation_data=PeopleConfig("mpii", other, "validation"))
    assert own.validation.people[0].image.is_relative_to(other)
    own = task(config, validation_data=FIGURES, validation=VALIDATED.validation)
    assert len(own.validation) == 6 and own.validation.augmentation is None is not own.samples.augmentation
    assert not task(config).validates


def test_validation_names_who_cannot_be_read_or_leaves_them_out(tmp_path):
    root = trees.coco(tmp_path)
    (root / "val2017/000000000139.jpg").write_bytes(b"no picture")
    config = replace(
        TINY,
        data=people("coco", root, "val2017"),
        validation_data=people("coco", root, "val2017"),
        validation=ValidationConfig(metric="oks.AP"),
    )
    network = task(config).network()
    with pytest.raises(ValueError, match="validation cannot read 139_1: .*139.jpg is not a whole picture"):
        task(config).validate(network, 0, 1, list)
    skipping = replace(config.validation_data, on_error="skip")
    assert "oks.AP" in task(config, validation_data=skipping).validate(network, 0, 1, list)


def test_a_set_in_cocos_form_is_measured_by_the_person(tmp_path):
    """OKS has constants of COCO's own keypoints alone."""
    root = trees.coco(tmp_path)
    path = root / "annotations/person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 1, "name": "hand", "keypoints": ["left_tip", "right_tip", "root"]}]
    for annotation in document["annotations"]:
        annotation["keypoints"] = annotation["keypoints"][6:15]
    path.write_text(json.dumps(document))
    hands = people("coco", root, "val2017")
    own = task(data=hands, validation_data=hands, validation=ValidationConfig(metric="person.root"))
    assert list(own.validate(own.network(), 0, 1, list))[3:] == ["person.left_tip", "person.right_tip", "person.root"]


def test_what_cannot_be_measured_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="metric is 'all.per_pixel.epe'; known are person.mean, person.pooled, person"):
        task(validation_data=FIGURES)
    with pytest.raises(ValueError, match="metric is 'person.mean'; known are oks.AP, oks.AP50"):
        coco = people("coco", trees.coco(tmp_path / "coco"), "val2017")
        task(VALIDATED, data=coco, validation_data=coco)
    with pytest.raises(ValueError, match="data has the keypoints of mpii, and validation_data those of lsp"):
        task(VALIDATED, validation_data=people("lsp", trees.lsp(tmp_path / "lsp")))
    mpii = people("mpii", trees.mpii_json(tmp_path / "mpii"), "validation")
    (tmp_path / "mpii" / "detections_our_format.mat").unlink()
    with pytest.raises(ValueError, match="PCKh is measured in head boxes, and nobody has one: .*detections_our_format"):
        task(VALIDATED, data=mpii, validation_data=mpii, validation=ValidationConfig(metric="pckh.mean"))


def test_what_average_precision_needs_is_told_at_once(tmp_path, monkeypatch):
    coco = people("coco", trees.coco(tmp_path), "val2017")
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'stereohg\[pose\]'"):
        task(VALIDATED, data=coco, validation_data=coco, validation=ValidationConfig(metric="oks.AP"))


@pytest.mark.parametrize(
    "data, message",
    [
        (PeopleConfig("mpii"), "mpii lies in a folder, and no root was given; give one"),
        (PeopleConfig(split="test"), "figures has no splits, and split is 'test'"),
        (PeopleConfig(options={"lenght": 3}), "figures cannot be made with .*lenght"),
        (
            PeopleConfig("lsp", options={"skeleton": "h36m"}),
            "skeleton is h36m; LSP has its own and can be brought to MPII",
        ),
    ],
)
def test_sets_that_cannot_be_opened(tmp_path, data, message):
    if data.name == "lsp":
        data = replace(data, root=trees.lsp(tmp_path))
    with pytest.raises(ValueError, match=message):
        task(data=data)


# --- pictures -------------------------------------------------------------------------------------------------------

PEAK, NOTHING = (252, 255, 164), (0, 0, 4)
"""The ends of the Inferno colours."""


def test_pictures_are_of_the_first_person():
    own = task(augmentation=None)
    first = own.samples[0]
    batch = own.collate([first, own.samples[1]])

    def network(image):
        assert len(image) == 1
        return [None, torch.zeros(1, 16, 16, 16)]

    pictures = own.pictures(network, batch)
    assert list(pictures) == ["image", "truth", "prediction"]
    assert {(picture.shape, picture.dtype.name) for picture in pictures.values()} == {((64, 64, 3), "uint8")}
    np.testing.assert_array_equal(pictures["image"], np.round(255 * first.image).astype(np.uint8))
    half = pictures["image"] / 2
    np.testing.assert_allclose(
        pictures["prediction"] - half, np.broadcast_to(np.array(NOTHING) / 2, half.shape), atol=1
    )
    peaked = torch.zeros(1, 16, 16, 16)
    peaked[0, 3, 4:6, 7:9] = 1  # rows 18 to 21 and columns 30 to 33 are between these cells' middles
    picture = own.pictures(lambda image: [peaked], batch)["prediction"]
    np.testing.assert_allclose((picture - half)[19:21, 31:33], np.broadcast_to(np.array(PEAK) / 2, (2, 2, 3)), atol=1)
    np.testing.assert_allclose((picture - half)[40:], (pictures["prediction"] - half)[40:])
    same = own.pictures(lambda image: [batch.heatmaps[:1]], batch)
    np.testing.assert_array_equal(same["prediction"], same["truth"])
    assert np.abs(same["truth"] - half).max() > 100


def test_tensorboard_has_figures_pictures_and_the_graph(tmp_path):
    report = ReportConfig(1, trackers=["tensorboard"], pictures_every=2)
    run(replace(VALIDATED, steps=2, report=report), tmp_path)
    events = EventAccumulator(str(tmp_path / "stereohg"), size_guidance={"tensors": 0, "images": 0}).Reload()
    assert {"train/loss", "train/accuracy", "validation/person.mean"} <= set(events.Tags()["scalars"])
    for name in ("image", "truth", "prediction"):
        (picture,) = events.Images(name)
        assert (picture.step, picture.width, picture.height) == (2, 64, 64)
    assert events.Tags()["graph"]


# --- on the command line --------------------------------------------------------------------------------------------


def test_train_evaluate_predict(tmp_path, capsys):
    """The recipe of MPII made small; its three people fill a batch."""
    root, out = trees.mpii(tmp_path / "mpii"), tmp_path / "run"
    small = ["--size", 64, "--model.arguments.num_stacks", 1, "--batch_size", 3, "--epochs", "null", "--steps", 2]
    data = ["--data.root", root, "--data.split", "trainval", "--workers", 0]
    assert status("train", "hourglass_mpii", "-o", out, *small, *data) == 0
    assert "step 2: pckh.mean" in capsys.readouterr().err
    *_, tried = runs.history(out)
    card = read_card(out / "keypoint_hourglass.safetensors")
    assert card["training"]["settings"]["published"] and card["training"]["steps"] == 2
    assert card["normalisation"]["mean"] == list(MPII_MEAN) and card["skeleton"]["name"] == "mpii"

    model = ["--model", out / "keypoint_hourglass.safetensors", "--size", 64]
    table = tmp_path / "table"
    assert status("pose", "evaluate", root, "--data", "mpii", *model, "--published", "-o", table) == 0
    found = json.loads((table / "metrics.json").read_text())
    assert found["people"] == 1 and 0 < found["auc"] == pytest.approx(tried["validation/pckh.auc"])
    assert found["mean"] == pytest.approx(tried["validation/pckh.mean"])

    assert status("pose", "predict", root / "images", *model, "-o", tmp_path / "out") == 0
    results = json.loads((tmp_path / "out/keypoints.json").read_text())
    assert len(results) == 4 and len(results[0]["keypoints"]) == 3 * 16


def test_the_settings_of_a_run_are_a_recipe(tmp_path, capsys):
    config = replace(VALIDATED, steps=1)
    run(config, tmp_path)
    assert load_recipe(tmp_path / "settings.yaml") == config
    assert status("train", tmp_path / "settings.yaml", "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    printed.pop("output")
    assert printed == yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert printed["task"] == "keypoints" and printed["augmentation"] == dataclasses.asdict(config.augmentation)


@pytest.mark.parametrize("given", ["depth", "[stereo]", "3"])
def test_a_task_that_there_is_not(tmp_path, capsys, given):
    (tmp_path / "own.yaml").write_text(f"task: {given}\n")
    assert status("train", tmp_path / "own.yaml", "-o", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert f"own.yaml has the task {yaml.safe_load(given)!r}; known are stereo, keypoints" in told
    assert told.count("\n") == 1


def test_options_of_stereo_are_none_of_keypoints(tmp_path, capsys):
    for recipe, options in (
        ("hourglass_figures", ("--loss.name", "--protocol", "--model.saved_max_disp")),
        ("hgstereo_synthetic", ("--hardest", "--published", "--size")),
    ):
        for option in options:
            assert status("train", recipe, "-o", tmp_path / "run", option, 64) == 2
            assert option in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
