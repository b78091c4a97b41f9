"""A run that is killed at random moments, again and again, comes to the weights of one that was not.

``STEREOHG_KILLS=20 pytest -m slow tests/training/test_killed.py`` kills it twenty times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stereohg.training.checkpoints import Checkpoints
from stereohg.training.config import CheckpointConfig
from tests import runs

KILLS = int(os.environ.get("STEREOHG_KILLS", "4"))
STEPS_A_KILL = 7
MOST_STEPS = 5  # that a run may do before it is watched for the kill
LONGEST = 0.5  # seconds from then to the kill, in which a step or two and their checkpoints fall
AT_THE_START = 0.2  # so many die before their first step
STARTING = 5.0  # seconds, of these
PATIENCE = 1200  # seconds for a run to do anything


def start(config, folder: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "stereohg", "train", runs.recipe(config, folder.with_suffix(".yaml"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, "-o", str(folder)], env=environment, **{"stderr": subprocess.DEVNULL, **options})


def finish(config, folder: Path) -> None:
    with start(config, folder) as process:
        assert process.wait(timeout=PATIENCE) == 0


def steps_of(folder: Path) -> int:
    """Of its newest checkpoint."""
    paths = Checkpoints(folder / "checkpoints").paths()
    return int(paths[-1].stem[5:]) if paths else 0


def kill_somewhere(config, folder: Path, moments: random.Random) -> bool:
    """Whether the run was still there to be killed."""
    with start(config, folder) as process:
        if moments.random() < AT_THE_START:
            time.sleep(moments.uniform(0, STARTING))
        else:
            enough = steps_of(folder) + moments.randint(1, MOST_STEPS)
            end = time.monotonic() + PATIENCE
            while process.poll() is None and steps_of(folder) < enough:
                assert time.monotonic() < end
                time.sleep(0.005)
            time.sleep(moments.uniform(0, LONGEST))
        process.kill()
        return process.wait() < 0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes here")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_to_all_processes_of_a_run_ends_it_with_a_checkpoint(tmp_path, number):
    """As a terminal's Ctrl-C and a cluster's time limit send it: to the workers as well."""
    config = replace(runs.TINY, steps=500, workers=2, checkpoints=CheckpointConfig(every=2))
    with start(config, tmp_path / "run", stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        end = time.monotonic() + PATIENCE
        while steps_of(tmp_path / "run") < 2:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        os.killpg(process.pid, number)
        _, told = process.communicate(timeout=PATIENCE)
    assert f"of 500 steps: {number.name} was received; the same command goes on" in told
    assert process.returncode == 128 + number
    assert f"stopped after {steps_of(tmp_path / 'run')} of 500 steps" in told


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    config = replace(runs.VALIDATED, steps=STEPS_A_KILL * KILLS, ema=0.9, checkpoints=CheckpointConfig(every=1))
    config = replace(config, batch_size=1, validation=replace(config.validation, every_steps=10))
    finish(config, tmp_path / "whole")
    moments, folder = random.Random(0), tmp_path / "killed"
    reached, unfinished = [], 0
    for _ in range(KILLS):
        assert kill_somewhere(config, folder, moments), f"it had ended after {reached}"
        kept = Checkpoints(folder / "checkpoints").paths()
        steps = [torch.load(path, weights_only=True)["progress"]["step"] for path in kept]
        assert steps == [int(path.stem[5:]) for path in kept]
        reached.append(steps_of(folder))
        unfinished += len(list((folder / "checkpoints").glob(".*.pt")))
    assert reached == sorted(reached) and reached[-1] >= KILLS // 2
    print(f"killed after {reached} of {config.steps} steps, {unfinished} times while a checkpoint was written")
    finish(config, folder)
    runs.assert_same_runs(tmp_path / "whole", folder)
    assert runs.files(folder / "checkpoints") == runs.files(tmp_path / "whole" / "checkpoints")
