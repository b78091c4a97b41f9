"""Checkpoints: whole or not there at all, and never at the cost of the one before."""

import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from stereohg.training.checkpoints import Checkpoints, random_state, set_random_state
from tests import runs

SIZE = 1000  # bytes of a checkpoint


@pytest.fixture
def store(tmp_path):
    store = Checkpoints(tmp_path / "checkpoints", keep=2)
    store.prepare(SIZE)
    return store


def state(step: int) -> dict:
    return {"settings": {}, "step": step}


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


# --- saved ----------------------------------------------------------------------------------------------------------


def test_the_newest_few_stay(store):
    for step in (2, 9, 10, 100_000_000):  # by number, not by name
        store.save(step, state(step))
    assert [path.name for path in store.paths()] == ["step_00000010.pt", "step_100000000.pt"]
    assert store.newest() == (state(100_000_000), store.folder / "step_100000000.pt")


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert Checkpoints(tmp_path / "none").newest() is None


def test_other_files_are_left_alone(store):
    for name in ("step_best.pt", "step_2.pt.bak"):
        (store.folder / name).touch()
    for step in (1, 2, 3):
        store.save(step, {})
    assert names(store) == ["step_00000002.pt", "step_00000003.pt", "step_2.pt.bak", "step_best.pt"]


def test_keeping_none_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="keep is 0; at least one"):
        Checkpoints(tmp_path, keep=0)


class Unwritable:
    """Breaks off when it is being written."""

    def __reduce__(self):
        raise OSError(28, "No space left on device")


def test_a_save_that_fails_leaves_the_others_as_they_were(store):
    store.save(1, state(1))
    store.save(2, state(2))
    with pytest.raises(OSError, match="No space left"):
        store.save(3, {"weights": torch.zeros(10), "step": Unwritable()})
    assert names(store) == ["step_00000001.pt", "step_00000002.pt"]
    assert store.newest()[0] == state(2)


# --- damaged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "code", "short", "other"])
def test_a_damaged_one_falls_back_to_the_one_before(store, caplog, damage):
    store.save(1, state(1))
    store.save(2, {**state(2), "weights": torch.zeros(100)})
    path = store.folder / "step_00000002.pt"
    if damage == "code":
        torch.save({"step": random.Random(0)}, path)  # would have to be executed
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        whole = path.read_bytes()
        path.write_bytes(
            {"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"no checkpoint" * 50, "short": b"broken"}[
                damage
            ]
        )
    assert store.newest() == (state(1), store.folder / "step_00000001.pt")
    assert "step_00000002.pt cannot be read" in caplog.text
    assert path.exists()  # it is the user's to remove


def test_a_damaged_one_takes_no_later_ones_place(store):
    store.keep = 1
    (store.folder / "step_00000009.pt").write_bytes(b"no checkpoint")
    store.save(3, state(3))  # of a run that went on from an older one
    assert names(store) == ["step_00000003.pt", "step_00000009.damaged"]


def test_when_all_are_damaged_it_is_an_error_and_no_new_start(store):
    for step in (1, 2):
        (store.folder / f"step_{step:08d}.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="2.pt cannot be read .*; .*1.pt cannot be read .*remove what is damaged"):
        store.newest()


# --- room -----------------------------------------------------------------------------------------------------------


def test_what_a_killed_run_left_is_cleared(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in (".0123456789abcdef.pt", ".room.pt", "step_00000004.pt", ".keep"):
        (folder / name).touch()
    store = Checkpoints(folder)
    store.prepare(SIZE)
    assert names(store) == [".keep", "step_00000004.pt"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="reserves room by posix_fallocate")
def test_a_disk_without_room_is_told_in_numbers(tmp_path, monkeypatch):
    asked = []

    def full(descriptor, offset, size):
        asked.append(size)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device\): two of 3 MB are needed, and \d+ MB are free; make"):
        Checkpoints(tmp_path).prepare(3 * 2**20)
    assert asked == [6 * 2**20] and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/checkpoints cannot take the run's checkpoints .*; give another"):
        Checkpoints(tmp_path / "file" / "checkpoints").prepare(SIZE)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        Checkpoints(tmp_path / "checkpoints").prepare(SIZE)


LIMITED = """
import resource, sys
from tests import runs
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # a megabyte a file, and the run wants two that are larger
runs.run(runs.TINY, sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the system's kind")
def test_a_run_without_room_takes_no_step(tmp_path):
    program = [sys.executable, "-c", LIMITED, str(tmp_path / "run")]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "cannot take the run's checkpoints (File too large): two of 1 MB are needed" in ended.stderr
    assert runs.files(tmp_path) == []


# --- in a run -------------------------------------------------------------------------------------------------------


def fail_at(monkeypatch, steps):
    """The disk is full when the checkpoints of these steps go to it."""
    save, sync, saved = Checkpoints.save, os.fsync, []

    def noting(self, step, state):
        saved.append(step)
        save(self, step, state)

    def failing(file):
        if saved and saved[-1] in steps:
            raise OSError(28, "No space left on device")
        sync(file)

    monkeypatch.setattr(Checkpoints, "save", noting)
    monkeypatch.setattr(os, "fsync", failing)


def test_a_save_that_fails_is_told_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    fail_at(monkeypatch, {2})
    assert runs.run(replace(runs.TINY, steps=3), tmp_path) is not None
    told = "the checkpoint of step 2 could not be written ([Errno 28] No space left on device); going on"
    assert told in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000003.pt"]


def test_the_last_save_that_fails_is_an_error_and_the_one_before_stays(tmp_path, monkeypatch):
    fail_at(monkeypatch, {3})
    with pytest.raises(OSError, match="No space left"):
        runs.run(replace(runs.TINY, steps=3), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000002.pt"]
    assert runs.checkpoint(tmp_path)["progress"]["step"] == 2


# --- random states --------------------------------------------------------------------------------------------------


def draws():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()


def test_random_states_come_back_from_a_file(store):
    random.gauss(0, 1), np.random.randn()  # both keep the second of the pair that they drew
    store.save(1, {**state(1), "random": random_state()})
    expected = draws()
    draws()
    set_random_state(store.newest()[0]["random"])
    assert draws() == expected
