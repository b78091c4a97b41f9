"""Figures that can be checked on paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.metrics import disparity_metrics, error_sums, per_image, per_pixel, sparsification_area


def metrics(errors, truth=0.0, valid=None):
    errors = np.array(errors, np.float32)
    truth = np.broadcast_to(np.float32(truth), errors.shape)
    return disparity_metrics(truth + errors, truth, np.ones(errors.shape, bool) if valid is None else valid)


def test_four_pixels_by_hand():
    # errors 0, 1, 2 and 5 of 10 pixels: mean 8/4; above 1: two; above 2: one; mean square 30/4
    assert metrics([[0, -1], [2, 5]], truth=10) == {
        "epe": 2.0,
        "bad_1": 50.0,
        "bad_2": 25.0,
        "bad_3": 25.0,
        "d1": 25.0,
        "rmse": pytest.approx(7.5**0.5),
        "pixels": 4,
    }


def test_a_threshold_itself_is_not_bad():
    result = metrics([1, 2, 3, 3])
    assert (result["bad_1"], result["bad_2"], result["bad_3"], result["d1"]) == (75, 50, 0, 0)


def test_d1_needs_three_pixels_and_five_percent():
    # of 100 pixels 5 % is 5: an error of 4 is bad-3 but no outlier, one of 6 is both; 2 of 10 is 20 % but not 3 pixels
    result = metrics([4, 6, 2, 4], truth=[100, 100, 10, 10])
    assert (result["bad_3"], result["d1"]) == (75, 50)
    assert metrics([5], truth=100)["d1"] == 0


def test_d1_takes_negative_and_zero_truth():
    assert metrics([4, 4], truth=[-100, 0])["d1"] == 50


def test_only_valid_pixels_count():
    valid = np.array([True, False, True, False])
    result = metrics([1, 100, 3, np.nan], valid=valid)
    assert (result["epe"], result["pixels"]) == (2, 2)


def test_perfect_is_zero():
    assert set(metrics(np.zeros((3, 4)), truth=7).values()) == {0, 12}


def test_inputs_are_left_alone():
    prediction, truth, valid = np.ones((2, 2)), np.zeros((2, 2)), np.array([[1, 0], [1, 1]])
    disparity_metrics(prediction, truth, valid)
    assert prediction.all() and not truth.any() and valid.sum() == 3


def test_many_pixels_do_not_lose_precision():
    error = np.full((1000, 1000), 0.1, np.float32)
    assert metrics(error)["epe"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_no_valid_pixel_is_an_error_not_a_perfect_score():
    with pytest.raises(ValueError, match="no pixel is valid"):
        metrics([1, 2], valid=np.zeros(2, bool))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 2), (2, 2)), ((2, 2), (2, 2), (4,)), ((1, 2, 2), (2, 2), (2, 2))])
def test_shapes_must_agree(shapes):
    with pytest.raises(ValueError, match=r"prediction is \(.*all must be of one shape"):
        disparity_metrics(*map(np.ones, shapes))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_valid_pixels_must_be_finite(value):
    holed, whole, valid = np.array([1.0, value]), np.ones(2), np.ones(2, bool)
    with pytest.raises(ValueError, match="prediction is not finite at 1 of 2 valid pixels"):
        disparity_metrics(holed, whole, valid)
    with pytest.raises(ValueError, match="truth is not finite at 1 of 2 valid pixels"):
        disparity_metrics(whole, holed, valid)


# --- sums over images -----------------------------------------------------------------------------------------------


def sums_of(errors, **options):
    errors = np.array(errors, np.float32)
    return error_sums(10 + errors, np.full(errors.shape, 10, np.float32), np.ones(errors.shape, bool), **options)


def test_per_pixel_and_per_image_by_hand():
    # three pixels without error and one that is 4 off: per pixel 4/4, per image (0 + 4)/2
    images = [sums_of([0, 0, 0]), sums_of([4])]
    assert per_pixel(images) == {"epe": 1, "bad_1": 25, "bad_2": 25, "bad_3": 25, "d1": 25, "rmse": 2}
    assert per_image(images) == {"epe": 2, "bad_1": 50, "bad_2": 50, "bad_3": 50, "d1": 50, "rmse": 2}


def test_thresholds_may_be_others():
    sums = sums_of([0.25, 0.5, 0.75, 3.5], thresholds=(0.5, 2))
    assert sums.bad == {0.5: 2, 2: 1}
    assert (sums.figures()["bad_0.5"], sums.figures()["bad_2"]) == (50, 25)


def test_sums_of_parts_are_those_of_the_whole():
    errors = np.random.default_rng(0).uniform(-8, 8, 1000)
    parts = per_pixel(sums_of(part) for part in np.split(errors, [10, 200, 201, 900]))
    assert parts == pytest.approx(sums_of(errors).figures(), rel=1e-13)


def test_sums_over_no_pixel_add_nothing_and_are_not_perfect():
    nothing = error_sums(np.ones(2), np.ones(2), np.zeros(2, bool))
    assert nothing + sums_of([1]) == sums_of([1])
    with pytest.raises(ValueError, match="no pixel is valid"):
        nothing.figures()
    with pytest.raises(ValueError, match="no pixel is valid"):
        per_image([sums_of([1]), nothing])


@pytest.mark.parametrize("mean", [per_pixel, per_image])
def test_no_image_is_an_error(mean):
    with pytest.raises(ValueError, match="no image"):
        mean([])


def test_sums_of_other_thresholds_do_not_add_up():
    with pytest.raises(ValueError, match="thresholds .* do not add up"):
        sums_of([1]) + sums_of([1], thresholds=(4,))


def test_sparsification_by_hand():
    """Four pixels with errors 0, 1, 2, 3. The oracle keeps means of 0, 1/2, 1, 3/2; chance 3/2 throughout."""
    truth, valid = np.zeros((1, 4)), np.ones((1, 4), bool)
    prediction = np.array([[0.0, 1.0, 2.0, 3.0]])
    ideal, reversed_order = np.array([[4, 3, 2, 1]]), np.array([[1, 2, 3, 4]])
    assert sparsification_area(prediction, truth, valid, ideal, steps=4) == 0
    # 3, 5/2, 2, 3/2 less the oracle's, over chance less the oracle's: 6 / 3
    assert sparsification_area(prediction, truth, valid, reversed_order, steps=4) == pytest.approx(2)
    swapped = np.array([[3, 4, 2, 1]])  # 1, 1/2, 1, 3/2
    assert sparsification_area(prediction, truth, valid, swapped, steps=4) == pytest.approx(1 / 3)
    valid[0, 3] = False
    assert sparsification_area(prediction, truth, valid, swapped, steps=3) == pytest.approx((1 / 3) / (0.5))


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_sparsification_of_chance_is_one(seed):
    random = np.random.default_rng(seed)
    prediction, sureness = random.exponential(size=(60, 80)), random.random((60, 80))
    area = sparsification_area(prediction, np.zeros((60, 80)), np.ones((60, 80), bool), sureness)
    assert area == pytest.approx(1, abs=0.15)


def test_sparsification_of_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite at 1 valid pixels"):
        sparsification_area(np.array([1.0, np.nan]), np.zeros(2), np.ones(2, bool), np.ones(2))


def test_sparsification_without_an_error():
    nothing, valid = np.zeros((2, 2)), np.ones((2, 2), bool)
    for same in (nothing, nothing + 0.1):
        with pytest.raises(ValueError, match="nothing to put in order"):
            sparsification_area(same, nothing, valid, nothing)
