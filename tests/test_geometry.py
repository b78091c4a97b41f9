"""Metres worked out by hand, and a point file read byte by byte."""

import numpy as np
import pytest

from stereohg.geometry import depth_to_points, disparity_to_depth, write_ply

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


def test_unknown_and_far_points_are_left_out():
    depth = np.array([[1.0, np.nan, 3.0], [np.inf, -1.0, 2.0]])
    points, colours = depth_to_points(depth, COLOURS, focal=5, max_depth=2)
    assert points[:, 2].tolist() == [1, 2]
    np.testing.assert_array_equal(colours, [COLOURS[0, 0], COLOURS[1, 2]])
    assert len(depth_to_points(depth, COLOURS, focal=5)[0]) == 3


def test_depth_to_points_refuses_other_input():
    for depth, colours in ((np.ones((3, 2)), COLOURS), (np.ones(6), COLOURS), (np.ones((2, 3)), COLOURS / 255)):
        with pytest.raises(ValueError, match=r"they must be \(H,W\) and \(H,W,3\) uint8"):
            depth_to_points(depth, colours, 5)
    for limit in (0, -1, np.nan):
        with pytest.raises(ValueError, match="max_depth is"):
            depth_to_points(np.ones((2, 3)), COLOURS, 5, max_depth=limit)


def test_ply_bytes(tmp_path):
    points = np.array([[1, 2, 3], [-0.5, 0, 1e6]])
    colours = np.array([[255, 0, 1], [2, 3, 4]], np.uint8)
    path = tmp_path / "made" / "cloud.ply"
    write_ply(path, points, colours)
    header, body = path.read_bytes().split(b"end_header\n")
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "element vertex 2",
        "property float x",
        "property float y",
        "property float z",
        "property uchar red",
        "property uchar green",
        "property uchar blue",
    ]
    expected = [np.float32(p).astype("<f4").tobytes() + c.tobytes() for p, c in zip(points, colours, strict=True)]
    assert body == b"".join(expected)
    assert [file.name for file in path.parent.iterdir()] == ["cloud.ply"]


def test_ply_of_no_points(tmp_path):
    write_ply(tmp_path / "none.ply", np.empty((0, 3)), np.empty((0, 3), np.uint8))
    assert b"element vertex 0\n" in (tmp_path / "none.ply").read_bytes()


def test_write_ply_refuses_other_arrays(tmp_path):
    colours = np.zeros((2, 3), np.uint8)
    for points, wrong in ((np.ones((2, 2)), colours), (np.ones((3, 3)), colours), (np.ones((2, 3)), colours / 255)):
        with pytest.raises(ValueError, match=r"they must be \(N,3\) and \(N,3\) uint8"):
            write_ply(tmp_path / "cloud.ply", points, wrong)
    assert not list(tmp_path.iterdir())
