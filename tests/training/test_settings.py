"""Settings as plain values, and which of them two runs of one folder may differ in."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from stereohg.data.transforms import Colour, HorizontalFlip, RandomCrop, RandomScale
from stereohg.training.config import (
    Augmentation,
    CheckpointConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ReportConfig,
    ScheduleConfig,
    StereoModelConfig,
    StereoTraining,
    ValidationConfig,
)
from stereohg.training.settings import MAY_CHANGE, plain, refuse_another_run, without_folders

PATH = Path("checkpoints/step_00000002.pt")


def refuse(there, here):
    refuse_another_run(PATH, plain(there), here)


def test_settings_are_what_json_and_yaml_know():
    settings = plain(replace(StereoTraining(), data=DataConfig("kitti2015", Path("kitti"))))
    assert settings["data"]["root"] == "kitti" and settings["augmentation"]["crop"] == {"height": 256, "width": 512}
    assert json.loads(json.dumps(settings)) == yaml.safe_load(yaml.safe_dump(settings)) == settings


def test_a_card_names_no_folder_of_its_maker():
    data = DataConfig("folder", Path("/home/ada/pairs.csv"), options={"keep": ["/a/b"]})
    data = without_folders(plain(replace(StereoTraining(), data=data)))["data"]
    assert (data["root"], data["options"], data["name"]) == ("pairs.csv", {"keep": ["b"]}, "folder")
    for stays in ("pairs/list.txt", "hf://owner/name", 1.5, None):
        assert without_folders({"weights": stays}) == {"weights": stays}


def test_the_same_settings_are_accepted():
    refuse(StereoTraining(), StereoTraining())


def test_settings_that_a_checkpoint_of_an_older_version_does_not_know_are_as_by_default():
    config = replace(StereoTraining(), augmentation=Augmentation(colour=Colour()))
    there = plain(config)
    del there["loss"]["borders"], there["augmentation"]["colour"]["grey"], there["trainable"]
    refuse_another_run(PATH, there, config)
    with pytest.raises(ValueError, match="horizontal_flip.probability=None there, 0.5 here"):
        refuse_another_run(PATH, there, replace(config, augmentation=Augmentation(horizontal_flip=HorizontalFlip())))
    with pytest.raises(ValueError, match=r"run \(loss.borders=0.0 there, 2.0 here\)"):
        refuse_another_run(PATH, there, replace(config, loss=LossConfig(borders=2.0)))


def test_what_differs_is_named():
    crop = Augmentation(crop=RandomCrop(64, 96), horizontal_flip=HorizontalFlip(0.25))
    with pytest.raises(ValueError) as error:
        refuse(StereoTraining(), replace(StereoTraining(), ema=0.9, augmentation=crop))
    assert str(error.value) == (
        "checkpoints/step_00000002.pt is of another run (augmentation.crop.height=256 there, 64 here; "
        "augmentation.crop.width=512 there, 96 here; augmentation.horizontal_flip.probability=None there, 0.25 here; "
        "ema=None there, 0.9 here); give those settings, or another folder"
    )


def test_what_may_change_is_not_looked_at():
    there = replace(StereoTraining(), steps=5, data=DataConfig("kitti2015", Path("here")))
    data = DataConfig("kitti2015", Path("there"))
    refuse(there, replace(there, steps=9, data=data, report=ReportConfig(trackers=["tensorboard"])))
    with pytest.raises(ValueError, match="data.split=None there, training here"):
        refuse(there, replace(there, data=replace(data, split="training")))


def test_what_begins_like_what_may_change_is_looked_at(monkeypatch):
    monkeypatch.setattr("stereohg.training.settings.MAY_CHANGE", ("trainable", "ep", "loss"))
    config = StereoTraining()
    refuse(config, replace(config, loss=LossConfig(borders=2.0)))
    with pytest.raises(ValueError, match="epochs=None there, 3 here"):
        refuse(config, replace(config, epochs=3))


def test_weights_to_begin_with_may_have_been_moved(tmp_path):
    """The checkpoint has learnt from them already; but where the old ones still stand, others are others."""
    (tmp_path / "a.pt").touch()
    for before, now, is_told in (
        ("gone/a.pt", "/moved/a.pt", False),
        ("gone/a.pt", "/moved/b.pt", True),
        (str(tmp_path / "a.pt"), "/moved/a.pt", True),
        (None, "/moved/a.pt", True),
    ):
        there, here = (replace(StereoTraining(), model=StereoModelConfig(weights=weights)) for weights in (before, now))
        if is_told:
            with pytest.raises(ValueError, match=f"model.weights={before} there, {now} here"):
                refuse(there, here)
        else:
            refuse(there, here)


def test_weights_to_begin_with_may_be_called_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pt", b"weights"), ("copy.pt", b"weights"), ("other.pt", b"Weights")):
        Path(name).write_bytes(content)
    there, same, copy, other = (
        replace(StereoTraining(), model=StereoModelConfig(weights=str(weights)))
        for weights in ("a.pt", tmp_path / "a.pt", "copy.pt", "other.pt")
    )
    refuse(there, same)
    refuse(there, copy)
    with pytest.raises(ValueError, match="model.weights=a.pt there, other.pt here"):
        refuse(there, other)


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: OptimiserConfig(clip=0), "optimiser.clip is 0; it must be positive, or null for no clipping"),
        (lambda: OptimiserConfig(learning_rate=-1e-3), "optimiser.learning_rate is -0.001; it must be positive"),
        (lambda: OptimiserConfig(weight_decay=-1), "optimiser.weight_decay is -1"),
        (lambda: OptimiserConfig(epsilon=0), "optimiser.epsilon is 0"),
        (lambda: ScheduleConfig(warmup=-5), "schedule.warmup is -5; it must be 0 or more steps"),
        (lambda: ScheduleConfig(factor=0), "schedule.factor is 0"),
        (lambda: ScheduleConfig(rise=2), "schedule.rise is 2"),
        (lambda: ScheduleConfig(milestones=[1]), r"schedule.milestones is \[1\]; it must be \[\], or"),
        (lambda: StereoModelConfig(saved_max_disp=100), "model.saved_max_disp is 100; it must be a positive multiple"),
        (lambda: CheckpointConfig(every=-1), "checkpoints.every is -1"),
        (lambda: ValidationConfig(patience=-1), "validation.patience is -1"),
        (lambda: LossConfig(heads=[]), r"loss.heads is \[\]; it must be weights of 0 and more, one for each head"),
        (lambda: LossConfig(heads=[-1.0, 1.0]), "loss.heads is"),
        (lambda: LossConfig(borders=-1), "loss.borders is -1; it must be 0 or more"),
        (lambda: LossConfig("photometric", borders=1.0), "loss.borders is 1.0; it must be 0 or more, and 0 in photom"),
        (lambda: LossConfig(above=5, below=5), "loss.above is 5; it must be below loss.below, 5"),
        (lambda: StereoTraining(steps=0), "steps is 0; it must be 1 or more"),
        (lambda: StereoTraining(accumulate=0), "accumulate is 0"),
        (lambda: StereoTraining(workers=-1), "workers is -1"),
        (lambda: StereoTraining(time_limit=-1), "time_limit is -1"),
    ],
)
def test_what_could_not_learn_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_without_a_crop_scale_has_no_least_size():
    (scale,) = Augmentation(scale=RandomScale(0.5, 1), crop=None).compose().transforms
    assert (scale.height, scale.width) == (1, 1)
    (scale,) = Augmentation(scale=RandomScale(0.5, 1, height=64), crop=None).compose().transforms
    assert scale.height == 64


def test_what_may_change_is_there():
    names = {field.name for field in fields(StereoTraining)} | {
        "data.root",
        "data.on_error",
        "model.saved_max_disp",
        "model.half",
    }
    assert set(MAY_CHANGE) <= names
    # the names are compared by their beginnings, so none may begin another that decides the weights
    assert {name for name in names if name.startswith(MAY_CHANGE)} == set(MAY_CHANGE)


def test_augmentation_is_composed_in_its_order():
    chosen = Augmentation(scale=RandomScale(0.5, 2), crop=RandomCrop(64, 96), horizontal_flip=HorizontalFlip())
    flip, scale, crop = chosen.compose().transforms
    assert (flip, crop) == (HorizontalFlip(), RandomCrop(64, 96))
    assert scale == RandomScale(0.5, 2, height=64, width=96)  # never below the crop
    assert Augmentation(crop=None).compose().transforms == ()
