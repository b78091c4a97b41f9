"""Settings as plain values, and which of them two runs of one folder may differ in."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from stereohg.data.transforms import HorizontalFlip, RandomCrop, RandomScale
from stereohg.training.config import Augmentation, DataConfig, ReportConfig, StereoTraining
from stereohg.training.settings import MAY_CHANGE, plain, refuse_another_run, without_folders

PATH = Path("checkpoints/step_00000002.pt")


def refuse(there, here):
    refuse_another_run(PATH, plain(there), plain(here))


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


def test_what_may_change_is_there():
    names = {field.name for field in fields(StereoTraining)} | {"data.root"}
    assert set(MAY_CHANGE) <= names
    # the names are compared by their beginnings, so none may begin another that decides the weights
    assert {name for name in names if name.startswith(MAY_CHANGE)} == set(MAY_CHANGE)


def test_augmentation_is_composed_in_its_order():
    chosen = Augmentation(scale=RandomScale(0.5, 2), crop=RandomCrop(64, 96), horizontal_flip=HorizontalFlip())
    flip, scale, crop = chosen.compose().transforms
    assert (flip, crop) == (HorizontalFlip(), RandomCrop(64, 96))
    assert scale == RandomScale(0.5, 2, height=64, width=96)  # never below the crop
    assert Augmentation(crop=None).compose().transforms == ()
