"""Peaks of heatmaps: by hand, and measured on peaks whose place is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereohg.data.people.heatmaps import Targets
from stereohg.data.people.skeletons import COCO, MPII
from stereohg.nn import soft_argmax
from stereohg.pose.decoding import decode, flip_back


def one_map(*cells: tuple[int, int, float], size: tuple[int, int] = (6, 8)) -> torch.Tensor:
    """(1,1,H,W), zero but for cells (x, y, value)."""
    heatmap = torch.zeros(1, 1, *size)
    for x, y, value in cells:
        heatmap[0, 0, y, x] = value
    return heatmap


@pytest.mark.parametrize(
    "cells, expected",
    [
        ([(3, 2, 1), (4, 2, 0.5), (3, 1, 0.5)], (3.25, 1.75)),
        ([(3, 2, 1), (2, 2, 0.1)], (2.75, 2)),  # equal neighbours above and below: no shift
        ([(0, 2, 1), (1, 2, 0.5), (0, 3, 0.5)], (0, 2)),  # in the first column neither axis moves
        ([(7, 5, 1), (6, 5, 0.5)], (7, 5)),
        ([(1, 1, 1), (2, 1, 0.5)], (1.25, 1)),
        ([(6, 4, 1), (5, 4, 0.5)], (5.75, 4)),
    ],
)
def test_the_published_quarter_shift(cells, expected):
    keypoints, scores = decode(one_map(*cells), "quarter")
    assert keypoints[0, 0].tolist() == list(expected) and scores.item() == 1
    assert decode(one_map(*cells), "argmax")[0][0, 0].tolist() == list(cells[0][:2])


def test_maps_without_a_positive_value():
    nothing = -torch.rand(1, 2, 6, 8)
    nothing[0, 1] = 0
    assert decode(nothing, "quarter")[0].tolist() == [[[-1, -1], [-1, -1]]]
    for method in ("argmax", "dark"):
        keypoints, scores = decode(nothing, method)
        assert keypoints.isfinite().all() and (scores <= 0).all()
        assert keypoints[0, 1].tolist() == [0, 0]


@given(st.floats(2, 28), st.floats(2, 20), st.sampled_from([1.0, 1.5, 2.0]))
def test_dark_finds_the_peak_between_the_cells(x, y, sigma):
    maps, _ = Targets(sigma=sigma)(np.array([[x, y]]), [True], (24, 32))
    keypoints, scores = decode(torch.from_numpy(maps)[None], sigma=sigma)
    limit = 0.01 if 3 * sigma <= min(x, y, 31 - x, 23 - y) else 0.25  # a peak that the border cuts
    np.testing.assert_allclose(keypoints[0, 0], [x, y], atol=limit)
    assert scores.item() == pytest.approx(maps.max())


def test_dark_finds_a_leaning_peak():
    """Its axes are not those of the picture: sum and difference of x and y have deviations of 2 and 1."""
    x, y = torch.arange(16.0) - 7.3, torch.arange(20.0)[:, None] - 9.4
    leaning = torch.exp(-((x + y) ** 2) / 8 - (x - y) ** 2 / 2)
    np.testing.assert_allclose(decode(leaning[None, None])[0][0, 0], [7.3, 9.4], atol=0.01)


def test_dark_smooths_as_wide_as_the_peaks_are():
    """A peak of deviation 2 in noise: smoothed less, its place is known less."""
    random = np.random.default_rng(0)
    points = random.uniform(8, 56, (200, 2))
    maps = torch.from_numpy(Targets(sigma=2.0)(points, np.ones(200, bool), (64, 64))[0])[None]
    maps = maps + 0.1 * torch.from_numpy(random.standard_normal(maps.shape).astype(np.float32))
    narrow, wide = (np.linalg.norm(decode(maps, sigma=s)[0][0].numpy() - points, axis=1).mean() for s in (1.0, 2.0))
    assert wide < 0.13 < narrow


def test_dark_along_the_border_refines_the_other_axis():
    maps, _ = Targets()(np.array([[0.0, 7.3], [12.4, 15.0]]), [True, True], (16, 16))
    keypoints, _ = decode(torch.from_numpy(maps)[None])
    np.testing.assert_allclose(keypoints[0], [[0, 7.3], [12.4, 15]], atol=0.01)


@pytest.mark.parametrize("noise, best, published", [(0.0, 0.005, 0.15), (0.05, 0.08, 0.15), (0.1, 0.15, 0.2)])
def test_dark_is_the_default_because_it_measures_better(noise, best, published):
    random = np.random.default_rng(0)
    points = random.uniform(3, 60, (200, 2))
    maps = torch.from_numpy(Targets()(points, np.ones(200, bool), (64, 64))[0])[None]
    maps = maps + noise * torch.from_numpy(random.standard_normal(maps.shape).astype(np.float32))
    methods = ("dark", "quarter", "argmax")
    error = {m: np.linalg.norm(decode(maps, m)[0][0].numpy() - points, axis=1).mean() for m in methods}
    assert error["dark"] < best and published < error["quarter"] < error["argmax"] - 0.1


def test_batches_sizes_and_errors():
    keypoints, scores = decode(torch.rand(3, 5, 8, 12, dtype=torch.bfloat16))
    assert keypoints.shape == (3, 5, 2) and scores.shape == (3, 5) and keypoints.dtype == torch.float32
    assert (keypoints[..., 0] < 12).all() and (keypoints[..., 1] < 8).all()
    assert decode(torch.rand(1, 1, 1, 2))[0].isfinite().all()
    with pytest.raises(ValueError, match="decoding is 'mean'"):
        decode(torch.rand(1, 1, 2, 2), "mean")


@pytest.mark.parametrize("skeleton", [MPII, COCO], ids=lambda skeleton: skeleton.name)
def test_flip_back_undoes_a_mirror(skeleton):
    points = np.random.default_rng(0).uniform(2, 14, (len(skeleton), 2))
    known = np.ones(len(skeleton), bool)
    maps = Targets()(points, known, (16, 16))[0]
    mirrored = Targets()((points * [-1, 1] + [15, 0])[skeleton.flip_order], known, (16, 16))[0]
    back = flip_back(torch.from_numpy(mirrored)[None], skeleton.flip_order)
    np.testing.assert_allclose(back[0], maps, atol=1e-6)


def test_soft_argmax_by_hand():
    maps = torch.zeros(1, 2, 2, 3)
    assert soft_argmax(maps)[0, 0].tolist() == pytest.approx([1, 0.5])  # flat: the middle
    maps[0, 1, 1, 2] = np.log(3)  # 3 against five ones: 3/8
    assert soft_argmax(maps)[0, 1].tolist() == pytest.approx([(2 * 1 + 4 * 2) / 8, 5 / 8])
    sharp = soft_argmax(100 * maps, sharpness=10)
    assert sharp[0, 1].tolist() == pytest.approx([2, 1])
    maps.requires_grad_()
    soft_argmax(maps).sum().backward()
    assert maps.grad.isfinite().all() and maps.grad.abs().sum() > 0
