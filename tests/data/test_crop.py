"""Windows, crops and heatmaps: the way into the crop, and exactly back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.data.people.crop import Crop, PublishedCrop, Window
from stereohg.data.people.heatmaps import PUBLISHED_TARGETS, Targets
from stereohg.data.people.transforms import UNCHANGED, Augmentation, Change

CROPS = st.builds(
    Crop,
    st.builds(Window, st.floats(-500, 1500), st.floats(-500, 1500), st.floats(10, 2000)),
    st.tuples(*[st.integers(16, 100).map(lambda n: 4 * n)] * 2),
    st.floats(-180, 180),
    st.booleans(),
)
repeatable = settings(max_examples=50)


def ramp(height: int, width: int) -> np.ndarray:
    """(H,W,3): x, y and one, so that a crop shows where its pixels come from."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y, np.ones_like(x)], 2)


# --- crops ----------------------------------------------------------------------------------------------------------


def test_windows():
    assert Window.of_box((10, 20, 30, 40)) == Window(24.5, 39.5, 50)
    assert Window.of_box((0, 0, 4, 2), margin=1) == Window(1.5, 0.5, 4)  # the middle of pixels 0 to 3
    assert Window.of_scale(5, 6, 1.5) == Window(5, 6, 300)
    points = np.array([[2.0, 3], [6, 5], [4, 11]])
    assert Window.of_points(points, 1) == Window(4, 7, 8)
    assert Window.of_points(points[:1]) is None and Window.of_points(points[[0, 0]]) is None
    for wrong in ((np.nan, 0, 1), (0, 0, 0), (0, 0, np.inf)):
        with pytest.raises(ValueError, match="centre and side must be finite"):
            Window(*wrong)


def test_half_pixels():
    """A picture of 8 pixels shown twice as large: its corner stays at the corner, so pixel 0 covers pixels 0 and 1."""
    crop = Crop(Window.of_box((0, 0, 8, 8), margin=1), (16, 16))
    np.testing.assert_allclose(
        crop.to_heatmap([[-0.5, -0.5], [0, 7], [7.5, 3.5]], 1), [[-0.5, -0.5], [0.5, 14.5], [15.5, 7.5]]
    )
    np.testing.assert_allclose(crop.to_heatmap([[0, 7.5]]), [[-0.25, 3.5]])
    np.testing.assert_allclose(crop.warp(ramp(8, 8))[2:-2, 2:-2, 0], np.tile(np.arange(2, 14) / 2 - 0.25, (12, 1)))


def test_a_turn_is_anticlockwise_and_a_mirror_about_the_window():
    window = Window(10, 10, 20)
    right, up = [[15, 10]], [[10, 5]]
    turned, mirrored = Crop(window, (20, 20), 90), Crop(window, (20, 20), mirrored=True)
    np.testing.assert_allclose(turned.to_heatmap(right, 1), Crop(window, (20, 20)).to_heatmap(up, 1))
    np.testing.assert_allclose(mirrored.to_heatmap(right, 1), [[4.5, 9.5]])
    np.testing.assert_allclose(Crop(window, (20, 20), 90, True).to_heatmap(right, 1), [[9.5, 14.5]])


def test_the_window_is_in_the_middle_of_an_oblong_crop():
    crop = Crop(Window(50, 40, 20), (40, 80))
    np.testing.assert_allclose(crop.to_heatmap([[50, 40], [60, 50]], 1), [[39.5, 19.5], [59.5, 39.5]])


@repeatable
@given(CROPS, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_there_and_back(crop, shares):
    """Without rounding the round trip stays far below a hundredth of a pixel, in whatever window and turn."""
    window = crop.window
    points = np.array([window.x, window.y]) + (np.array(shares) - 0.5) * window.side
    there = crop.to_heatmap(points)
    np.testing.assert_allclose(crop.from_heatmap(there), points, atol=1e-6)
    assert np.abs(crop.from_heatmap(there.astype(np.float32)) - points).max() < 0.01
    if crop.rotation == 0:  # the window is seen whole
        assert (there >= -0.5 - 1e-6).all() and (there <= np.array(crop.size[::-1]) / 4 - 0.5 + 1e-6).all()


@repeatable
@given(CROPS)
def test_pixels_move_as_points_do(crop):
    picture = ramp(300, 400)
    scaled = crop.warp(picture)
    y, x = np.nonzero(scaled[..., 2] > 0.9999)
    y, x = y[:: 1 + len(y) // 500], x[:: 1 + len(x) // 500]
    seen = scaled[y, x, :2]
    expected = crop.from_heatmap(np.stack([x, y], 1), stride=1)
    smoothed = 4 * max(1, crop.window.side / min(crop.size)) + 1  # pixels at the border, where the smoothing mixes
    inner = ((expected > smoothed) & (expected < np.array([400, 300]) - 1 - smoothed)).all(1)
    np.testing.assert_allclose(seen[inner], expected[inner], atol=0.05)  # OpenCV has 32 steps a pixel


def test_what_is_outside_is_black_and_what_shrinks_is_smoothed():
    assert not Crop(Window(5000, 5000, 100), (64, 64)).warp(ramp(50, 50)).any()
    assert not Crop(Window(5000, 5000, 1000), (64, 64)).warp(ramp(50, 50)).any()
    checks = (np.indices((512, 512)).sum(0) % 2).astype(np.float32)[..., None].repeat(3, 2)
    shrunk = Crop(Window(255.5, 255.5, 480), (64, 64), rotation=10).warp(checks)
    np.testing.assert_allclose(shrunk[8:-8, 8:-8], 0.5, atol=0.02)


# --- the published crop ---------------------------------------------------------------------------------------------


def test_published_points_are_cut_off():
    """Window of 128 about (100, 100), 64 cells: a cell is two pixels, and the first begins at 36."""
    crop = PublishedCrop(Window(100, 100, 128), (256, 256), picture=(200, 200))
    points = np.array([[36.0, 37.9], [38, 163.99], [35, 164]])
    np.testing.assert_array_equal(crop.to_heatmap(points), [[0, 0], [1, 63], [0, 64]])  # -1/2 is cut off to 0 as well
    np.testing.assert_array_equal(
        np.floor(Crop(crop.window, crop.size).to_heatmap(points) + 0.5)[:2], [[0, 0], [1, 63]]
    )
    # the middle of cell 0 is the point 37; a pixel is added to count from one, and one taken off
    np.testing.assert_array_equal(crop.from_heatmap([[0, 0], [0.25, 10.6]]), [[38, 38], [38, 59]])


def test_published_window_has_whole_corners():
    """About the pixel 100 from zero, 101 from one, 128 wide: 101 - 64 - 1/2 is cut off to 36, and 1 added."""
    crop = PublishedCrop(Window(100, 100, 128), (256, 256), picture=(200, 200))
    np.testing.assert_allclose(crop.warp(ramp(200, 200))[128, [0, 4, 5], 0], [37, 38.75, 39.25], atol=0.3)
    inverse = np.linalg.inv(crop.picture_matrix)
    np.testing.assert_allclose(inverse @ [-0.5, -0.5, 1], [36.5, 36.5, 1])
    np.testing.assert_allclose(inverse @ [255.5, 255.5, 1], [164.5, 164.5, 1])
    mirrored = PublishedCrop(Window(99, 100, 128), (256, 256), mirrored=True, picture=(200, 200))  # 200 - 100 is 100
    np.testing.assert_allclose(np.linalg.inv(mirrored.picture_matrix) @ [-0.5, -0.5, 1], [163.5, 36.5, 1])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 33.0])
@pytest.mark.parametrize("side", [150, 420, 900])
def test_published_and_ours_agree_but_for_whole_pixels(side, rotation, mirrored):
    window, picture = Window(230.3, 311.8, side), (640, 480)
    ours = Crop(window, (256, 256), rotation, mirrored)
    theirs = PublishedCrop(window, (256, 256), rotation, mirrored, picture)
    corners = np.array([[0, 0, 1], [255, 0, 1], [0, 255, 1], [128, 128, 1]]).T
    parted = np.linalg.inv(ours.matrix) @ corners - np.linalg.inv(theirs.picture_matrix) @ corners
    assert np.abs(parted).max() < 2 + 2 * max(1, side / 256)
    points = np.array([[200.0, 300], [260, 330]])
    assert np.abs(ours.to_heatmap(points) - theirs.to_heatmap(points)).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(theirs.matrix, ours.matrix)


# --- heatmaps -------------------------------------------------------------------------------------------------------


def test_gaussian_by_hand():
    maps, weight = Targets(sigma=2)(np.array([[3.0, 4.0]]), [True], (16, 20))
    assert maps.shape == (1, 16, 20) and maps.dtype == np.float32 and weight.tolist() == [1]
    assert (
        maps[0, 4, 3] == 1
        and maps[0, 4, 5] == pytest.approx(np.exp(-0.5))
        and maps[0, 6, 5] == pytest.approx(np.exp(-1))
    )
    assert maps[0, 10, 9] > 0 and not maps[0, 11].any() and not maps[0, :, 10].any()  # cut at three deviations


def test_cauchy_by_hand():
    maps, _ = Targets(sigma=2, shape="cauchy")(np.array([[3.0, 4.0]]), [True], (16, 16))
    assert maps[0, 4, 3] == pytest.approx(1 / 4) and maps[0, 4, 5] == pytest.approx(2 / 8**1.5)


def test_subpixel_or_whole_cells():
    point = np.array([[3.4, 4.6]])
    fine, _ = Targets()(point, [True], (9, 9))
    whole, _ = Targets(subpixel=False)(point, [True], (9, 9))
    assert fine[0, 5, 3] == pytest.approx(np.exp(-0.5 * (0.4**2 + 0.4**2)))
    np.testing.assert_array_equal(whole, Targets()(np.array([[3.0, 5.0]]), [True], (9, 9))[0])


def test_what_does_not_count():
    points = np.array([[3, 3], [3, 3], [-0.4, 3], [-0.6, 3], [-3, 3], [-4, 3], [-5, 3], [11.4, 3], [11.6, 3], [15, 3]])
    labelled = np.arange(len(points)) != 1
    maps, weight = Targets(subpixel=False)(points, labelled, (8, 12))
    assert weight.tolist() == [1, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    np.testing.assert_array_equal(maps.any((1, 2)), weight > 0)
    maps, weight = PUBLISHED_TARGETS(points, labelled, (8, 12))
    assert weight.tolist() == [1, 0, 1, 1, 1, 1, 0, 1, 1, 0]
    assert maps[4].max() == pytest.approx(np.exp(-4.5)) and not maps[5].any()  # counted, and empty


def test_target_errors():
    with pytest.raises(ValueError, match="sigma is 0"):
        Targets(sigma=0)
    with pytest.raises(ValueError, match="shape is 'box'"):
        Targets(shape="box")


# --- augmentation ---------------------------------------------------------------------------------------------------


def test_changes_are_drawn_as_published():
    random = np.random.default_rng(0)
    changes = [Augmentation().draw(random) for _ in range(4000)]
    scales, rotations = np.array([c.scale for c in changes]), np.array([c.rotation for c in changes])
    assert (scales.min(), scales.max()) == (0.75, 1.25)
    assert np.mean(scales == 1.25) == pytest.approx(0.159, abs=0.02)  # the normal's tail beyond one deviation
    assert np.mean(rotations == 0) == pytest.approx(0.4, abs=0.03) and np.abs(rotations).max() == 60
    assert np.std(rotations[rotations != 0]) == pytest.approx(28.6, abs=1.5)
    assert np.mean([c.mirrored for c in changes]) == pytest.approx(0.5, abs=0.03)
    colours = np.array([c.colour for c in changes])
    assert 0.8 <= colours.min() < 0.81 and 1.19 < colours.max() <= 1.2


def test_changes_by_hand():
    assert Augmentation(0, 0, 0, 0, 0).draw(np.random.default_rng(0)) == UNCHANGED
    image = np.full((1, 1, 3), 0.5, np.float32)
    np.testing.assert_allclose(Change(colour=(1.5, 1, 4)).coloured(image)[0, 0], [0.75, 0.5, 1])
    for wrong in ({"scale": 1}, {"turned": 1.5}, {"colour": -0.1}, {"rotation": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            Augmentation(**wrong)
