"""What the program asks of the system."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from stereohg.cli import run
from stereohg.devices import SETTINGS_OF_GLIBC, ask_for_large_pages

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
FAULTS = """
import resource
import torch
import stereohg.cli
from stereohg.devices import ask_for_large_pages, keep_freed_memory

{prepare}
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones({size})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
SETTINGS = {"THP_MEM_ALLOC_ENABLE", *SETTINGS_OF_GLIBC}


def faults(size: int, prepare: str, **settings: str) -> list[int]:
    """Pages that tensors of so many floats ask the system for, one after the other, in a process of their own."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
    program = [sys.executable, "-c", FAULTS.format(prepare=prepare, size=size)]
    printed = subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout
    return [int(line) for line in printed.split()]


@pytest.mark.slow
@pytest.mark.skipif(
    not LARGE_PAGES.exists() or "[madvise]" not in LARGE_PAGES.read_text(), reason="no large pages, or always"
)
def test_the_program_has_large_pages():
    """256 MiB are 65536 small pages; no tensor is made on import, or it would come too late."""
    assert min(faults(2**26, "")) > 60000
    assert max(faults(2**26, "ask_for_large_pages()")) < 20000


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_training_keeps_what_tensors_leave():
    """32 MiB are 8192 small pages. The heap may grow before one tensor's memory serves for the next."""
    assert faults(2**23, "keep_freed_memory()")[-1] < 100
    assert faults(2**23, "keep_freed_memory()", MALLOC_TRIM_THRESHOLD_="131072")[-1] > 8000


def test_other_commands_hold_no_more_than_they_were_given(monkeypatch):
    kept = []
    monkeypatch.setattr("stereohg.cli.keep_freed_memory", lambda: kept.append(sys.argv[1]))
    monkeypatch.setattr("stereohg.cli.main", lambda: 0)
    for command in ("predict", "train", "evaluate"):
        monkeypatch.setattr(sys, "argv", ["stereohg", command])
        assert run() == 0
    assert kept == ["train"]


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    ask_for_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
