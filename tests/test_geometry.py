"""Metres worked out by hand."""

import numpy as np
import pytest

from stereohg.geometry import crop_depth, depth_to_points, disparity_to_depth

COLOURS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def test_depth_is_focal_times_baseline_over_disparity():
    # 1000 px * 0.2 m = 200 px m
    depth = disparity_to_depth(np.array([[10.0, 50.0, 200.0]]), focal=1000, baseline=0.2)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[20, 4, 1]])


def test_doffs_is_added_to_the_disparity():
    depth = disparity_to_depth(np.array([[10.0, -30.0, -31.0]]), focal=1000, baseline=0.2, doffs=30)
    np.testing.assert_array_equal(depth, [[5, np.nan, np.nan]])


def test_unknown_and_impossible_disparities_are_nan():
    disparity = np.array([[np.nan, np.inf, 0.0, -1.0, 100.0, 100.0]])
    valid = np.array([[True, True, True, True, False, True]])
    with np.errstate(all="raise"):
        depth = disparity_to_depth(disparity, 1000, 0.2, valid=valid)
    np.testing.assert_array_equal(depth, [[np.nan, np.nan, np.nan, np.nan, np.nan, 2]])


def test_half_the_image_with_half_the_focal_length_is_as_deep():
    disparity = np.array([[8.0, 24.0]])
    np.testing.assert_array_equal(disparity_to_depth(disparity, 1000, 0.2), disparity_to_depth(disparity / 2, 500, 0.2))


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_focal_and_baseline_must_be_positive(value):
    with pytest.raises(ValueError, match="focal is .*; it must be positive and finite, in pixels"):
        disparity_to_depth(np.ones((1, 1)), value, 0.2)
    with pytest.raises(ValueError, match="baseline is .*; it must be positive and finite, in metres"):
        disparity_to_depth(np.ones((1, 1)), 1000, value)
    with pytest.raises(ValueError, match="focal is"):
        depth_to_points(np.ones((2, 3)), COLOURS, value)


def test_disparity_to_depth_refuses_other_input():
    with pytest.raises(ValueError, match="doffs is nan"):
        disparity_to_depth(np.ones((1, 1)), 1000, 0.2, doffs=np.nan)
    with pytest.raises(ValueError, match=r"disparity is \(1, 2\) and its mask \(2, 1\)"):
        disparity_to_depth(np.ones((1, 2)), 1000, 0.2, valid=np.ones((2, 1), bool))


def test_points_by_hand():
    # 2x3 pixels, centre (1, 0.5): with depth 10 and focal 5 one pixel is 2 m
    points, colours = depth_to_points(np.full((2, 3), 10.0), COLOURS, focal=5)
    assert points.dtype == np.float32 and colours.dtype == np.uint8
    np.testing.assert_array_equal(points, [[-2, -1, 10], [0, -1, 10], [2, -1, 10], [-2, 1, 10], [0, 1, 10], [2, 1, 10]])
    np.testing.assert_array_equal(colours, COLOURS.reshape(-1, 3))


def test_points_about_another_centre():
    points, _ = depth_to_points(np.full((2, 3), 10.0), COLOURS, focal=5, centre=(0, 0))
    np.testing.assert_array_equal(points[[0, -1]], [[0, 0, 10], [4, 2, 10]])


def test_unknown_points_are_left_out():
    depth = np.array([[1.0, np.nan, 3.0], [np.inf, -1.0, 2.0]])
    points, colours = depth_to_points(depth, COLOURS, focal=5)
    assert points[:, 2].tolist() == [1, 3, 2]
    np.testing.assert_array_equal(colours, [COLOURS[0, 0], COLOURS[0, 2], COLOURS[1, 2]])


def test_depth_to_points_refuses_other_input():
    for depth, colours in ((np.ones((3, 2)), COLOURS), (np.ones(6), COLOURS), (np.ones((2, 3)), COLOURS / 255)):
        with pytest.raises(ValueError, match=r"they must be \(H,W\) and \(H,W,3\) uint8"):
            depth_to_points(depth, colours, 5)


def test_crop_by_hand():
    depth = np.array([[1.0, 2.0, 3.0, np.nan, np.inf]])
    np.testing.assert_array_equal(crop_depth(depth, 2, 3), [[np.nan, 2, 3, np.nan, np.nan]])
    np.testing.assert_array_equal(crop_depth(depth), depth)
    for limit in (0, -1, np.nan):
        with pytest.raises(ValueError, match="max_depth is"):
            crop_depth(depth, 0, limit)
    with pytest.raises(ValueError, match="min_depth is 4; it must lie between 0 and max_depth, 3 m"):
        crop_depth(depth, 4, 3)


def test_pixels_that_are_not_square():
    points, _ = depth_to_points(np.full((2, 3), 10.0), COLOURS, focal=5, focal_y=10)
    np.testing.assert_array_equal(points[[0, -1]], [[-2, -0.5, 10], [2, 0.5, 10]])
