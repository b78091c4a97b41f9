"""Reading ahead and writing behind, with the order and the errors of one after the other."""

import threading
import time
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.commands.pipeline import pipeline

STAGES = ("read", "work", "write")


@settings(max_examples=50)
@given(failing=st.lists(st.sampled_from([None, *STAGES]), max_size=6))
def test_every_item_comes_once_in_order_with_its_own_error(failing):
    written = []

    def stage(name):
        def run(item, *result):
            if failing[item] == name:
                raise ValueError(f"{name} {item}")
            if name == "write":
                written.append((item, *result))
            return item

        return run

    done = list(pipeline(range(len(failing)), *map(stage, STAGES)))
    assert [each.item for each in done] == list(range(len(failing)))
    for each, name in zip(done, failing, strict=True):
        assert (each.result, each.error and str(each.error)) == (
            (each.item, None) if name is None else (None, f"{name} {each.item}")
        )
    good = [item for item, name in enumerate(failing) if name is None]
    assert written == [(item, item) for item in good]


def test_the_next_is_read_and_the_last_is_written_meanwhile():
    """Each stage waits until its neighbour is there, too; one after the other they would wait for ever."""
    reading, writing = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def read(item):
        if item == 1:
            reading.wait()
        return item

    def work(item):
        if item == 0:
            reading.wait()
        if item == 1:
            writing.wait()
        return item

    def write(item, result):
        if item == 0:
            writing.wait()

    assert [done.error for done in pipeline([0, 1, 2], read, work, write)] == [None] * 3


class Given:
    """Something large."""


def test_no_more_than_one_is_read_ahead_and_nothing_is_held_that_was_written():
    """While one is worked on, the next may be there, the last, which is being written, and the one told before."""
    read, held = [], []

    def reading(item):
        given = Given()
        read.append(weakref.ref(given))
        return given

    def work(given):
        time.sleep(0.01)
        held.append(sum(reference() is not None for reference in read))
        return given

    assert all(done.error is None for done in pipeline(range(12), reading, work, lambda item, given: None))
    assert max(held) <= 4 and len(read) == 12


def test_an_interruption_ends_it_with_the_write_in_progress_whole():
    started, written, read = threading.Event(), [], []

    def work(item):
        if item == 1:
            assert started.wait(10)
            raise KeyboardInterrupt
        return item

    def write(item, result):
        started.set()
        time.sleep(0.1)
        written.append(item)

    with pytest.raises(KeyboardInterrupt):
        list(pipeline(range(100), lambda item: read.append(item) or item, work, write))
    assert written == [0] and len(read) <= 3
