"""What the program asks of the system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stereohg.devices import ask_for_large_pages

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
FAULTS = """
import resource
import torch
import stereohg.cli
from stereohg.devices import ask_for_large_pages

{ask}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(64 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not LARGE_PAGES.exists() or "[madvise]" not in LARGE_PAGES.read_text(), reason="no large pages, or always"
)
def test_the_program_has_large_pages():
    """256 MiB are 65536 small pages; no tensor is made on import, or it would come too late."""
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}

    def faults(ask: str) -> int:
        program = [sys.executable, "-c", FAULTS.format(ask=ask)]
        return int(subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout)

    assert faults("") > 60000
    assert faults("ask_for_large_pages()") < 20000


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    ask_for_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
