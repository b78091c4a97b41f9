"""Transforms act on a whole sample: pictures, disparities and masks stay together, whatever was drawn."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.data.preprocess import as_rgb
from stereohg.data.stereo import StereoSample, collate
from stereohg.data.transforms import (
    Colour,
    Compose,
    HorizontalFlip,
    Noise,
    OccludingPatch,
    RandomCrop,
    RandomScale,
    VerticalFlip,
    VerticalShift,
)
from tests import trees

SEEDS = st.integers(0, 2**32 - 1)
GEOMETRY = Compose((RandomScale(0.7, 1.6, 32, 64), HorizontalFlip(), VerticalFlip(), RandomCrop(32, 64)))
CAMERAS = Compose((Colour(), Noise(), OccludingPatch(1.0, 4, 9), VerticalShift(1.0, 1.0)))


def sample() -> StereoSample:
    left, right = trees.pictures()
    disparity, columns = trees.disparity(), np.arange(trees.WIDTH)
    valid = np.ones(disparity.shape, bool)
    valid[trees.UNKNOWN] = False
    right_valid = columns + disparity <= trees.WIDTH - 1
    return StereoSample(
        left,
        right,
        np.where(valid, disparity, 0),
        valid,
        "wall",
        visible=columns - disparity >= 0,
        right_disparity=np.where(right_valid, disparity, 0),
        right_valid=right_valid,
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mismatch(changed: StereoSample) -> float:
    """Grey levels between the left picture and what the disparity fetches from the right one, where it is known."""
    height, width = changed.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source = x - changed.disparity
    fetched = cv2.remap(np.ascontiguousarray(changed.right, np.float32), source, y, cv2.INTER_LINEAR)
    known = changed.valid & (source >= 1)
    return float(np.abs(fetched - changed.left).mean(-1)[known].mean())


def test_the_wall_matches():
    assert mismatch(sample()) < 3 < 20 < mismatch(replace(sample(), disparity=trees.disparity() + 4))


@settings(max_examples=30)
@given(SEEDS)
def test_geometry_keeps_what_matches(seed):
    changed = GEOMETRY(sample(), rng(seed))
    assert all(array.shape[:2] == (32, 64) for array in changed.arrays().values())
    assert mismatch(changed) < 6  # a pixel off costs 10 and more
    assert (changed.disparity[~changed.valid] == 0).all()


@settings(max_examples=10)
@given(SEEDS)
def test_equal_generators_equal_results(seed):
    everything = Compose((GEOMETRY, CAMERAS))
    first, second = (everything(sample(), rng(seed)) for _ in range(2))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(array, getattr(second, name))
    batch = collate([first])
    assert batch.left.isfinite().all() and batch.valid.shape == (1, 32, 64)


def test_transforms_leave_the_given_sample_alone():
    given_sample = sample()
    before = {name: array.copy() for name, array in given_sample.arrays().items()}
    Compose((GEOMETRY, CAMERAS))(given_sample, rng())
    for name, array in before.items():
        np.testing.assert_array_equal(array, getattr(given_sample, name))


# --- geometry -------------------------------------------------------------------------------------------------------


def test_crops_reach_every_border():
    columns = np.broadcast_to(np.arange(trees.WIDTH, dtype=np.float32), (trees.HEIGHT, trees.WIDTH))
    crops = [RandomCrop(47, 94)(replace(sample(), disparity=columns), rng(seed)) for seed in range(40)]
    assert {crop.disparity[0, 0] for crop in crops} == {0, 1, 2}
    whole = RandomCrop(trees.HEIGHT, trees.WIDTH)(sample(), rng())
    np.testing.assert_array_equal(whole.left, sample().left)


def test_a_crop_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"wall is 96x48 pixels, too small for a crop of 512x256"):
        RandomCrop()(sample(), rng())


def test_scale_two_doubles_disparity():
    scaled = RandomScale(2, 2, 1, 1)(sample(), rng())
    assert scaled.size == (96, 192) and scaled.valid.dtype == bool
    assert scaled.disparity[2 * 16, 80] == scaled.right_disparity[2 * 16, 80] == 2 * (trees.BASE + 2)
    assert not scaled.valid[:12].any() and scaled.valid[12:].all()


def test_scale_never_ends_below_the_crop():
    scaled = RandomScale(0.1, 0.1, 40, 64)(sample(), rng())
    assert scaled.size == (40, 80) and scaled.disparity[20, 0] == pytest.approx(80 / 96 * sample().disparity[24, 0])
    with pytest.raises(ValueError, match="0 < low <= high"):
        RandomScale(2, 1)


def test_flips_undo_themselves():
    for flip in (HorizontalFlip(1.0), VerticalFlip(1.0)):
        once, twice = flip(sample(), rng()), flip(flip(sample(), rng()), rng())
        assert not np.array_equal(once.left, sample().left)
        np.testing.assert_array_equal(twice.left, sample().left)
        np.testing.assert_array_equal(twice.valid, sample().valid)


def test_horizontal_flip_takes_the_right_pictures_truth():
    flipped = HorizontalFlip(1.0)(sample(), rng())
    np.testing.assert_array_equal(flipped.left, sample().right[:, ::-1])
    np.testing.assert_array_equal(flipped.disparity, sample().right_disparity[:, ::-1])
    assert flipped.visible is None and mismatch(flipped) < 3
    without = replace(sample(), right_disparity=None, right_valid=None)
    assert HorizontalFlip(1.0)(without, rng()) is without


def test_vertical_flip_turns_every_map():
    flipped = VerticalFlip(1.0)(sample(), rng())
    assert not flipped.valid[-6:].any() and flipped.valid[:-6].all()
    assert flipped.disparity[0, 0] == trees.disparity()[-1, 0]


@pytest.mark.parametrize("kind", [HorizontalFlip, VerticalFlip, OccludingPatch, VerticalShift])
def test_probability_zero_is_never(kind):
    given_sample = sample()
    assert all(kind(probability=0.0)(given_sample, rng(seed)) is given_sample for seed in range(10))


# --- cameras --------------------------------------------------------------------------------------------------------


def test_colour_by_hand():
    image = np.full((2, 2, 3), 51, np.uint8)  # 0.2
    image[0, 0] = (102, 51, 0)  # 0.4 0.2 0
    grey = replace(sample(), left=image, right=image)
    bright = Colour(0, 0, 0, 0)
    np.testing.assert_allclose(bright(grey, rng()).left, image / 255, atol=1e-6)

    class Fixed(Colour):
        def _draw(self, random):
            return 2.0, 0.5, 0.0, 2.0  # brightness, contrast, saturation, gamma

    # doubled: 0.4, and (0.8 0.4 0) of luma 0.4740; their mean 0.4185; halfway to it, grey, squared
    luma = 0.299 * 0.8 + 0.587 * 0.4
    mean = (luma + 3 * 0.4) / 4
    changed = Fixed()(grey, rng()).left
    np.testing.assert_allclose(changed[0, 0], [((mean + luma) / 2) ** 2] * 3, rtol=1e-5)
    np.testing.assert_allclose(changed[1, 1], [((mean + 0.4) / 2) ** 2] * 3, rtol=1e-5)


def test_colour_is_shared_unless_asymmetric():
    same = replace(sample(), right=sample().left)
    shared, own = (Colour(asymmetric=p)(same, rng()) for p in (0.0, 1.0))
    np.testing.assert_array_equal(shared.left, shared.right)
    assert np.abs(own.left - own.right).max() > 0.02
    assert shared.left.dtype == np.float32 and shared.left.min() >= 0 and shared.left.max() <= 1


def test_grey_takes_the_colour_of_both_pictures():
    coloured, grey = (Colour(asymmetric=1.0, grey=p)(sample(), rng()) for p in (0.0, 1.0))
    for before, after in ((coloured.left, grey.left), (coloured.right, grey.right)):
        assert np.ptp(before, axis=2).max() > 0.1
        np.testing.assert_allclose(np.ptp(after, axis=2), 0, atol=1e-6)
        assert after.std() > 0.05


def test_noise_is_each_pictures_own():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = [Noise(0.05)(replace(sample(), left=grey, right=grey), rng(seed)) for seed in range(20)]
    deviations = [(n.left - as_rgb(grey)).std() for n in noisy]
    assert max(deviations) < 0.052 and max(deviations) > 0.03 > min(deviations)
    assert abs(np.corrcoef(noisy[0].left.ravel(), noisy[0].right.ravel())[0, 1]) < 0.05


def test_a_patch_has_sides_between_two_bounds():
    for low, high in ((200, 100), (0, 10)):
        with pytest.raises(ValueError, match=f"from {low} to {high}; 0 < low <= high is needed"):
            OccludingPatch(low=low, high=high)


def test_patch_hides_a_rectangle_of_the_right_picture_only():
    patched = OccludingPatch(1.0, 5, 8)(sample(), rng(3))
    rows, columns = np.nonzero((patched.right != sample().right).any(-1))
    assert 0 < np.ptp(rows) < 8 and 0 < np.ptp(columns) < 8
    mean = sample().right.mean((0, 1)).astype(np.uint8)
    assert (patched.right[rows, columns] == mean).all()
    np.testing.assert_array_equal(patched.left, sample().left)
    np.testing.assert_array_equal(patched.disparity, sample().disparity)


def test_vertical_shift_moves_the_right_picture():
    class Half(np.random.Generator):
        def random(self):
            return 0.0

        def uniform(self, low, high):
            return 0.5

    shifted = VerticalShift(1.0, 1.0)(sample(), Half(np.random.PCG64()))
    right = sample().right.astype(float)
    np.testing.assert_allclose(shifted.right[1:], (right[1:] + right[:-1]) / 2, atol=1)
    assert shifted.right_disparity is None
    np.testing.assert_array_equal(shifted.left, sample().left)
