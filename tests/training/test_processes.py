"""Training in two processes over gloo, as ``torchrun`` starts them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stereohg.models.weights import read_card
from stereohg.training.checkpoints import Checkpoints
from stereohg.training.config import CheckpointConfig, DataConfig, OptimiserConfig, ScheduleConfig, ValidationConfig
from tests import runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes where Linux has them")

BOUND = 100  # seconds until the launcher of a run of which a worker was killed has ended


def launch(config, folder: Path, processes: int = 2, **options) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = ["-m", "stereohg", "train", runs.recipe(config, folder.with_suffix(".yaml")), "-o", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*launcher, *command], env=environment, stderr=subprocess.PIPE, text=True, **options)


def run(config, folder: Path, processes: int = 2) -> str:
    """To its end; what it told."""
    with launch(config, folder, processes) as launcher:
        _, told = launcher.communicate(timeout=500)
    assert launcher.returncode == 0, told
    return told


def test_two_processes_learn_as_one_does(tmp_path):
    """In one process the batch is that of both. The first process has pairs with 48 known rows and the second with 20,
    so that a mean of their means would be far off; the second step has one pair, and the second process none."""
    root = runs.pairs(tmp_path / "pairs", [48, 48, 20, 20, 30])
    config = runs.on_folder(
        root,
        batch_size=4,
        steps=3,
        shuffle=False,
        freeze_batch_norm=True,
        optimiser=OptimiserConfig("sgd", 1e-3, clip=10.0),
        schedule=ScheduleConfig(),
        validation_data=DataConfig("folder", root),
        validation=ValidationConfig(every_epochs=0, every_steps=3),
    )
    told = run(config, tmp_path / "two")
    runs.run(config, tmp_path / "one")
    one, two = (runs.history(tmp_path / name) for name in ("one", "two"))
    assert told.count("step 3/3") == 1  # one process tells
    assert [row["step"] for row in two] == [1, 2, 3, 3]
    for expected, found in zip(one[:3], two[:3], strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
    figures = [name for name in one[3] if name.endswith(("epe", "rmse"))]
    assert one[3].keys() == two[3].keys() and len(figures) == 4
    assert [two[3][name] for name in figures] == pytest.approx([one[3][name] for name in figures], rel=1e-4)


@pytest.mark.slow
def test_two_processes_go_on_from_the_recipe_before(tmp_path):
    config = replace(runs.TINY, steps=2)
    first = runs.recipe(config, tmp_path / "first.yaml")
    told = run(replace(config, seed=5, model=replace(config.model, weights=first)), tmp_path / "run")
    assert told.count("step 2/2") == 2
    card = read_card(tmp_path / "run" / "hgstereo_s.safetensors")["training"]
    assert (card["settings"]["seed"], card["weights_before"]["settings"]["seed"]) == (5, 0)


def workers(launcher: subprocess.Popen) -> list[int]:
    """The training processes: the launcher's children that run the command."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(child) for child in children if b"stereohg" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for_steps(launcher: subprocess.Popen, folder: Path, steps: int) -> None:
    end = time.monotonic() + 120
    history = folder / "history.jsonl"
    while not history.exists() or history.read_text().count("\n") < steps:
        assert launcher.poll() is None and time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_ends_the_run_cleanly_and_it_goes_on(tmp_path, rank):
    """Batch norms learn here, each process's its own statistics; those of the first are the network's."""
    validation = ValidationConfig(every_epochs=0, every_steps=5)
    checkpoints = CheckpointConfig(every=3)
    config = replace(runs.VALIDATED, steps=24, ema=0.8, batch_size=2, checkpoints=checkpoints, validation=validation)
    tried = {**runs.VALIDATED.validation_data.options, "length": 3}
    config = replace(config, validation_data=DataConfig(options=tried))
    run(config, tmp_path / "whole")

    folder = tmp_path / "killed"
    with launch(config, folder) as launcher:
        wait_for_steps(launcher, folder, 6)
        victim = workers(launcher)[rank]
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        _, told = launcher.communicate(timeout=BOUND)
        assert time.monotonic() - began < BOUND and launcher.returncode != 0
    assert "another process of this run has ended, and so does this one, after" in told
    assert "the same command goes on from the newest checkpoint" in told
    steps = [int(path.stem[5:]) for path in Checkpoints(folder / "checkpoints").paths()]
    assert steps and max(steps) < 24
    if rank:  # the first process was at liberty to clear up
        assert not [name for name in runs.files(folder) if Path(name).name.startswith(".")]

    told = run(config, folder)
    assert f"going on after {max(steps)} of 24 steps" in told
    runs.assert_same_runs(tmp_path / "whole", folder)
    assert runs.files(folder) == runs.files(tmp_path / "whole")


@pytest.mark.slow
def test_what_two_processes_began_stops_in_both_and_goes_on(tmp_path):
    config = replace(runs.VALIDATED, steps=4, ema=0.8)
    run(config, tmp_path / "whole")
    told = run(replace(config, time_limit=0.0), tmp_path / "stopped")
    assert "stopped after 1 of 4 steps: the time limit of 0 minutes is over" in told
    run(config, tmp_path / "stopped")
    runs.assert_same_runs(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_sync_batch_norm_is_refused_on_the_cpu(tmp_path):
    with launch(replace(runs.TINY, device="cpu", sync_batch_norm=True), tmp_path / "run") as launcher:
        _, told = launcher.communicate(timeout=BOUND)
    assert launcher.returncode != 0
    assert "stereohg train: sync_batch_norm needs CUDA; on the CPU take freeze_batch_norm" in told
