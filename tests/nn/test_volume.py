"""Cost volumes against the literal loops, and against numbers worked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.nn import add_concat_volume_conv, concat_volume, concat_volume_conv, correlation_volume, groupwise_volume
from tests import literal

SIZES = {
    "num_disp": st.integers(1, 9),
    "width": st.integers(1, 7),
    "groups": st.integers(1, 3),
    "per_group": st.integers(1, 3),
}


def features(channels: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(channels * 100 + width)
    return tuple(torch.randn(2, channels, 3, width, generator=generator, dtype=torch.float64) for _ in range(2))


@settings(max_examples=25)
@given(**SIZES, last=st.booleans())
def test_volumes_equal_the_loops(num_disp, width, groups, per_group, last):
    left, right = features(groups * per_group, width)
    layout = torch.channels_last_3d if last else torch.contiguous_format
    assert groupwise_volume(left, right, num_disp, groups, last).is_contiguous(memory_format=layout)
    assert torch.equal(concat_volume(left, right, num_disp), literal.concat_volume(left, right, num_disp))
    torch.testing.assert_close(
        groupwise_volume(left, right, num_disp, groups, channels_last=last),
        literal.groupwise_volume(left, right, num_disp, groups),
        rtol=1e-14,
        atol=1e-14,
    )
    torch.testing.assert_close(
        correlation_volume(left, right, num_disp),
        literal.correlation_volume(left, right, num_disp),
        rtol=1e-14,
        atol=1e-14,
    )


@settings(max_examples=25)
@given(
    num_disp=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    biased=st.booleans(),
    last=st.booleans(),
)
def test_the_convolution_needs_no_volume(num_disp, width, channels, biased, last):
    left, right = features(channels, width)
    generator = torch.Generator().manual_seed(num_disp)
    weight = torch.randn(2, 2 * channels, 3, 3, 3, generator=generator, dtype=torch.float64)
    if last:
        weight = weight.contiguous(memory_format=torch.channels_last_3d)
    bias = torch.randn(2, generator=generator, dtype=torch.float64) if biased else None
    volume = literal.concat_volume(left, right, num_disp)
    expected = torch.nn.functional.conv3d(volume, weight, bias, padding=1)
    for learns in (True, False):
        with torch.set_grad_enabled(learns):
            own = concat_volume_conv(left, right, num_disp, weight, bias)
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)
        assert own.is_contiguous(memory_format=torch.channels_last_3d if last else torch.contiguous_format)
        before = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
        total = before.clone()
        with torch.set_grad_enabled(learns):
            assert add_concat_volume_conv(total, left, right, weight) is total
        plain = expected if bias is None else expected - bias.view(-1, 1, 1, 1)
        torch.testing.assert_close(total, before + plain, rtol=0, atol=1e-12)


def test_gradients_of_the_convolution_without_volume():
    left, right = (x[:1].requires_grad_() for x in features(2, 6))
    weight = torch.randn(2, 4, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(
        lambda *inputs: concat_volume_conv(*inputs[:2], 4, inputs[2]), (left, right, weight.requires_grad_())
    )


def test_correlation_by_hand():
    left = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    right = torch.tensor([10.0, 20.0, 30.0]).view(1, 1, 1, 3)
    # level 1: nothing at x = 0, then 2 * 10 and 3 * 20
    expected = torch.tensor([[10.0, 40.0, 90.0], [0.0, 20.0, 60.0]])
    assert torch.equal(correlation_volume(left, right, 2)[0, 0, :, 0], expected)


def test_groups_are_means_of_consecutive_channels():
    left = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(1, 4, 1, 1)
    volume = groupwise_volume(left, torch.ones_like(left), 1, num_groups=2)
    assert volume.flatten().tolist() == [2.0, 6.0]


def test_concatenation_puts_left_channels_first():
    left, right = torch.full((1, 1, 1, 2), 5.0), torch.tensor([8.0, 9.0]).view(1, 1, 1, 2)
    volume = concat_volume(left, right, 2)
    assert volume[0, :, 0, 0].tolist() == [[5.0, 5.0], [8.0, 9.0]]
    assert volume[0, :, 1, 0].tolist() == [[0.0, 5.0], [0.0, 8.0]]


@pytest.mark.parametrize(
    "build",
    [concat_volume, correlation_volume, lambda *a: groupwise_volume(*a, num_groups=2)],
    ids=["concatenated", "correlation", "groups"],
)
def test_gradients(build):
    left, right = (x[:1].requires_grad_() for x in features(4, 3))
    assert torch.autograd.gradcheck(lambda x, y: build(x, y, 4), (left, right))


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="4 channels do not divide into 3 groups"):
        groupwise_volume(*features(4, 2), num_disp=2, num_groups=3)


def test_refuses_features_of_two_sizes():
    with pytest.raises(ValueError, match="must agree"):
        concat_volume(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), 2)


@pytest.mark.parametrize("tile_bytes", [1, 2**20])
@settings(max_examples=15)
@given(num_disp=st.integers(1, 5), width=st.integers(1, 9), shortest=st.integers(1, 4))
def test_tiles_of_the_groupwise_volume(tile_bytes, num_disp, width, shortest):
    """However the rows and columns are cut, values and gradients are those of the loops."""
    left, right = (x.requires_grad_() for x in features(4, width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stereohg.nn.volume.TILE_BYTES_CPU", tile_bytes)
        patch.setattr("stereohg.nn.volume.SHORTEST_TILE", shortest)
        volume = groupwise_volume(left, right, num_disp, 2)
        weight = torch.randn(volume.shape, generator=torch.Generator().manual_seed(width), dtype=volume.dtype)
        gradients = torch.autograd.grad((volume * weight).sum(), (left, right))
    expected = literal.groupwise_volume(left, right, num_disp, 2)
    torch.testing.assert_close(volume, expected, rtol=1e-14, atol=1e-14)
    for ours, theirs in zip(gradients, torch.autograd.grad((expected * weight).sum(), (left, right)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
