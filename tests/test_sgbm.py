"""The baseline: hole filling by hand, and a plane that it must find."""

import cv2
import numpy as np
import pytest

from stereohg.sgbm import fill_from_background, sgbm_disparity


def test_holes_take_the_lower_neighbour():
    disparity = np.array([[9.0, -1, -1, 4, -1], [-1, 2, -1, 7, 7], [-1, -1, -1, -1, -1]], np.float32)
    filled = fill_from_background(disparity, disparity >= 0)
    assert filled.tolist() == [[9, 4, 4, 4, 4], [2, 2, 2, 7, 7], [0, 0, 0, 0, 0]]


def test_a_range_that_it_has_not():
    for max_disp in (0, -16, 40):
        with pytest.raises(ValueError, match=f"max_disp is {max_disp}; .* a positive multiple of 16"):
            sgbm_disparity(np.zeros((4, 8, 3), np.uint8), np.zeros((4, 8, 3), np.uint8), max_disp)


def test_pictures_of_two_sizes():
    with pytest.raises(ValueError, match="left is 8x4 and right 9x4 .*; a rectified pair has one size"):
        sgbm_disparity(np.zeros((4, 8, 3), np.uint8), np.zeros((4, 9, 3), np.uint8), 16)


def test_a_shifted_picture_is_matched_up_to_the_left_border():
    scene = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 140, 3), dtype=np.uint8), (0, 0), 1.5)
    left, right = scene[:, :120], scene[:, 8:128]  # left x = right x + 8
    disparity = sgbm_disparity(left, right, max_disp=16)
    assert disparity.shape == (60, 120)
    assert np.mean(np.abs(disparity - 8) < 0.5) > 0.95
