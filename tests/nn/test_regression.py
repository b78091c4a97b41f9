"""Regression, confidence and upsampling against the literal formulas and by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from stereohg.nn import confidence, convex_upsample, regression, soft_argmax, soft_argmin, upsampled_soft_argmin
from tests import literal


def similarity(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@settings(max_examples=20)
@given(levels=st.integers(1, 6), height=st.integers(1, 4), width=st.integers(1, 4), align_corners=st.booleans())
def test_regression_equals_the_formula(levels, height, width, align_corners):
    x = similarity(2, levels, height, width)
    torch.testing.assert_close(soft_argmin(x), literal.soft_argmin(x))
    size = (4 * height, 4 * width)
    for function in (upsampled_soft_argmin, regression.upsampled_soft_argmin_at_once):
        torch.testing.assert_close(
            function(x, 4 * levels, size, align_corners),
            literal.upsampled_soft_argmin(x, 4 * levels, size, align_corners),
        )


def test_soft_argmin_by_hand():
    # weights e^0 : e^ln3 = 1 : 3 on levels 0 and 1
    x = torch.tensor([0.0, torch.tensor(3.0).log()]).view(1, 2, 1, 1)
    assert soft_argmin(x).item() == pytest.approx(0.75)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_regressed_in_float32(dtype):
    """Of bfloat16 there is none between 128 and 129."""
    x, weights = similarity(1, 200, 2, 3).to(dtype), similarity(1, 9 * 4, 2, 3).to(dtype)
    for function in (
        soft_argmin,
        confidence,
        lambda y: soft_argmin(y, 1),
        lambda y: upsampled_soft_argmin(y, 800, (8, 12)),
        lambda y: soft_argmax(y[:, :2]),
        lambda y: convex_upsample(y[:, 0], weights.to(y.dtype), 2, 1.0),
    ):
        assert torch.equal(function(x), function(x.float())) and function(x).dtype == torch.float32


def test_radius_keeps_to_the_likeliest_peak():
    two_surfaces = torch.full((1, 20, 1, 1), -30.0)
    two_surfaces[0, 3], two_surfaces[0, 15] = 1.0, 0.9
    assert soft_argmin(two_surfaces).item() == pytest.approx(8.7, abs=0.01)  # in the gap between the two
    assert soft_argmin(two_surfaces, radius=2).item() == pytest.approx(3.0, abs=1e-6)


def test_a_rounding_between_two_levels_does_not_choose_the_answer():
    """Windows about either of the two give 2 + 0.28 / 0.62 and 2 + 0.4 / 0.65, which differ by 0.16."""
    probability = torch.tensor([0.01, 0.02, 0.3, 0.3, 0.05, 0.01, 0.0001, 0.0001])
    low, high = (
        soft_argmin((probability + 1e-6 * torch.eye(8)[level]).log().view(1, 8, 1, 1), radius=1).item()
        for level in (2, 3)
    )
    assert low == pytest.approx(high, abs=0.001)
    assert 2.5 < low < 2.6


def test_radius_that_covers_everything_changes_nothing():
    x = similarity(1, 5, 2, 3)
    torch.testing.assert_close(soft_argmin(x, radius=5), soft_argmin(x))


def test_confidence_by_hand():
    certain = torch.full((1, 8, 1, 1), -100.0)
    certain[0, 4] = 0.0
    assert confidence(certain).item() == pytest.approx(1.0)
    assert confidence(torch.zeros(1, 8, 1, 1)).item() == pytest.approx(2 / 8)  # the likeliest level is the first
    two_peaks = torch.full((1, 20, 1, 1), -100.0)
    two_peaks[0, 3], two_peaks[0, 15] = 0.1, 0.0
    assert confidence(two_peaks).item() == pytest.approx(1 / (1 + torch.tensor(-0.1).exp()).item())


@settings(max_examples=10)
@given(height=st.integers(1, 4), width=st.integers(1, 4), factor=st.sampled_from([1, 2, 4]))
def test_convex_upsampling_equals_the_loops(height, width, factor):
    disparity, weights = similarity(2, height, width), similarity(2, 9 * factor**2, height, width)
    torch.testing.assert_close(
        convex_upsample(disparity, weights, factor), literal.convex_upsample(disparity, weights, factor)
    )


def test_convex_upsampling_takes_rows_at_a_time(monkeypatch):
    disparity, weights = similarity(2, 5, 3), similarity(2, 9 * 4, 5, 3)
    whole = convex_upsample(disparity, weights, 2)
    for limit in (1, 2 * 36 * 3 * 8 * 2):  # one row, and two of five
        monkeypatch.setattr(regression, "TILE_BYTES_CPU", limit)
        with torch.no_grad():
            torch.testing.assert_close(convex_upsample(disparity, weights, 2), whole, rtol=1e-14, atol=1e-14)


class Upsampling(torch.nn.Module):
    def forward(self, disparity, weights):
        return convex_upsample(disparity, weights, 2)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_a_trace_of_convex_upsampling_has_it_in_one_piece(mode):
    """Of any height; ONNX has no way to split a height that is not known."""
    rows = torch.export.Dim("rows", min=2)
    low, high = ((similarity(1, height, 4), similarity(1, 36, height, 4)) for height in (6, 9))
    with mode():
        program = torch.export.export(Upsampling(), low, dynamic_shapes=({1: rows}, {2: rows}), strict=False)
        assert not [node for node in program.graph.nodes if "split" in node.name]
        torch.testing.assert_close(program.module()(*high), convex_upsample(*high, 2))


def test_convex_upsampling_stays_between_its_neighbours():
    fine = convex_upsample(torch.full((1, 2, 3), 7.0), torch.randn(1, 9 * 16, 2, 3), 4)
    assert fine.shape == (1, 8, 12)
    torch.testing.assert_close(fine, torch.full_like(fine, 7.0))


def test_convex_upsampling_keeps_to_one_surface():
    """Of two surfaces at 10 and 30 pixels: weights 1 : 2 : 1 on 10, 11 and 30 lie between the two without a radius."""
    disparity = torch.tensor([[[10.0, 11.0, 30.0]]])
    weights = torch.full((1, 9, 1, 3), -torch.inf)
    weights[0, 3:6] = torch.tensor([0.0, math.log(2), 0.0])[:, None, None]  # the neighbours left, here and right
    assert convex_upsample(disparity, weights, 1)[0, 0, 1].item() == pytest.approx(15.5)
    assert convex_upsample(disparity, weights, 1, radius=4)[0, 0, 1].item() == pytest.approx(32 / 3)
    assert convex_upsample(disparity, weights, 1, radius=0.5)[0, 0, 1].item() == pytest.approx(11)
    # at one and a half times the radius half of the weight: (0.5 * 10 + 2 * 11) / 2.5
    assert convex_upsample(disparity, weights, 1, radius=2 / 3)[0, 0, 1].item() == pytest.approx(10.8)


@settings(max_examples=20)
@given(radius=st.floats(0.1, 5), height=st.integers(1, 3), width=st.integers(1, 3))
def test_convex_upsampling_keeps_near_the_heaviest_neighbour(radius, height, width):
    disparity, weights = 5 * similarity(1, height, width), similarity(1, 9 * 4, height, width)
    only = torch.where(weights.unflatten(1, (9, 4)) == weights.unflatten(1, (9, 4)).amax(1, keepdim=True), 50.0, -50.0)
    heaviest = convex_upsample(disparity, only.flatten(1, 2).to(disparity), 2)
    near = convex_upsample(disparity, weights, 2, radius)
    assert ((near - heaviest).abs() <= 2 * radius + 1e-9).all()
    torch.testing.assert_close(convex_upsample(disparity, weights, 2, 1e6), convex_upsample(disparity, weights, 2))


def test_gradients():
    x = similarity(1, 4, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(soft_argmin, (x,))
    assert torch.autograd.gradcheck(lambda x: upsampled_soft_argmin(x, 16, (8, 8)), (x,))
    assert torch.autograd.gradcheck(lambda x: soft_argmin(x, radius=1), (x,))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_rows_at_a_time_change_nothing(monkeypatch, rows, align_corners):
    """Against PyTorch's own upsampling and softmax of the whole, answers and gradients."""
    x = similarity(2, 5, 3, 4).requires_grad_()
    monkeypatch.setattr(regression, "TILE_BYTES_CPU", rows * 2 * 20 * 16 * x.element_size())
    ours = upsampled_soft_argmin(x, 20, (12, 16), align_corners)
    whole = F.interpolate(x[:, None], (20, 12, 16), mode="trilinear", align_corners=align_corners)[:, 0]
    expected = soft_argmin(whole)
    torch.testing.assert_close(ours, expected)
    gradient = similarity(2, 12, 16)
    torch.testing.assert_close(torch.autograd.grad(ours, x, gradient)[0], torch.autograd.grad(expected, x, gradient)[0])


def test_large_similarities_do_not_overflow():
    x = torch.zeros(1, 4, 2, 2)
    x[:, 2] = 1e4
    assert torch.isfinite(upsampled_soft_argmin(x, 16, (8, 8))).all()


def test_fake_tensors_leave_nothing_behind():
    """As who estimates memory without it uses them."""
    shape, size = (1, 3, 5, 7), (20, 28)
    with FakeTensorMode():
        assert upsampled_soft_argmin(torch.randn(shape), 12, size).shape == (1, *size)
    assert upsampled_soft_argmin(torch.zeros(shape), 12, size).unique().tolist() == pytest.approx([5.5])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_tracer_sees_plain_operators():
    """TensorBoard draws networks by tracing them, whose sizes are traced as well."""

    def regress(volume):
        return upsampled_soft_argmin(volume, 16, (4 * volume.shape[2], 4 * volume.shape[3]))

    x = similarity(1, 4, 3, 5).float()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(regress, x)(2 * x), regress(2 * x))
