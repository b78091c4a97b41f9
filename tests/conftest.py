"""Settings that must stand before torch is first imported, and those of hypothesis."""

import os
from pathlib import Path

from hypothesis import settings

# float64 convolutions take gigabytes of scratch memory, of which in small pages half the time goes into page faults
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # threads of two processes on the same cores would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if not Path("/dev/nvidiactl").exists():  # Triton's kernels on the CPU, by its interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
