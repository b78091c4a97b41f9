"""Time and memory of a block."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from stereohg.measure import measured


def test_seconds():
    with measured() as cost:
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 1


def passing() -> int | None:
    """Peak of what is freed within the block."""
    with measured() as cost:
        np.ones(100 * 2**20, np.uint8).sum()
    return cost.peak_bytes


def test_peak_counts_what_was_freed_again():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:  # in which nothing lies freed already
        peak = process.submit(passing).result()
    if peak is None:
        pytest.skip("this system does not tell peaks")
    assert 90 * 2**20 < peak < 400 * 2**20
