"""The training loop on tiny runs: it learns, and a run that was stopped goes on as if it had not been."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from stereohg.data.transforms import RandomCrop
from stereohg.models.weights import load_model, read_card
from stereohg.training.accelerator import make_accelerator
from stereohg.training.config import (
    Augmentation,
    CheckpointConfig,
    DataConfig,
    OptimiserConfig,
    ReportConfig,
    ScheduleConfig,
    ValidationConfig,
)
from stereohg.training.lock import Lock
from stereohg.training.run import Run, count_steps
from stereohg.training.stereo import StereoTask
from stereohg.training.stopping import Stopping
from tests import runs, trees
from tests.runs import TINY

# figures every fourth step, so that the checkpoints of the second and sixth lie between two of them
WHOLE = replace(runs.VALIDATED, ema=0.8, optimiser=OptimiserConfig("adamw", 2e-3, clip=5.0), report=ReportConfig(4))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was not stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert runs.run(WHOLE, folder) is not None
    return folder


def test_it_learns(tmp_path):
    config = runs.on_folder(runs.pairs(tmp_path, [48]), steps=24, batch_size=1, schedule=ScheduleConfig())
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


def test_a_signal_in_the_last_step_is_obeyed_when_all_is_written(tmp_path):
    with runs.begin(replace(TINY, steps=1), tmp_path) as run:
        run.progress.step, run.stopping.signal = 1, signal.SIGTERM
    with pytest.raises(SystemExit) as end:
        run.result()
    assert end.value.code == 128 + signal.SIGTERM and (tmp_path / "hgstereo_s.safetensors").exists()


def lock_of_another_process(folder):
    ask = "import sys; from pathlib import Path; from stereohg.training.lock import Lock; Lock(Path(sys.argv[1]))"
    return subprocess.run([sys.executable, "-c", ask, str(folder)], capture_output=True, text=True)


def test_another_process_is_kept_out_of_the_folder(tmp_path):
    """As long as the run lasts; the file that says so goes with it."""
    with runs.begin(TINY, tmp_path):
        assert f"another process trains in {tmp_path}; wait for its end" in lock_of_another_process(tmp_path).stderr
    assert lock_of_another_process(tmp_path).returncode == 0 and not (tmp_path / ".lock").exists()


def test_a_lock_outlives_others_of_its_process(tmp_path):
    """As that of a run that could not begin, which goes when its error does."""
    first, second = Lock(tmp_path), Lock(tmp_path)
    del first
    assert "another process trains" in lock_of_another_process(tmp_path).stderr
    second.release()
    assert lock_of_another_process(tmp_path).returncode == 0


def test_another_run_of_the_process_may_have_another_device(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "meta")
    assert make_accelerator(TINY, tmp_path).device.type == "meta"
    monkeypatch.delenv("ACCELERATE_TORCH_DEVICE")
    assert make_accelerator(TINY, tmp_path).device.type == "cpu"


def test_a_step_has_the_samples_that_it_has(tmp_path):
    assert runs.begin(TINY, tmp_path).plan.samples_per_step == 5 / 3  # in batches of 2, 2 and 1
    assert runs.begin(replace(TINY, drop_last=True), tmp_path).plan.samples_per_step == 2


def test_who_asks_twice_does_not_wait_for_the_step():
    stopping = Stopping(None)
    stopping.on_signal(signal.SIGINT, None)
    stopping.on_signal(signal.SIGTERM, None)  # within a second it is the same request by another way
    stopping.signalled -= 1.1
    with pytest.raises(KeyboardInterrupt):
        stopping.on_signal(signal.SIGINT, None)


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


def test_another_number_of_samples_is_another_set(whole):
    task = StereoTask(WHOLE)
    task.samples.length = 4
    with pytest.raises(ValueError, match="06.pt is of a run over 5 samples, and data now has 4"):
        Run(task, WHOLE, whole)


def test_what_was_left_out_of_the_set_is_told(tmp_path, capsys):
    trees.own_folders(tmp_path / "set")
    (tmp_path / "set/right/b.png").unlink()
    data = DataConfig("folder", tmp_path / "set", on_error="skip")
    config = replace(WHOLE, data=data, steps=1, batch_size=1, augmentation=Augmentation(crop=RandomCrop(32, 64)))
    runs.run(config, tmp_path / "run")
    assert "skipped:" in capsys.readouterr().err
    (tmp_path / "pairs.txt").write_text("l.png r.png d.pfm\n")
    with pytest.raises(ValueError, match="there is nothing to learn from: .*l.png"):
        runs.run(replace(config, data=replace(data, root=tmp_path / "pairs.txt")), tmp_path / "none")


def test_trackers_that_are_not_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda names, folder: names[:1])
    with pytest.raises(ModuleNotFoundError, match="report.trackers names wandb, not installed here: pip install wandb"):
        runs.begin(replace(WHOLE, report=ReportConfig(trackers=["tensorboard", "wandb"])), tmp_path)


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


def test_a_precision_that_the_processor_lacks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    config = replace(TINY, device="cpu", precision="bfloat16")
    with pytest.warns(UserWarning, match="does not multiply in bfloat16, which will take many times as long"):
        runs.begin(config, tmp_path)


def test_without_accelerate_it_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ModuleNotFoundError, match=r"training needs accelerate: pip install 'stereohg\[train\]'"):
        runs.run(TINY, tmp_path)


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


@pytest.mark.parametrize("fails", [False, True])
def test_cudnn_tries_its_kernels_in_steps_alone(tmp_path, monkeypatch, fails):
    """Of pictures as large as each other; what the process has set is there again, also after an error."""
    tried = {"losses": [], "validate": []}

    def watched(name):
        own = getattr(StereoTask, name)

        def method(*arguments):
            tried[name].append(torch.backends.cudnn.benchmark)
            if fails:
                raise RuntimeError("of the step")
            return own(*arguments)

        return method

    for name in tried:
        monkeypatch.setattr(StereoTask, name, watched(name))
    if fails:
        with pytest.raises(RuntimeError, match="of the step"):
            runs.run(runs.VALIDATED, tmp_path)
    else:
        runs.run(runs.VALIDATED, tmp_path)
        assert set(tried["validate"]) == {False}
    assert set(tried["losses"]) == {True} and not torch.backends.cudnn.benchmark


def test_what_comes_back_is_the_average(whole):
    network, state = load_model(whole / "hgstereo_s.safetensors"), runs.checkpoint(whole)
    average = {name[7:]: value for name, value in state["average"].items() if name.startswith("module.")}
    runs.assert_same(network.state_dict(), average)
    assert not torch.equal(average["features.0.conv.weight"], state["network"]["features.0.conv.weight"])


def test_validation_has_no_effect_on_training(whole, tmp_path):
    runs.run(replace(WHOLE, validation_data=None, checkpoints=CheckpointConfig(0)), tmp_path)
    runs.assert_same(runs.checkpoint(whole)["network"], runs.checkpoint(tmp_path)["network"])
