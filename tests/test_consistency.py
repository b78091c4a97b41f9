"""What both views see, worked by hand."""

import numpy as np

from stereohg.consistency import is_behind, seen_by_both


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def test_where_both_agree():
    """Columns 0 and 1 land outside, which says nothing of those beside them."""
    left, right = np.full((2, 3, 6), 2, np.float32)
    assert seen_by_both(left, right).tolist() == [[False, False, True, True, True, True]] * 3


def test_what_differs_takes_its_neighbours_along():
    """The right picture has 4 in its column 4, where the left column 6 lands with a 2."""
    left, right = np.full((2, 4, 9), 2, np.float32)
    right[0, 4] = 4
    expected = np.ones((4, 9), bool)
    expected[:, :2] = False
    expected[:2, 5:8] = False
    assert np.array_equal(seen_by_both(left, right), expected)


def test_a_pixel_is_what_may_differ():
    left, right = np.full((2, 1, 6), 2, np.float32)
    assert seen_by_both(left, right + 1.0)[0, 2:].all()
    assert not seen_by_both(left, right + 1.01).any()
    assert not seen_by_both(left, right - 1.01).any()


def test_between_two_pixels_by_hand():
    """Column 3 with a 1.5 lands halfway between a 1 and a 4, which is 2.5: a pixel more, and no more than that."""
    left, right = rows([1.5] * 4), rows([1, 1, 4, 4])
    assert seen_by_both(left, right).tolist() == [[False, False, True, True]]
    assert seen_by_both(left, right + rows([0, 0, 0.1, 0])).tolist() == [[False, False, False, False]]


def test_what_is_no_number_is_not_seen():
    """Column 2 of the left picture, and what lands on column 6 of the right one; with both their neighbours."""
    left, right = np.ones((2, 1, 10), np.float32)
    left[0, 2] = right[0, 6] = np.nan
    assert np.flatnonzero(seen_by_both(left, right)).tolist() == [4, 5, 9]


def test_pictures_may_be_wider_than_opencv_likes():
    assert seen_by_both(*np.zeros((2, 1, 40000), np.float32)).all()


def test_what_is_behind_something_nearer():
    """Column 6 with a 4 lands on column 2, and so does column 3 with a 1; column 4 lands beside it."""
    disparity = rows([0, 0, 0, 1, 1, 1, 4, 1])
    assert is_behind(disparity).tolist() == [[False, False, True, True, False, False, False, False]]
    nearly = rows([0, 0, 0, 1, 1, 3.5, 4, 1])
    assert not is_behind(nearly)[0, 5]  # it lands there, too, and is farther by no more than half a pixel
    between = rows([0, 0, 0, 1, 1, 1, 3.5, 1])  # 2.5: on both columns beside it
    assert is_behind(between).tolist() == [[False, False, True, True, True, False, False, False]]


def test_what_lands_outside_hides_nothing():
    assert not is_behind(rows([5, 0, 0, 9])).any()
