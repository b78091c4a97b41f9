"""The recipes in the package, against what the papers' authors' code does."""

from dataclasses import replace

import pytest

from stereohg.cli import _with_recipe_file, build_parser
from stereohg.data.people.transforms import Augmentation as PoseAugmentation
from stereohg.data.transforms import RandomCrop
from stereohg.models.registry import MODELS
from stereohg.protocols import choose_protocol
from stereohg.training.config import (
    Augmentation,
    KeypointTraining,
    LoopConfig,
    LossConfig,
    ModelConfig,
    OptimiserConfig,
    ScheduleConfig,
    StereoTraining,
    ValidationConfig,
)
from stereohg.training.recipes import find_recipe, list_recipes, load_recipe
from stereohg.training.windows import Window

PSMNET = ("psmnet_sceneflow", "psmnet_kitti2012", "psmnet_kitti2015")
GWCNET = tuple(f"gwcnet_{kind}_{data}" for kind in ("g", "gc") for data in ("sceneflow", "kitti2012", "kitti2015"))
HOURGLASS = ("hourglass_mpii", "hourglass_mpii_s8", "hourglass_coco", "hourglass_lsp")
PUBLISHED = (*PSMNET, *GWCNET)
OURS = ("hgstereo_synthetic", "hgstereo_rooms", "hgstereo_wide", "hgstereo", "finetune", "adapt", "selftrain")
ADAM = OptimiserConfig("adam", 1e-3, weight_decay=0, clip=None)  # 0.9 and 0.999 are PyTorch's


def recipe(name: str, *options: str, training: type[LoopConfig] = StereoTraining) -> LoopConfig:
    """The settings as the command gets them."""
    arguments, commands = _with_recipe_file(["train", name, "-o", "run", *options])
    parser = build_parser(commands)
    parsed = parser.instantiate(parser.parse_args(arguments))
    settings = parsed.train.as_dict()
    return training(**{key: value for key, value in settings.items() if key not in ("recipe", "output")})


def test_these_are_all():
    assert set(list_recipes()) == {*PUBLISHED, *HOURGLASS, "hourglass_figures", *OURS}


@pytest.mark.parametrize("name", PUBLISHED)
def test_common_to_the_published_recipes(name):
    own = recipe(name)
    network, _, data = name.rpartition("_")
    assert (own.model.name, own.model.arguments) == (network, {"max_disp": 192}) and network in MODELS
    assert own.augmentation == Augmentation(crop=RandomCrop(256, 512))
    assert own.optimiser == ADAM and own.shuffle and own.accumulate == 1 and own.precision == "float32"
    assert own.loss.name == "smooth_l1" and own.ema is None and not own.freeze_batch_norm
    assert own.data.name.startswith(data) and own.validation_data.name == own.data.name
    assert choose_protocol(own.protocol, own.data.name).name == network.split("_")[0]


@pytest.mark.parametrize("name", PSMNET)
def test_psmnet_keeps_the_last_batch(name):
    own = recipe(name)
    assert (own.batch_size, own.drop_last) == (12, False)
    assert own.loss.heads == [0.5, 0.7, 1.0]


@pytest.mark.parametrize("name", GWCNET)
def test_gwcnet_drops_the_last_batch(name):
    own = recipe(name)
    assert (own.batch_size, own.drop_last) == (16, True)
    assert own.loss.heads == [0.5, 0.5, 0.7, 1.0]
    assert (own.loss.above, own.loss.below) == (0, 192)


def test_psmnet_on_scene_flow():
    own = recipe("psmnet_sceneflow")
    assert (own.data.name, own.data.split, own.validation_data.split) == ("sceneflow_clean", "train", "test")
    assert (own.epochs, own.steps, own.schedule) == (10, None, ScheduleConfig("constant"))
    assert (own.loss.above, own.loss.below) == (None, 192)
    assert own.model.weights == "random" and own.validation.metric == "all.per_image.epe"


@pytest.mark.parametrize("kind", ["g", "gc"])
def test_gwcnet_on_scene_flow(kind):
    own = recipe(f"gwcnet_{kind}_sceneflow")
    assert (own.data.name, own.data.split, own.validation_data.split) == ("sceneflow", "train", "test")
    assert (own.epochs, own.steps) == (16, None)
    assert own.schedule == ScheduleConfig("milestones", milestones=[10, 12, 14], factor=0.5)
    assert own.model.weights == "random" and own.validation.metric == "all.per_image.epe"


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "kitti" in name])
def test_kitti_goes_on_from_weights_of_scene_flow(name):
    own, paper = recipe(name), name.split("_")[0]
    assert own.model.weights is None
    assert (own.data.split, own.validation_data.split) == (f"{paper}_train", f"{paper}_val")
    assert (own.epochs, own.steps) == (300, None)
    assert own.schedule == ScheduleConfig("milestones", milestones=[200], factor=0.1)
    assert own.validation.metric == "all.per_image.d1"
    if paper == "psmnet":
        assert (own.loss.above, own.loss.below) == (0, None)


def test_hgstereo_as_the_bundled_weights_were_begun():
    own = recipe("hgstereo_synthetic")
    assert (own.model.arguments, own.model.saved_max_disp, own.model.half) == ({"max_disp": 128}, 192, True)
    assert own.data.options == {"length": 10000, "height": 192, "width": 448, "max_disp": 127}
    assert (own.batch_size, own.steps, own.shuffle, own.augmentation.crop) == (4, 2500, False, None)
    assert own.optimiser == OptimiserConfig("adamw", 2e-3, 1e-4, clip=1.0)
    assert own.schedule == ScheduleConfig("cosine", warmup=100)
    assert (own.loss.name, own.loss.heads, own.loss.below) == ("distribution", [0.5, 1.0], 128)
    assert own.validation_data.name == "motorcycle"


def test_hgstereo_as_the_bundled_weights_went_on():
    own = recipe("hgstereo_rooms")
    assert own.model.weights == "hgstereo_synthetic"  # which is run first
    arguments = {"max_disp": 192, "scale": 1.5}
    assert (own.model.arguments, own.model.saved_max_disp, own.model.half) == (arguments, 288, True)
    assert own.data.options == {"scenes": "mixed", "length": 1200, "height": 320, "width": 704, "max_disp": 128}
    assert (own.augmentation.scale.low, own.augmentation.scale.high) == (1.0, 2.0)
    assert own.augmentation.crop == RandomCrop(288, 640) and own.augmentation.patch.probability == 0.2
    assert own.augmentation.colour.grey == 0.2
    assert own.optimiser == OptimiserConfig("adamw", 1e-3, 1e-4, clip=1.0)
    assert (own.loss.name, own.loss.heads, own.loss.below) == ("distribution", [0.5, 1.0], 192)


def test_the_last_two_recipes_of_hgstereo():
    own, before = recipe("hgstereo_wide"), recipe("hgstereo_rooms")
    assert own.model.weights == "hgstereo_rooms"
    arguments = {"max_disp": 256, "scale": 1.5}
    assert (own.model.arguments, own.model.saved_max_disp, own.model.half) == (arguments, 288, True)
    assert (own.data, own.schedule) == (before.data, before.schedule)
    assert (own.augmentation.crop, own.window) == (RandomCrop(512, 1024), Window(288, 640))
    assert own.augmentation.scale.low * own.data.options["height"] >= 512
    assert own.augmentation.scale.low * own.data.options["width"] >= 1024
    assert own.loss == LossConfig("distribution", [0.5, 1.0], below=256, coarse=0.25)
    last = recipe("hgstereo")
    assert (last.model.weights, last.steps, last.optimiser.learning_rate) == ("hgstereo_wide", 2300, 5e-4)
    assert (last.data, last.augmentation) == (before.data, before.augmentation)
    assert last.loss == replace(before.loss, coarse=0.35, borders=2.0)


@pytest.mark.parametrize(
    ("name", "loss"), [("finetune", "distribution"), ("adapt", "photometric"), ("selftrain", "distribution")]
)
def test_recipes_for_pairs_of_ones_own(name, loss):
    own = recipe(name)
    assert (own.model.weights, own.model.arguments, own.data.name) == ("hgstereo_s", {"max_disp": 192}, "folder")
    assert own.freeze_batch_norm and own.loss.name == loss and own.data.root is None


def keypoints(name: str, *options: str) -> KeypointTraining:
    return recipe(name, *options, training=KeypointTraining)


@pytest.mark.parametrize("name", HOURGLASS)
def test_common_to_the_recipes_of_pytorch_pose(name):
    own = keypoints(name)
    assert own == load_recipe(name)
    assert (own.task, own.published, own.size, own.targets, own.hardest) == ("keypoints", True, 256, None, None)
    assert (own.batch_size, own.drop_last, own.epochs, own.steps) == (6, False, 100, None)
    assert own.optimiser == OptimiserConfig("rmsprop", 2.5e-4, weight_decay=0, clip=None)
    assert own.schedule == ScheduleConfig("milestones", milestones=[60, 90], factor=0.1)
    assert own.shuffle and own.accumulate == 1 and own.ema is None and own.precision == "float32"
    arguments = {"num_stacks": 8 if name == "hourglass_mpii_s8" else 2, "num_blocks": 1}
    assert own.model == ModelConfig("keypoint_hourglass", arguments, weights="random") and own.model.name in MODELS
    assert own.data.name == own.validation_data.name == name.split("_")[1] and own.data.root is None
    assert own.data.options == own.validation_data.options


@pytest.mark.parametrize(
    "name, learnt, tried, metric",
    [
        ("hourglass_mpii", "train", "validation", "pckh.mean"),
        ("hourglass_mpii_s8", "train", "validation", "pckh.mean"),
        ("hourglass_coco", "train2017", "val2017", "oks.AP"),
        ("hourglass_lsp", "train", "test", "torso.mean"),
    ],
)
def test_what_pytorch_pose_learns_and_is_tried_on(name, learnt, tried, metric):
    own = keypoints(name)
    assert (own.data.split, own.validation_data.split) == (learnt, tried)
    assert own.validation == ValidationConfig(every_epochs=1, metric=metric)
    if name == "hourglass_lsp":  # theirs is commented out
        assert own.augmentation is None and own.data.options == {"skeleton": "mpii"}
    else:
        changes = PoseAugmentation(scale=0.25, rotation=30, turned=0.6, mirrored=0.5, colour=0.2)
        assert own.augmentation == changes and own.data.options == {}


def test_figures_without_a_download():
    own = keypoints("hourglass_figures", "--size", "128", "--data.options.length", "7")
    assert (own.size, own.published, own.augmentation) == (128, False, None)
    assert own.data.options == {"length": 7, "picture": [128, 128]}
    assert own.validation_data.name == "figures" and own.validation_data.options["length"] == 100
    assert own.validation.metric == "person.mean"
    assert (own.batch_size, own.steps, own.epochs) == (8, 1250, None)


def test_options_override_a_recipe():
    own = recipe("psmnet_kitti2015", "--batch_size", "4", "--augmentation.crop.height", "128", "--data.root", "kitti")
    assert own.batch_size == 4 and own.augmentation.crop == RandomCrop(128, 512) and str(own.data.root) == "kitti"
    assert own.loss.heads == [0.5, 0.7, 1.0]


def test_a_recipe_of_ones_own_is_a_file(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("epochs: 3\noptimiser:\n  learning_rate: 0.5\n")
    assert recipe(str(own)) == StereoTraining(epochs=3, optimiser=OptimiserConfig(learning_rate=0.5))


def test_recipes_that_there_are_not(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="psmnet_mars is neither a recipe nor a file; recipes are adapt, finetune, gw"
    ):
        find_recipe("psmnet_mars")
    with pytest.raises(FileNotFoundError, match="neither a recipe nor a file"):
        find_recipe(str(tmp_path))  # a folder
