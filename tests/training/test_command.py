"""``stereohg train`` and what follows it, as a user types it, on a small tree of KITTI 2015."""

import json
import re
import zipfile
from dataclasses import replace

import pytest
import yaml

from stereohg.cli import main
from stereohg.models.registry import create_model
from stereohg.models.weights import read_card, save_model
from stereohg.training.config import DataConfig
from stereohg.training.recipes import list_recipes
from tests import runs, trees

RECIPE = """
model:
  name: gwcnet_g
  arguments:
    max_disp: 16
data:
  name: kitti2015
  split: gwcnet_train
augmentation:
  crop:
    height: 48
    width: 96
loss:
  heads: [0.5, 0.5, 0.7, 1.0]
  above: 0
  below: 16
validation_data:
  name: kitti2015
  split: gwcnet_val
validation:
  metric: noc.per_image.d1
batch_size: 2
drop_last: true
epochs: 2
schedule:
  name: milestones
  milestones: [1]
workers: 0
report:
  every: 1
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(RECIPE)
    return str(path)


def status(*arguments) -> int:
    """What the shell sees."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


@pytest.mark.filterwarnings("ignore::stereohg.prediction.PairWarning")  # three steps make no good network
def test_train_resume_evaluate_submit(recipe, tmp_path, capsys):
    root, out = trees.kitti(tmp_path / "kitti", 2015), tmp_path / "run"
    train = ["train", recipe, "-o", out, "--data.root", root]

    assert status(*train, "--time_limit", 0) == 0
    assert "stopped after 1 of 2 steps: the time limit of 0 minutes is over" in capsys.readouterr().err
    assert not (out / "gwcnet_g.safetensors").exists()

    assert status(*train) == 0
    assert "going on after 1 of 2 steps" in capsys.readouterr().err
    assert status(*train, "--epochs", 3) == 0
    steps = [(row["step"], row.get("learning_rate")) for row in runs.history(out)]
    assert steps == [(step, rate) for step, own in ((1, 1e-3), (2, 1e-4), (3, 1e-4)) for rate in (own, None)]
    card = read_card(out / "gwcnet_g.safetensors")
    assert card["training"]["settings"]["data"]["split"] == "gwcnet_train" and card["training"]["steps"] == 3

    weights = out / "best.safetensors"
    table = tmp_path / "table"
    options = ["--data", "kitti2015", "--root", root, "--model", weights, "--split", "gwcnet_val", "--output", table]
    assert status("evaluate", *options) == 0
    (own,) = json.loads((table / "metrics.json").read_text())["sets"]
    best = runs.checkpoint(out)["progress"]["best"]
    assert own["regions"]["noc"]["images"] == 3 and own["regions"]["noc"]["per_image"]["d1"] == pytest.approx(best)

    archive = tmp_path / "answers.zip"
    assert status("submit", "kitti2015", root, "-o", archive, "--model", weights, "--incomplete") == 0
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["disp_0/000003_10.png"]


def test_what_is_misspelt_is_an_error(recipe, tmp_path, capsys):
    run = ["-o", tmp_path / "run"]
    assert status("train", recipe, *run, "--optimiser.rate", 1) == 2
    assert "--optimiser.rate" in capsys.readouterr().err
    assert status("train", recipe, *run, "--precision", "float8") == 2
    assert "float8" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text("epochs: 2\noptimizer:\n  name: adam\n")
    assert status("train", tmp_path / "bad.yaml", *run) == 2
    assert "optimizer" in capsys.readouterr().err
    (tmp_path / "deep.yaml").write_text("epochs: 2\nschedule:\n  milestone: [1]\n")
    assert status("train", tmp_path / "deep.yaml", *run) == 2
    assert "milestone" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_without_a_recipe_it_tells_what_there_is(tmp_path, capsys):
    for arguments in ([], ["-o", tmp_path], ["--steps", 3], ["psmnet_mars", "-o", tmp_path]):
        assert status("train", *arguments) == 1
        told = capsys.readouterr().err
        assert told.startswith("stereohg: ") and told.count("\n") == 1
        assert all(name in told for name in list_recipes())


def test_without_a_folder_for_the_run_it_asks_for_one(recipe, capsys):
    assert status("train", recipe) == 2
    assert "output" in capsys.readouterr().err


def test_errors_of_the_settings_are_one_line(recipe, tmp_path, capsys):
    assert status("train", recipe, "-o", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert (
        told.startswith("stereohg train: kitti2015 lies in a folder, and no root was given") and told.count("\n") == 1
    )
    root = trees.kitti(tmp_path / "kitti", 2015)
    assert status("train", recipe, "-o", tmp_path / "run", "--data.root", root, "--steps", 3) == 1
    assert "steps is 3 and epochs 2; give the one or the other" in capsys.readouterr().err


def test_the_printed_settings_are_a_recipe(recipe, tmp_path, capsys):
    assert status("train", recipe, "--epochs", 7, "--print_config") == 0
    printed = capsys.readouterr().out
    settings = yaml.safe_load(printed)
    assert settings["epochs"] == 7 and settings["optimiser"]["name"] == "adam"
    (tmp_path / "printed.yaml").write_text(printed)
    assert status("train", tmp_path / "printed.yaml", "--print_config") == 0
    assert yaml.safe_load(capsys.readouterr().out) == settings


def test_the_settings_of_a_run_are_a_recipe(tmp_path, capsys):
    runs.begin(runs.VALIDATED, tmp_path).__enter__().__exit__(None, None, None)
    assert status("train", tmp_path / "settings.yaml", "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    printed.pop("output")
    assert printed == yaml.safe_load((tmp_path / "settings.yaml").read_text())


def test_a_recipe_that_goes_on_from_another_runs_it_first(tmp_path, capsys):
    """With the time limit it stops in the first one; the same command goes on, and does not begin it again."""
    config = replace(runs.TINY, steps=2)
    first = runs.recipe(config, tmp_path / "first.yaml")
    second = runs.recipe(replace(config, seed=5, model=replace(config.model, weights=first)), tmp_path / "second.yaml")
    out = tmp_path / "run"
    assert status("train", second, "-o", out, "--time_limit", 0) == 0
    assert "stopped after 1 of 2 steps" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["first"]
    assert status("train", second, "-o", out) == 0
    assert "going on after 1 of 2 steps" in capsys.readouterr().err
    card = read_card(out / "hgstereo_s.safetensors")["training"]
    assert (card["settings"]["seed"], card["weights_before"]["settings"]["seed"]) == (5, 0)
    weights = (out / "hgstereo_s.safetensors").read_bytes()
    assert status("train", second, "-o", out) == 0
    assert (out / "hgstereo_s.safetensors").read_bytes() == weights


def test_what_is_wrong_with_a_later_recipe_is_told_before_the_first_is_run(tmp_path, capsys):
    first = runs.recipe(runs.TINY, tmp_path / "first.yaml")
    model = replace(runs.TINY.model, weights=first)
    for name, changes, told in (
        ("data", {"data": DataConfig("folder", tmp_path / "missing")}, "missing is neither a folder"),
        ("both", {"epochs": 3}, "steps is 6 and epochs 3; give the one or the other"),
    ):
        second = runs.recipe(replace(runs.TINY, model=model, **changes), tmp_path / f"{name}.yaml")
        assert status("train", second, "-o", tmp_path / "run") == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_recipes_that_go_on_from_each_other_are_refused(tmp_path, capsys):
    one, other = tmp_path / "one.yml", tmp_path / "other.yaml"
    for path, weights in ((one, other), (other, one)):
        runs.recipe(replace(runs.TINY, model=replace(runs.TINY.model, weights=str(weights))), path)
    assert status("train", one, "-o", tmp_path / "run") == 1
    assert f"the recipe {one} goes on from itself" in capsys.readouterr().err


def test_a_run_does_not_write_over_what_it_begins_with(tmp_path, capsys):
    weights = tmp_path / "hgstereo_s.safetensors"
    save_model(create_model("hgstereo_s", **runs.SMALL_NETWORK), weights)
    before = weights.read_bytes()
    own = runs.recipe(replace(runs.TINY, model=replace(runs.TINY.model, weights=str(weights))), tmp_path / "own.yaml")
    assert status("train", own, "-o", tmp_path) == 1
    assert f"{weights} is what the run begins with, and would be overwritten" in capsys.readouterr().err
    assert weights.read_bytes() == before and not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    "error, told",
    [
        (MemoryError(), "there is not enough memory; make pictures"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), "not enough"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. \nMore"),
            "signal: Killed. .*fewer workers",
        ),
        (RuntimeError("a bug"), None),
    ],
)
def test_memory_that_ran_out_is_told_in_a_line(recipe, tmp_path, monkeypatch, capsys, error, told):
    def failing(*_):
        raise error

    monkeypatch.setattr("stereohg.training.chain.make_task", failing)
    if told is None:
        with pytest.raises(RuntimeError, match="a bug"):
            status("train", recipe, "-o", tmp_path / "run")
    else:
        assert status("train", recipe, "-o", tmp_path / "run") == 1
        said = capsys.readouterr().err
        assert re.search(told, said) and said.count("\n") == 1


def test_recipes_that_cannot_go_before_are_refused_at_once(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    for weights, complaint in (
        ("psmnet_sceneflow", "model.weights is the recipe psmnet_sceneflow, which trains psmnet, not hgstereo_s"),
        (
            "hourglass_mpii",
            "model.weights is the recipe hourglass_mpii, which trains keypoint_hourglass, not hgstereo_s",
        ),
        (str(own), f"the recipe {own} goes on from itself"),
        ("nowhere.yaml", "nowhere.yaml is neither a recipe nor a file"),
    ):
        runs.recipe(replace(runs.TINY, model=replace(runs.TINY.model, weights=weights)), own)
        assert status("train", own, "-o", tmp_path / "run") == 1
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
