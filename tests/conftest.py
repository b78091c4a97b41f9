"""Settings that must stand before torch is first imported."""

import os
from pathlib import Path

# float64 convolutions take gigabytes of scratch memory, of which in small pages half the time goes into page faults
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
if not Path("/dev/nvidiactl").exists():  # Triton's kernels on the CPU, by its interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")
