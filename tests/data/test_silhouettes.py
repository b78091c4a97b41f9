"""Outlines: what is there and what one looks through."""

import cv2
import numpy as np
import pytest

from stereohg.data.synthetic.rooms import FIRST_OPENWORK, Builder, load_atlas
from stereohg.data.synthetic.silhouettes import OPENWORK, SILHOUETTES, fence, wheel


@pytest.mark.parametrize("draw", SILHOUETTES + OPENWORK)
def test_the_same_generator_draws_the_same(draw):
    one, again, other = (draw(np.random.default_rng(seed), 96, 128) for seed in (1, 1, 2))
    assert one.shape == (96, 128) and one.dtype == np.uint8 and one.max() == 255
    assert np.array_equal(one, again)
    assert draw is SILHOUETTES[1] or not np.array_equal(one, other)  # a box is a box


@pytest.mark.parametrize("draw", OPENWORK)
@pytest.mark.parametrize("seed", range(5))
def test_openwork_has_gaps_with_borders(draw, seed):
    """Some gap is closed all round: it does not touch the picture's border."""
    there = draw(np.random.default_rng(seed), 256, 256) > 127
    gaps, labels = cv2.connectedComponents((~there).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    assert 0.02 < there.mean() < 0.9
    assert gaps - 1 > len(outside[outside > 0]) or draw.__name__ == "tubes"  # these need not cross each other


@pytest.mark.parametrize("seed", range(5))
def test_a_wheel_has_a_tyre_and_a_hub(seed):
    there = wheel(np.random.default_rng(seed), 200, 200) > 127
    angles = np.linspace(0, 2 * np.pi, 50)
    for radius, expected in ((0.96, 1.0), (0.05, 1.0)):  # of half the width; no tyre and no hub is thinner than 0.08
        x, y = (np.round(100 + 100 * radius * way(angles)).astype(int) for way in (np.cos, np.sin))
        assert there[y, x].mean() == expected
    assert not there[[0, 0, -1, -1], [0, -1, 0, -1]].any()


@pytest.mark.parametrize("seed", range(5))
def test_a_fence_has_rails(seed):
    there = fence(np.random.default_rng(seed), 100, 200) > 127
    assert there[1].all() and there[-2].all()  # a rail has at least three of a hundred rows
    assert not there.all(1).all()


def test_most_rooms_have_openwork():
    masks = [Builder(np.random.default_rng(seed), 64, 128, 30).build()["mask"] for seed in range(60)]
    share = np.mean([(own >= FIRST_OPENWORK).any() for own in masks])
    assert 0.5 < share < 0.9  # 0.7, and five standard deviations of sixty draws are 0.3
    assert max(own.max() for own in masks) < len(load_atlas().masks)
