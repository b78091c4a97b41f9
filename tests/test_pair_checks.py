"""What is seen of a pair before and after matching."""

import cv2
import numpy as np
import pytest

from stereohg.pair_checks import check_answer, check_pictures, displacements, likely_swapped, vertical_offset


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    random = np.random.default_rng(0)
    blobs = [cv2.resize(random.random((n, 3 * n // 2, 3)), (360, 240)) for n in (12, 30, 80)]
    return (sum(blobs) / 3).astype(np.float32)


def shifted(picture: np.ndarray, dx: float, dy: float) -> np.ndarray:
    matrix = np.float32([[1, 0, dx], [0, 1, dy]])
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("rows", [0.0, 1.0, 4.0])
def test_vertical_offset_is_measured(picture, rows):
    assert vertical_offset(displacements(picture, shifted(picture, -9, rows))) == pytest.approx(rows, abs=0.2)


def test_vertical_offset_counts_in_pixels_of_the_given_size(picture):
    large = cv2.resize(picture, None, fx=4, fy=4)
    assert vertical_offset(displacements(large, shifted(large, -20, 8))) == pytest.approx(8, abs=1)


def test_large_rectified_pictures_pass(picture):
    large = cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    assert check_pictures(large, shifted(large, -40, 2)) == []  # a quarter of a row where the features are


def test_nothing_to_match_says_nothing():
    blank = np.full((60, 80, 3), 0.5, np.float32)
    assert displacements(blank, blank + 0.1) is None
    assert check_pictures(blank, blank + 0.1) == []


def test_words(picture):
    assert check_pictures(picture, shifted(picture, -9, 0)) == []
    assert "same picture" in check_pictures(picture, picture.copy())[0]
    assert "4.0 rows apart" in check_pictures(picture, shifted(picture, -9, 4))[0]


def test_twelve_bits_taken_for_sixteen_are_told(picture):
    dark = (picture / 16, shifted(picture, -9, 0) / 16)
    (told,) = check_pictures(*dark)
    assert told.startswith(f"the pictures are nearly black: their brightest value is {max(map(np.max, dark)):.3f} of 1")


def test_swap_is_tried_only_when_in_doubt(picture):
    other, tried = shifted(picture, -9, 0), []

    def mean_confidence(left, right, scale):
        tried.append(scale)
        return 0.9 if left is other else 0.3

    sure, unsure = np.full((240, 360), 0.9), np.full((240, 360), 0.3)
    assert not likely_swapped(mean_confidence, picture, other, sure) and not tried
    assert likely_swapped(mean_confidence, picture, other, unsure)
    assert not likely_swapped(mean_confidence, other, picture, unsure)


def test_disparities_below_zero_are_told(picture):
    """All of it is 12 px farther right in the right picture; or a third is, as in front of cameras that converge."""
    backward = shifted(picture, 12, 0)
    (told,) = check_pictures(picture, backward)
    assert "% of the matching points lie farther right in the right picture, by up to 12 px" in told
    assert told.startswith("left and right look swapped: ")
    partly = np.concatenate((shifted(picture, -9, 0)[:160], backward[160:]))
    (told,) = check_pictures(picture, partly)
    assert "by up to 12 px" in told and "swapped" not in told
    assert 10 < float(told.split(" %")[0]) < 60


def test_an_answer_that_is_sure_of_nothing_is_told(picture):
    def mean_confidence(left, right, scale):
        return 0.2

    (told,) = check_answer(mean_confidence, picture, shifted(picture, -9, 0), np.full((240, 360), 0.29))
    assert "sure of next to nothing (mean confidence 0.29)" in told
    assert check_answer(mean_confidence, picture, shifted(picture, -9, 0), np.full((240, 360), 0.31)) == []
