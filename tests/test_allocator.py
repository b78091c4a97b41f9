"""Freed memory that stays with the process."""

import subprocess
import sys

import pytest
import torch

from stereohg import allocator, memory
from stereohg.allocator import give_back, keep_freed_memory, kept_memory

PROGRAM = """
import numpy as np
from pathlib import Path
from stereohg.allocator import give_back, keep_freed_memory, kept_memory

def resident():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

{keep}
before = resident()
np.ones(200 * 2**20, np.uint8)
print(round(resident() - before), round(kept_memory() / 2**20), end=" ")
give_back()
print(round(resident() - before))
"""


@pytest.mark.skipif(allocator._glibc() is None, reason="no glibc")
@pytest.mark.parametrize("keeps", [True, False])
def test_what_was_freed_stays_until_it_is_given_back(keeps):
    """In a process of its own, whose heap no test has touched."""
    program = PROGRAM.format(keep="assert keep_freed_memory()" if keeps else "")
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    after, kept, given_back = map(int, printed.split())
    if keeps:
        assert 190 < after < 300 and 190 < kept <= after + 10
    else:
        assert after < 50
    assert given_back < 50


def test_what_is_kept_counts_as_free(monkeypatch):
    monkeypatch.setattr(memory, "free_ram", lambda: 1000)
    monkeypatch.setattr(memory, "kept_memory", lambda: 234)
    assert memory.free_memory(torch.device("cpu")) == 1234


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert not keep_freed_memory()
    assert kept_memory() == 0
    give_back()
