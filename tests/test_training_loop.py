"""The training loop on tiny runs: it learns, and a run that was stopped goes on as if it had not been."""

import os
import shutil
import signal
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from stereohg.models.registry import create_model
from stereohg.models.weights import load_model, read_card
from stereohg.training.checkpoints import Checkpoints
from stereohg.training.config import (
    CheckpointConfig,
    OptimiserConfig,
    ReportConfig,
    ScheduleConfig,
    ValidationConfig,
)
from stereohg.training.loop import train
from stereohg.training.run import count_steps
from stereohg.training.stereo import StereoTask
from tests import runs
from tests.runs import TINY

SGD = OptimiserConfig("sgd", 1e-3)
CONSTANT = ScheduleConfig()
# figures every fourth step, so that the checkpoints of the second and sixth lie between two of them
WHOLE = replace(runs.VALIDATED, ema=0.8, optimiser=OptimiserConfig("adamw", 2e-3, clip=5.0), report=ReportConfig(4))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert runs.run(WHOLE, folder) is not None
    return folder


def test_it_learns(tmp_path):
    config = runs.on_folder(runs.pairs(tmp_path, [48]), steps=12, batch_size=1, schedule=CONSTANT)
    runs.run(config, tmp_path / "run")
    losses = runs.losses(tmp_path / "run")
    assert losses[-1] < 0.5 * losses[0]


# --- stopped and resumed --------------------------------------------------------------------------------------------


def stopped_by_an_error(config, folder, monkeypatch, step):
    """Ended while it takes this step."""
    losses, calls = StereoTask.losses, []

    def failing(self, *arguments):
        calls.append(arguments)
        if len(calls) == step:
            raise MemoryError
        return losses(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(StereoTask, "losses", failing)
        runs.run(config, folder)


def test_a_run_that_fails_goes_on_from_its_checkpoint(whole, tmp_path, monkeypatch):
    """Two steps behind the failing one; an epoch has three steps, so that this is in the middle of one."""
    stopped_by_an_error(WHOLE, tmp_path, monkeypatch, step=4)
    assert runs.checkpoint(tmp_path)["progress"]["step"] == 2
    assert runs.run(WHOLE, tmp_path) is not None
    runs.assert_same_runs(whole, tmp_path)


def test_a_run_that_stops_after_each_step_comes_to_the_same(whole, tmp_path, capsys):
    for step in (1, 2, 3):
        assert runs.run(replace(WHOLE, time_limit=0.0), tmp_path) is None
        assert runs.checkpoint(tmp_path)["progress"]["step"] == step
        told = f"stopped after {step} of 6 steps: the time limit of 0 minutes is over; the same command goes on"
        assert told in capsys.readouterr().err
    assert not (tmp_path / "hgstereo_s.safetensors").exists()
    assert runs.run(WHOLE, tmp_path) is not None
    runs.assert_same_runs(whole, tmp_path)


@pytest.mark.parametrize("number, end", [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_ends_a_run_with_a_checkpoint(tmp_path, monkeypatch, capsys, number, end):
    losses, calls = StereoTask.losses, []

    def signalling(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            os.kill(os.getpid(), number)
        return losses(self, *arguments)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch, pytest.raises(end):
        patch.setattr(StereoTask, "losses", signalling)
        runs.run(TINY, tmp_path)
    assert signal.getsignal(number) is before
    # in the first step it had been agreed already that there would be a second
    assert runs.checkpoint(tmp_path)["progress"]["step"] == 2
    assert f"stopped after 2 of 6 steps: {number.name} was received" in capsys.readouterr().err


def test_who_asks_twice_does_not_wait_for_the_step(tmp_path):
    run = runs.begin(TINY, tmp_path)
    run._on_signal(signal.SIGINT, None)
    run._on_signal(signal.SIGTERM, None)  # within a second it is the same request by another way
    run.signalled -= 1.1
    with pytest.raises(KeyboardInterrupt):
        run._on_signal(signal.SIGINT, None)


def test_workers_change_nothing(whole, tmp_path):
    assert runs.run(replace(WHOLE, workers=2, time_limit=0.0), tmp_path) is None
    assert runs.run(replace(WHOLE, workers=1), tmp_path) is not None
    runs.assert_same_runs(whole, tmp_path)


def test_a_finished_run_stays_as_it_is(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    network = runs.run(WHOLE, tmp_path)
    assert not network.training
    runs.assert_same_runs(whole, tmp_path)
    assert runs.files(tmp_path) == runs.files(whole)


def test_a_damaged_checkpoint_costs_two_steps_and_no_more(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "checkpoints" / "step_00000006.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    assert runs.run(WHOLE, tmp_path) is not None
    runs.assert_same_runs(whole, tmp_path)


def test_lines_of_steps_that_a_killed_run_lost_are_removed(tmp_path):
    config = replace(TINY, steps=3)
    runs.run(replace(config, time_limit=0.0), tmp_path)
    line = (tmp_path / "history.jsonl").read_text()
    assert line.count("\n") == 1
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write(line.replace('"step": 1', '"step": 2') + line[:20])  # the last one was half-written
    runs.run(config, tmp_path)
    assert [row["step"] for row in runs.history(tmp_path)] == [1, 2, 3]
    assert (tmp_path / "history.jsonl").read_text().startswith(line)


def test_what_a_run_leaves(whole):
    assert runs.files(whole) == [
        "best.safetensors",
        "checkpoints/step_00000004.pt",
        "checkpoints/step_00000006.pt",
        "hgstereo_s.safetensors",
        "history.jsonl",
        "settings.yaml",
    ]
    rows = runs.history(whole)
    assert [row["step"] for row in rows] == [2, 4, 4, 6, 6]
    assert rows[1]["epoch"] == 1.3333 and rows[1].keys() >= {"loss", "epe", "bad_3", "learning_rate", "gradient"}
    assert "validation/all.per_pixel.epe" in rows[0] and "validation/noc.per_image.d1" in rows[0]


def test_figures_are_means_since_the_line_before(tmp_path):
    config = replace(TINY, steps=3)
    runs.run(config, tmp_path / "each")
    runs.run(replace(config, report=ReportConfig(2)), tmp_path / "second")
    one, two, three = runs.losses(tmp_path / "each")
    assert runs.losses(tmp_path / "second") == pytest.approx([(one + two) / 2, three], rel=1e-6)


# --- settings that cannot be ----------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_run_is_refused(whole):
    other = replace(WHOLE, seed=1, optimiser=replace(WHOLE.optimiser, learning_rate=0.5))
    with pytest.raises(ValueError, match=r"another run \(optimiser.learning_rate=0.002 there, 0.5 here; seed=0 there"):
        runs.begin(other, whole)
    with pytest.raises(ValueError, match="06.pt has 6 steps behind it, of 5; give at least as many"):
        runs.begin(replace(WHOLE, steps=5), whole)


def test_what_may_change_is_accepted(whole):
    other = replace(
        WHOLE,
        epochs=5,
        steps=None,
        workers=1,
        bad_steps=3,
        time_limit=60.0,
        checkpoints=CheckpointConfig(7, 3),
        validation=ValidationConfig(metric="all.per_image.d1"),
        validation_data=None,
        report=ReportConfig(9),
    )
    run = runs.begin(other, whole)
    assert (run.progress.step, run.steps) == (6, 15)


@pytest.mark.parametrize("steps, epochs", [(None, None), (5, 2)])
def test_steps_and_epochs_are_one_or_the_other(steps, epochs):
    with pytest.raises(ValueError, match=f"steps is {steps} and epochs {epochs}; give the one or the other"):
        count_steps(replace(TINY, steps=steps, epochs=epochs), 10)


def test_epochs_are_counted_in_steps():
    assert count_steps(replace(TINY, steps=None, epochs=3), 10) == 30


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"precision": "float16"}, "precision is float16, which the CPU does not train in; take bfloat16 or float32"),
        ({"device": "tpu"}, "device is 'tpu'; for training it is auto, cpu, cuda or mps"),
        ({"ema": 1.0}, "ema is 1.0; the decay lies between 0 and 1"),
        ({"batch_size": 3, "accumulate": 2}, "batch_size is 3, to be shared by 1 processes in 2 parts"),
        ({"checkpoints": CheckpointConfig(keep=0)}, "keep is 0"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        runs.run(replace(TINY, **{"device": "cpu", **changes}), tmp_path)
    assert runs.files(tmp_path) == []


def test_without_accelerate_it_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ModuleNotFoundError, match=r"training needs accelerate: pip install 'stereohg\[train\]'"):
        runs.run(TINY, tmp_path)


# --- a step ---------------------------------------------------------------------------------------------------------


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_a_batch_in_parts_is_the_batch(tmp_path):
    """The first pair knows 48 rows and the second 20, of which a crop has 32 and at most 20."""
    root = runs.pairs(tmp_path, [48, 20])
    config = runs.on_folder(root, steps=3, freeze_batch_norm=True, optimiser=SGD, schedule=CONSTANT)
    whole = runs.run(config, tmp_path / "whole")
    parts = runs.run(replace(config, accumulate=2), tmp_path / "parts")
    assert runs.losses(tmp_path / "parts") == pytest.approx(runs.losses(tmp_path / "whole"), rel=1e-5)
    torch.testing.assert_close(parameters(parts), parameters(whole), rtol=1e-4, atol=1e-6)


def test_the_gradient_is_clipped(tmp_path):
    """Plain descent moves the weights by learning rate times clipped norm, 0.5 * 0.01."""
    config = replace(TINY, steps=1, optimiser=OptimiserConfig("sgd", 0.5, clip=0.01), schedule=CONSTANT)
    run = runs.begin(config, tmp_path)
    before = parameters(run.network)
    after = parameters(runs.run(config, tmp_path))
    assert (after - before).norm().item() == pytest.approx(0.005, rel=1e-3)
    assert runs.history(tmp_path)[0]["gradient"] > 1  # what it was before


def test_frozen_batch_norm_keeps_its_statistics(tmp_path):
    config = replace(TINY, steps=1)
    start = dict(runs.begin(config, tmp_path / "frozen").network.named_buffers())
    frozen = dict(runs.run(replace(config, freeze_batch_norm=True), tmp_path / "frozen").named_buffers())
    runs.assert_same(start, frozen)
    moved = dict(runs.run(config, tmp_path / "moved").named_buffers())
    assert all(not torch.equal(start[name], moved[name]) for name in start if name.endswith("running_mean"))


def test_what_comes_back_is_the_average(whole):
    network, state = load_model(whole / "hgstereo_s.safetensors"), runs.checkpoint(whole)
    average = {name[7:]: value for name, value in state["average"].items() if name.startswith("module.")}
    runs.assert_same(network.state_dict(), average)
    assert not torch.equal(average["features.0.conv.weight"], state["network"]["features.0.conv.weight"])


def test_pairs_without_ground_truth_are_safe(tmp_path):
    config = runs.on_folder(runs.pairs(tmp_path, [0, 0]), steps=2, optimiser=OptimiserConfig("adam", 0.1))
    before = parameters(runs.begin(config, tmp_path / "run").network)
    after = parameters(runs.run(config, tmp_path / "run"))
    assert torch.equal(before, after)
    assert runs.losses(tmp_path / "run") == [0, 0]


def test_a_pair_that_cannot_be_read_is_named_or_skipped_and_counted(tmp_path, caplog):
    root = runs.pairs(tmp_path, [48, 48])
    (root / "right" / "1.png").write_bytes(b"no picture")
    config = runs.on_folder(root, steps=2)
    with pytest.raises(ValueError, match="right/1.png is not a whole picture"):
        runs.run(config, tmp_path / "raise")
    config = replace(config, data=replace(config.data, on_error="skip"))
    runs.run(config, tmp_path / "skip")
    assert runs.checkpoint(tmp_path / "skip")["progress"]["unread"] == 2
    assert [row["unread"] for row in runs.history(tmp_path / "skip")] == [1, 2]
    assert caplog.text.count("right/1.png is not a whole picture") == 2


# --- steps that are not finite --------------------------------------------------------------------------------------


class Spoiled(StereoTask):
    """Some of its samples are not numbers."""

    def __init__(self, config, names):
        super().__init__(config)
        self.names = names

    def collate(self, samples):
        batch = super().collate(samples)
        for picture, name in zip(batch.left, batch.name, strict=True):
            if name in self.names:
                picture.fill_(torch.nan)
        return batch


SINGLE = replace(TINY, batch_size=1, shuffle=False, schedule=CONSTANT, ema=0.5, checkpoints=CheckpointConfig(1, 9))


def spoiled(folder, names, **changes):
    config = replace(SINGLE, **changes)
    train(Spoiled(config, names), config, folder)
    return [
        torch.load(path, weights_only=True) for path in Checkpoints(folder / "checkpoints").paths()
    ]  # after each step


def test_a_step_that_is_not_finite_has_no_effect(tmp_path, capsys):
    first, second, third = spoiled(tmp_path, {"scene_1"}, steps=3)
    for name in ("network", "optimiser", "average"):  # batch norm's running means among them
        runs.assert_same(first[name], second[name], name)
    assert not torch.equal(*(state["network"]["features.0.norm.running_mean"] for state in (second, third)))
    assert [state["progress"]["bad"] for state in (first, second, third)] == [0, 1, 1]
    assert "step 2 had no effect: its loss is not finite; its samples: scene_1\n" in capsys.readouterr().err
    one, two, three = runs.history(tmp_path)
    assert "bad_steps" not in one and two["bad_steps"] == three["bad_steps"] == 1
    assert "loss" not in two and three["loss"] > 0


def test_too_many_in_a_row_end_the_run_with_the_reason(tmp_path):
    with pytest.raises(FloatingPointError, match="^2 steps in a row had no finite gradient; .*step 4 .*scene_3"):
        spoiled(tmp_path, {"scene_0", "scene_2", "scene_3"}, bad_steps=2)
    assert runs.checkpoint(tmp_path)["progress"]["bad_in_a_row"] == 1
    with pytest.raises(FloatingPointError, match="^2 steps"):  # nor does it go on when it is started again
        spoiled(tmp_path, {"scene_3"}, bad_steps=2)


# --- validation -----------------------------------------------------------------------------------------------------


class Scripted(StereoTask):
    """Its figures are what a test wants them to be, and the weights that they are of are kept."""

    def __init__(self, config, figures):
        super().__init__(config)
        self.figures, self.seen = iter(figures), []

    def validate(self, network, rank, processes, gather):
        self.seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"all.per_pixel.epe": next(self.figures)}


def scripted(folder, figures, **validation):
    settings = ValidationConfig(**{"every_epochs": 0, "every_steps": 1, **validation})
    config = replace(runs.VALIDATED, steps=4, batch_size=1, validation=settings, checkpoints=CheckpointConfig(0))
    task = Scripted(config, figures)
    train(task, config, folder)
    return task


@pytest.mark.parametrize("best, figures, expected", [("lowest", [3, 1, 2, 1], 1), ("highest", [3, 1, 4, 2], 2)])
def test_the_best_weights_are_kept(tmp_path, best, figures, expected):
    task = scripted(tmp_path, figures, best=best)
    runs.assert_same(load_model(tmp_path / "best.safetensors").state_dict(), task.seen[expected])
    card = read_card(tmp_path / "best.safetensors")
    assert card["metrics"] == {"validation": {"all.per_pixel.epe": figures[expected]}}
    assert card["training"]["steps"] == expected + 1
    assert runs.checkpoint(tmp_path)["progress"]["best"] == figures[expected]


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


def test_patience_ends_the_run(tmp_path, capsys):
    task = scripted(tmp_path, [1.0, 1.5, 1.0, 0.5], patience=2)
    assert len(task.seen) == 3
    assert "step 3: no better figure in 2 validations; this is the end" in capsys.readouterr().err
    path = tmp_path / "hgstereo_s.safetensors"
    runs.assert_same(load_model(path).state_dict(), task.seen[-1])
    assert scripted(tmp_path, [], patience=2).seen == []  # it has come to its end, and stays there
    runs.assert_same(load_model(path).state_dict(), task.seen[-1])
    assert len(scripted(tmp_path, [0.5], patience=4).seen) == 1  # unless it is told to have more


def test_the_average_is_what_is_validated(tmp_path):
    config = replace(runs.VALIDATED, steps=2, ema=0.5)
    task = Scripted(config, [1.0])
    network = train(task, config, tmp_path)
    runs.assert_same(task.seen[0], network.state_dict())


def test_validation_comes_each_so_many_steps_or_epochs_and_at_the_end(tmp_path):
    settings = ValidationConfig(every_epochs=1, every_steps=0)
    config = replace(runs.VALIDATED, steps=3, batch_size=3, validation=settings)  # two steps an epoch
    train(Scripted(config, range(9)), config, tmp_path)
    assert [row["step"] for row in runs.history(tmp_path) if "loss" not in row] == [2, 3]


def test_a_figure_that_there_is_not_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="validation.metric is 'all.epe'; .*such as all.per_pixel.epe"):
        scripted(tmp_path, [1.0], metric="all.epe")


def test_validation_has_no_effect_on_training(whole, tmp_path):
    runs.run(replace(WHOLE, validation_data=None, checkpoints=CheckpointConfig(0)), tmp_path)
    runs.assert_same(runs.checkpoint(whole)["network"], runs.checkpoint(tmp_path)["network"])


# --- what is saved --------------------------------------------------------------------------------------------------


def test_the_card_says_how_the_weights_were_made(whole):
    card = read_card(whole / "hgstereo_s.safetensors")
    training = card["training"]
    assert training["steps"] == 6 and {"stereohg", "torch", "python"} <= training.keys()
    assert training["settings"]["data"]["options"] == WHOLE.data.options
    assert training["settings"]["optimiser"]["clip"] == 5.0
    assert len(training["photographs"]) == 12
    assert card["arguments"]["max_disp"] == 32 and card["dtype"] == "float32"


def test_the_saved_weights_search_as_far_as_they_are_told(tmp_path):
    model = replace(TINY.model, saved_max_disp=64, half=True)
    network = runs.run(replace(TINY, steps=1, model=model), tmp_path)
    assert network.max_disp == 32
    card = read_card(tmp_path / "hgstereo_s.safetensors")
    assert card["arguments"]["max_disp"] == 64 and card["dtype"] == "float16"


# --- precision and speed --------------------------------------------------------------------------------------------


def test_bfloat16_is_near_float32(tmp_path):
    for precision in ("float32", "bfloat16"):
        runs.run(replace(TINY, steps=3, precision=precision), tmp_path / precision)
    one, other = (runs.losses(tmp_path / precision) for precision in ("float32", "bfloat16"))
    assert one[0] == pytest.approx(other[0], rel=0.02) and one != other  # a layer's rounding alone is 0.25 %
    assert one == pytest.approx(other, rel=0.1)
    weights = runs.checkpoint(tmp_path / "bfloat16")["network"].values()
    assert {value.dtype for value in weights} == {torch.float32, torch.int64}


def test_channels_last_is_a_matter_of_speed(tmp_path):
    for last in (True, False):
        runs.run(replace(TINY, steps=2, channels_last=last, optimiser=SGD), tmp_path / str(last))
    assert runs.losses(tmp_path / "True") == pytest.approx(runs.losses(tmp_path / "False"), rel=1e-3)


def test_compilation_is_an_option(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    runs.begin(TINY, tmp_path)
    assert compiled == []
    runs.begin(replace(TINY, compile=True), tmp_path)
    assert compiled == ["_Forward"]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path):
    """Needs a C++ compiler."""
    for compile in (True, False):
        runs.run(replace(TINY, steps=2, compile=compile, optimiser=SGD), tmp_path / str(compile))
    (one, after), (other, after_other) = (runs.losses(tmp_path / str(compile)) for compile in (True, False))
    assert one == pytest.approx(other, rel=1e-5)
    assert after == pytest.approx(after_other, rel=5e-3)  # one step of small batch norms makes much of little
