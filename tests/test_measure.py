"""Time and memory of a block."""

import time

import numpy as np
import pytest

from stereohg.measure import measured


def test_seconds():
    with measured() as cost:
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 1


def test_peak_counts_what_was_freed_again():
    with measured() as cost:
        np.ones(100 * 2**20, np.uint8).sum()
    if cost.peak_bytes is None:
        pytest.skip("this system does not tell peaks")
    assert 90 * 2**20 < cost.peak_bytes < 400 * 2**20
