"""What is known beforehand, told to a volume: worked by hand, and the same in every layout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.nn import Peaks

INNERMOST = torch.channels_last_3d


def peaks(channels: int = 1, reaches: tuple[int, ...] = (2,), weight: list | None = None) -> Peaks:
    module = Peaks(channels, reaches)
    with torch.no_grad():
        if weight is None:
            module.weight.normal_(generator=torch.Generator().manual_seed(0))
        else:
            module.weight.copy_(torch.tensor(weight).view_as(module.weight))
    return module


@pytest.mark.parametrize("layout", [torch.contiguous_format, INNERMOST])
def test_peaks_by_hand(layout):
    """About level 2.25: of reach 2 and height 1 with weight 8; of reach 1 and height a half with weight 4."""
    volume = torch.ones(1, 1, 6, 1, 1).to(memory_format=layout)
    heights = torch.tensor([1.0, 0.5]).view(1, 2, 1, 1)
    told = peaks(reaches=(2, 1), weight=[8.0, 4.0])(volume, torch.full((1, 1, 1), 2.25), heights)
    assert told.flatten().tolist() == [1, 1 + 3, 1 + 7 + 1.5, 1 + 5 + 0.5, 1 + 1, 1]


@pytest.mark.parametrize("layout", [torch.contiguous_format, INNERMOST])
def test_what_lies_outside_says_nothing(layout):
    """Level -2 of reach 2, and level 4.5 of 0 to 3, of which 3 hears a quarter."""
    volume = torch.zeros(2, 1, 4, 1, 1).to(memory_format=layout)
    told = peaks(weight=[1.0])(volume, torch.tensor([-2.0, 4.5]).view(2, 1, 1), torch.ones(2, 1, 1, 1))
    assert told.flatten(1).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0.25]]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(*(st.integers(1, 3) for _ in range(2)), st.integers(1, 12), *(st.integers(1, 4) for _ in range(2))),
    reaches=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
)
def test_both_ways_are_one(seed, size, reaches):
    batch, channels, _, height, width = size
    random = torch.Generator().manual_seed(seed)
    module = peaks(channels, reaches)
    volume, gradient = torch.randn(2, *size, generator=random)
    levels = (16 * torch.rand(batch, height, width, generator=random) - 2).requires_grad_()  # which gets none
    heights = torch.rand(batch, len(reaches), height, width, generator=random).requires_grad_()
    answers = []
    for layout in (torch.contiguous_format, INNERMOST):
        x = volume.to(memory_format=layout, copy=True).requires_grad_()
        told = module(x + 0, levels, heights)
        told.backward(gradient)
        answers.append((told, x.grad, *(p.grad.clone() for p in (module.weight, heights))))
        assert levels.grad is None
        module.weight.grad = heights.grad = None
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_only_near_the_level_anything_is_touched():
    """So that the time does not grow with the levels: NaN elsewhere stays, and comes near no sum."""
    volume = torch.full((1, 2, 40, 1, 1), torch.nan).to(memory_format=INNERMOST)
    volume[:, :, 17:25] = 0
    told = peaks(2, (4,))(volume, torch.full((1, 1, 1), 20.5), torch.ones(1, 1, 1, 1))
    assert told[:, :, 17:25].isfinite().all() and told[:, :, :17].isnan().all() and told[:, :, 25:].isnan().all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, INNERMOST])
def test_what_is_no_number_stays_none(layout):
    """An answer that is not finite must not come to a finite loss; of an odd number of pixels, too."""
    volume = torch.zeros(1, 1, 4, 3, 3).to(memory_format=layout)
    levels = torch.ones(1, 3, 3)
    levels[0, 1, 1] = torch.nan
    told = peaks(weight=[1.0])(volume, levels, torch.ones(1, 1, 3, 3))
    assert told[..., 1, 1].isnan().any() and told.isfinite().sum() >= 8 * 4
