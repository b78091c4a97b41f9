"""Validation in training: when it comes, which weights it keeps, and when it ends a run."""

from dataclasses import replace

import pytest
import torch

from stereohg.models.registry import create_model
from stereohg.models.weights import load_model, read_card
from stereohg.training.config import CheckpointConfig, ReportConfig, ValidationConfig
from stereohg.training.loop import train
from stereohg.training.settings import validates_otherwise
from stereohg.training.stereo import StereoTask
from tests import runs


class Scripted(StereoTask):
    """Its figures are what a test wants them to be; the weights that they are of, and those of each step, are kept."""

    def __init__(self, config, figures):
        super().__init__(config)
        self.figures, self.seen, self.begun = iter(figures), [], []

    def losses(self, network, *given):
        self.begun.append({name: value.clone() for name, value in network.state_dict().items()})
        return super().losses(network, *given)

    def validate(self, network, rank, processes, gather):
        self.seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {self.config.validation.metric: next(self.figures)}


def scripted(folder, figures, **validation):
    settings = ValidationConfig(**{"every_epochs": 0, "every_steps": 1, **validation})
    config = replace(runs.VALIDATED, steps=4, batch_size=1, validation=settings, checkpoints=CheckpointConfig(0))
    task = Scripted(config, figures)
    train(task, config, folder)
    return task


@pytest.mark.parametrize("best, figures, expected", [("lowest", [3, 1, 2, 1], 1), ("highest", [3, 1, 4, 2], 2)])
def test_the_best_weights_are_kept(tmp_path, monkeypatch, best, figures, expected):
    monkeypatch.setattr(Scripted, "best", best)
    task = scripted(tmp_path, figures)
    runs.assert_same(load_model(tmp_path / "best.safetensors").state_dict(), task.seen[expected])
    card = read_card(tmp_path / "best.safetensors")
    assert card["metrics"] == {"validation": {"all.per_pixel.epe": figures[expected]}}
    assert card["training"]["steps"] == expected + 1
    assert runs.checkpoint(tmp_path)["progress"]["best"] == figures[expected]


@pytest.mark.parametrize("broken", [2, 4])
def test_a_validation_that_fails_costs_no_training(tmp_path, broken):
    """The same command goes on with it, and all is as if nothing had been."""

    class Failing(Scripted):
        def validate(self, network, *given):
            figures = super().validate(network, *given)
            if len(self.seen) == broken:
                raise ValueError("an unreadable pair")
            return figures

    settings = ValidationConfig(every_epochs=0, every_steps=1)
    config = replace(runs.VALIDATED, steps=4, batch_size=1, validation=settings, checkpoints=CheckpointConfig(0))
    figures = [4.0, 3.0, 5.0, 1.0]
    with pytest.raises(ValueError, match="an unreadable pair"):
        train(Failing(config, figures), config, tmp_path / "failed")
    task = Scripted(config, figures[broken - 1 :])
    again = train(task, config, tmp_path / "failed")
    whole = train(Scripted(config, figures), config, tmp_path / "whole")
    assert len(task.seen) == 5 - broken and len(task.begun) == 4 - broken
    runs.assert_same(again.state_dict(), whole.state_dict())
    assert runs.checkpoint(tmp_path / "failed")["progress"] == runs.checkpoint(tmp_path / "whole")["progress"]
    timeless = [
        [{name: value for name, value in row.items() if name != "samples_per_second"} for row in runs.history(folder)]
        for folder in (tmp_path / "failed", tmp_path / "whole")
    ]
    assert timeless[0] == timeless[1]


def test_what_a_run_begins_with_stays_the_best_until_others_are(tmp_path):
    """Also when it was stopped and goes on: it is tried once."""
    task = scripted(tmp_path, [1.0, 3.0, 2.0, 1.5, 1.2], before=True)
    assert len(task.seen) == 5
    best = load_model(tmp_path / "best.safetensors")
    runs.assert_same(best.state_dict(), task.seen[0])
    torch.manual_seed(runs.VALIDATED.seed)
    runs.assert_same(best.state_dict(), create_model("hgstereo_s", **runs.SMALL_NETWORK).state_dict())
    assert read_card(tmp_path / "best.safetensors")["training"]["steps"] == 0
    assert scripted(tmp_path, [], before=True).seen == []


def test_other_pairs_have_a_best_of_their_own():
    before = {"validation_data": {"name": "folder", "root": "/a/one.csv"}}
    moved, other = ({"validation_data": {"name": "folder", "root": root}} for root in ("/b/one.csv", "/a/two.csv"))
    assert not validates_otherwise(before, moved) and validates_otherwise(before, other)


def test_the_step_that_patience_ends_with_is_told(tmp_path):
    settings = ValidationConfig(every_epochs=0, every_steps=1, patience=1)
    config = replace(runs.VALIDATED, steps=9, validation=settings, report=ReportConfig(every=0))
    train(Scripted(config, [1.0, 2.0]), config, tmp_path)
    assert [row["step"] for row in runs.history(tmp_path) if "loss" in row] == [2]


def test_patience_ends_the_run(tmp_path, capsys):
    task = scripted(tmp_path, [1.0, 1.5, 1.0, 0.5], patience=2)
    assert len(task.seen) == 3
    assert "step 3: no better figure in 2 validations; this is the end" in capsys.readouterr().err
    path = tmp_path / "hgstereo_s.safetensors"
    runs.assert_same(load_model(path).state_dict(), task.seen[-1])
    assert scripted(tmp_path, [], patience=2).seen == []  # it has come to its end, and stays there
    runs.assert_same(load_model(path).state_dict(), task.seen[-1])
    assert len(scripted(tmp_path, [0.5], patience=4).seen) == 1  # unless it is told to have more


def test_another_measure_has_a_best_of_its_own(tmp_path):
    """2 is worse than 1 was, but of another figure."""
    scripted(tmp_path, [1.0, 1.5, 1.5, 1.5])
    config = replace(runs.VALIDATED, steps=5, batch_size=1, checkpoints=CheckpointConfig(0))
    config = replace(config, validation=ValidationConfig(0, 1, metric="all.per_pixel.rmse", patience=9))
    task = Scripted(config, [2.0])
    train(task, config, tmp_path)
    runs.assert_same(load_model(tmp_path / "best.safetensors").state_dict(), task.seen[0])


def test_the_average_is_what_is_validated(tmp_path):
    config = replace(runs.VALIDATED, steps=2, ema=0.5)
    task = Scripted(config, [1.0])
    network = train(task, config, tmp_path)
    runs.assert_same(task.seen[0], network.state_dict())
    first, second = task.begun[1], runs.checkpoint(tmp_path)["network"]
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[key] + second[key]) / 2)
            assert "conv.weight" not in key or not torch.equal(first[key], second[key])


def test_validation_comes_each_so_many_steps_or_epochs_and_at_the_end(tmp_path):
    settings = ValidationConfig(every_epochs=1, every_steps=0)
    config = replace(runs.VALIDATED, steps=3, batch_size=3, validation=settings)  # two steps an epoch
    train(Scripted(config, range(9)), config, tmp_path)
    assert [row["step"] for row in runs.history(tmp_path) if "loss" not in row] == [2, 3]


def test_a_figure_that_there_is_not_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="validation.metric is 'all.epe'; .*such as all.per_pixel.epe"):
        scripted(tmp_path, [1.0], metric="all.epe")
