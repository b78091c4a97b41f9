"""Sizes, pictures and disparities at another scale."""

import torch

from stereohg.models.resizing import brought_back, resized, scaled


def test_sizes_are_whole_pixels():
    assert scaled((375, 1242), 1.25) == (469, 1552)
    assert scaled((1, 3), 0.1) == (1, 1)


def test_disparities_are_brought_back_in_pixels_of_the_given_picture():
    twice = torch.full((1, 8, 12), 6.0)
    assert torch.equal(brought_back(twice, (4, 6)), torch.full((1, 4, 6), 3.0))
    ramp = torch.arange(4.0).expand(1, 2, 4)  # 0 1 2 3 at twice the width: means of neighbours, halved
    assert torch.equal(brought_back(ramp, (2, 2)), torch.tensor([[[0.25, 1.25]] * 2]))


def test_no_disparity_is_brought_back_to_between_two_surfaces():
    """At twice the width: a step from 10 to 20 is two surfaces, and no pixel is at 15; one from 10 to 10.5 is one.

    From 10 to 13 the mean is 1.5 off the nearest, 13, and half of that is taken.
    """
    step, slope, between = (torch.tensor([[[20.0, 20.0, 20.0, last]] * 4]) for last in (40.0, 21.0, 26.0))
    assert torch.equal(brought_back(between, (2, 2)), torch.tensor([[[10.0, 12.25]] * 2]))
    assert torch.equal(brought_back(step, (2, 2)), torch.tensor([[[10.0, 20.0]] * 2]))
    assert torch.equal(brought_back(slope, (2, 2)), torch.tensor([[[10.0, 10.25]] * 2]))


def test_what_has_the_size_stays_as_it_is():
    image, disparity = torch.rand(1, 3, 4, 6), torch.rand(1, 4, 6)
    assert resized(image, (4, 6)) is image and brought_back(disparity, (4, 6)) is disparity


def test_smaller_pictures_are_means_of_what_they_cover():
    """Every second column alone would be black or white; the mean of all of them is grey."""
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 8, 32)
    torch.testing.assert_close(resized(stripes, (2, 8))[..., 1:-1], torch.full((1, 1, 2, 6), 0.5))
