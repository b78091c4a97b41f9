"""Learning rates by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stereohg.training.config import ScheduleConfig
from stereohg.training.schedule import rate_factor

NAMES = ("constant", "milestones", "cosine", "one_cycle")


def factors(schedule: ScheduleConfig, at: list[int], steps: int, per_epoch: int = 1) -> list[float]:
    return [rate_factor(schedule, step, steps, per_epoch) for step in at]


def test_constant():
    assert factors(ScheduleConfig(), [0, 7, 99], 100) == [1, 1, 1]


def test_warmup_is_a_line_and_then_the_schedule():
    assert factors(ScheduleConfig(warmup=4), [0, 1, 2, 3, 4, 50], 100) == [0.25, 0.5, 0.75, 1, 1, 1]
    # at a third of the way the wave is at 0.5 (1 + cos 60 deg) = 0.75, and half warm
    assert factors(ScheduleConfig("cosine", warmup=62), [30], 90) == pytest.approx([0.375])


def test_gwcnet_halves_at_the_epochs_10_12_and_14():
    schedule, per_epoch = ScheduleConfig("milestones", milestones=[10, 12, 14], factor=0.5), 2215
    at = [0, 10 * per_epoch - 1, 10 * per_epoch, 12 * per_epoch, 14 * per_epoch - 1, 14 * per_epoch, 16 * per_epoch - 1]
    assert factors(schedule, at, 16 * per_epoch, per_epoch) == [1, 1, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_kitti_takes_a_tenth_after_epoch_200():
    schedule, per_epoch = ScheduleConfig("milestones", milestones=[200], factor=0.1), 14
    at = [0, 200 * per_epoch - 1, 200 * per_epoch, 300 * per_epoch - 1]
    assert factors(schedule, at, 300 * per_epoch, per_epoch) == [1, 1, 0.1, 0.1]


def test_cosine():
    """(1 + cos 45 deg) / 2 = 0.8535534 after a quarter."""
    expected = [1, 0.8535534, 0.5, 0.1464466, 0]
    assert factors(ScheduleConfig("cosine"), [0, 25, 50, 75, 100], 100) == pytest.approx(expected)


def test_one_cycle():
    """Up in 10 of 100 steps, down in 90: at step 55 half of the way down."""
    assert factors(ScheduleConfig("one_cycle", rise=0.1), [0, 4, 9, 10, 55, 99], 100) == pytest.approx(
        [0.1, 0.5, 1, 1, 0.5, 1 / 90]
    )


@given(st.sampled_from(NAMES), st.integers(1, 50), st.integers(0, 60), st.floats(0, 1), st.data())
def test_every_rate_is_between_zero_and_the_peak(name, steps, warmup, rise, data):
    step = data.draw(st.integers(0, steps - 1))
    schedule = ScheduleConfig(name, warmup, [1, 3] if name == "milestones" else [], rise=rise)
    assert 0 < rate_factor(schedule, step, steps, 7) <= 1
