"""Settings that must stand before torch is first imported."""

import os

# float64 convolutions take gigabytes of scratch memory, of which in small pages half the time goes into page faults
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
