"""Every sample once an epoch, whoever takes it, in an order that the seed decides."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereohg.training.batches import Batches, Key, load


def indices(plan: Batches, start: int, stop: int) -> list[list[int]]:
    return [[key.index for key in part if key.counts] for part in plan.keys(start, stop)]


@given(
    samples=st.integers(1, 40),
    each=st.integers(1, 4),
    parts=st.integers(1, 3),
    processes=st.integers(1, 3),
    start=st.integers(0, 30),
    seed=st.integers(0, 5),
)
def test_the_shares_of_a_batch_are_the_batch(samples, each, parts, processes, start, seed):
    size = each * parts * processes
    (alone,) = indices(Batches(samples, size, seed=seed), start, start + 1)
    plans = [Batches(samples, size, parts, rank, processes, seed=seed) for rank in range(processes)]
    shares = [share for plan in plans for share in indices(plan, start, start + 1)]
    assert len(shares) == parts * processes
    assert [index for share in shares for index in share] == alone
    assert max(map(len, shares)) <= each
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(samples=st.integers(1, 30), size=st.integers(1, 7), shuffle=st.booleans())
def test_an_epoch_has_every_sample_once(samples, size, shuffle):
    plan = Batches(samples, size, shuffle=shuffle)
    for epoch in (0, 3):
        start = epoch * plan.per_epoch
        seen = [index for batch in indices(plan, start, start + plan.per_epoch) for index in batch]
        assert sorted(seen) == list(range(samples))


def test_the_order_is_of_the_seed_and_the_epoch():
    first, again, other = Batches(50, 5), Batches(50, 10), Batches(50, 5, seed=1)
    np.testing.assert_array_equal(first.order(3), again.order(3))
    assert first.order(3).tolist() != first.order(4).tolist()
    assert first.order(3).tolist() != other.order(3).tolist()
    assert Batches(5, 5, shuffle=False).order(3).tolist() == [0, 1, 2, 3, 4]


def test_the_middle_of_an_epoch_is_what_it_would_have_been():
    plan = Batches(7, 2)  # batches of 2, 2, 2 and 1 an epoch
    whole = list(plan.keys(0, 9))
    assert list(plan.keys(5, 9)) == whole[5:]
    assert [len(batch) for batch in whole] == [2, 2, 2, 1, 2, 2, 2, 1, 2]
    assert [batch[0].epoch for batch in whole] == [0, 0, 0, 0, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("size, dropped, steps", [(12, False, 2955), (16, True, 2215), (16, False, 2216)])
def test_the_published_batches_of_scene_flow(size, dropped, steps):
    """35454 = 2954 * 12 + 6 = 2215 * 16 + 14: PSMNet keeps the rest, GwcNet drops it."""
    plan = Batches(35454, size, drop_last=dropped)
    assert plan.per_epoch == steps
    (last,) = plan.keys(steps - 1, steps)
    assert len(last) == (size if dropped else 35454 - (steps - 1) * size)


def test_who_gets_nothing_is_kept_busy_with_what_does_not_count():
    plans = [Batches(5, 4, 2, rank, 2, shuffle=False) for rank in (0, 1)]  # the second batch is sample 4 alone
    assert [list(plan.keys(1, 2)) for plan in plans] == [
        [[Key(4, 0, True)], [Key(4, 0, False)]],
        [[Key(4, 0, False)], [Key(4, 0, False)]],
    ]


@pytest.mark.parametrize("size", [0, -4, 6])
def test_a_batch_that_cannot_be_shared_is_an_error(size):
    with pytest.raises(
        ValueError, match=f"batch_size is {size}, to be shared by 2 processes in 2 parts.*multiple of 4"
    ):
        Batches(100, size, parts=2, processes=2)


def test_a_set_that_fills_no_batch_is_an_error():
    with pytest.raises(ValueError, match="has 0 samples"):
        Batches(0, 1)
    with pytest.raises(ValueError, match="has 3 samples, which do not fill a batch of 4"):
        Batches(3, 4, drop_last=True)
    assert Batches(3, 4).per_epoch == 1


class Numbers:
    """Sample i of epoch e is 100 e + i."""

    def __len__(self) -> int:
        return 6

    def sample(self, index: int, epoch: int) -> int:
        return 100 * epoch + index


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_keeps_the_order_and_draws_no_random_number(workers):
    plan = Batches(6, 4, 2, shuffle=False)
    before = torch.get_rng_state()
    loader = load(Numbers(), plan.keys(1, 4), torch.tensor, lambda sample: -1, workers, pinned=False)
    # the second batch of each epoch has samples 4 and 5, one a part
    assert [batch.tolist() for batch in loader] == [[4], [5], [100, 101], [102, 103], [104], [105]]
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_that_does_not_count_is_made_so():
    loader = load(Numbers(), [[Key(4, 0, True)], [Key(4, 0, False)]], list, lambda sample: -sample, 0, False)
    assert list(loader) == [[4], [-4]]


class Unpicklable(ValueError):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.lock = threading.Lock()


class Broken(Numbers):
    def sample(self, index: int, epoch: int) -> int:
        raise Unpicklable("first", "second")


def test_a_workers_error_comes_in_words():
    (failure,) = load(Broken(), [[Key(0, 0, True)]], list, list, 1, pinned=False)
    assert isinstance(failure.error(), ValueError) and str(failure.error()) == "first and second"
    assert "in sample" in failure.trace
    with pytest.raises(Unpicklable):
        list(load(Broken(), [[Key(0, 0, True)]], list, list, 0, pinned=False))
