"""Pictures of disparities: the colours at chosen pixels, and a figure that is written whole or not at all."""

import sys

import cv2
import numpy as np
import pytest

from stereohg.comparison import comparison_figure
from stereohg.files import read_image
from stereohg.visual import colour_disparity, error_map

BLACK, GREY = [0, 0, 0], [128, 128, 128]


def colour(index, colour_map):
    return cv2.applyColorMap(np.uint8([[index]]), colour_map)[0, 0, ::-1].tolist()


def turbo(index):
    return colour(index, cv2.COLORMAP_TURBO)


def inferno(index):
    return colour(index, cv2.COLORMAP_INFERNO)


def test_disparity_spans_the_colours_from_blue_to_red():
    picture = colour_disparity(np.array([[10.0, 60.0, 110.0]]))
    assert picture.shape == (1, 3, 3) and picture.dtype == np.uint8
    assert picture[0].tolist() == [turbo(0), turbo(128), turbo(255)]
    near = colour_disparity(np.array([[90.0]]), low=0, high=100)[0, 0].astype(int)
    assert near[0] > near[2] + 100


def test_unknown_disparity_is_black_and_does_not_set_the_range():
    disparity = np.array([[np.nan, 1e6, 10.0, 20.0, np.inf]])
    valid = np.array([[True, False, True, True, True]])
    assert colour_disparity(disparity, valid)[0].tolist() == [BLACK, BLACK, turbo(0), turbo(255), BLACK]


def test_a_given_range_is_kept_and_what_is_beyond_it_takes_its_end():
    picture = colour_disparity(np.array([[-5.0, 0.0, 51.0, 300.0]]), low=0, high=255)
    assert picture[0].tolist() == [turbo(0), turbo(0), turbo(51), turbo(255)]


def test_flat_and_empty_maps_have_a_picture():
    assert colour_disparity(np.full((1, 2), 7.0))[0].tolist() == [turbo(0), turbo(0)]
    assert colour_disparity(np.full((1, 2), np.nan))[0].tolist() == [BLACK, BLACK]


def test_colour_disparity_refuses_other_input():
    with pytest.raises(ValueError, match="low is 9 and high 3; low must not be above high"):
        colour_disparity(np.ones((1, 2)), low=9, high=3)
    with pytest.raises(ValueError, match=r"disparity is \(1, 2\) and its mask \(2, 1\)"):
        colour_disparity(np.ones((1, 2)), np.ones((2, 1), bool))


def test_error_map_by_hand():
    truth = np.array([[10.0, 10.0, 10.0, 10.0, 10.0, np.nan]])
    prediction = np.array([[10.0, 9.0, 15.0, 99.0, np.nan, 10.0]])
    valid = np.ones((1, 6), bool)
    expected = [inferno(0), inferno(51), inferno(255), inferno(255), GREY, GREY]
    assert error_map(prediction, truth, valid)[0].tolist() == expected
    assert error_map(prediction, truth, ~valid)[0].tolist() == [GREY] * 6
    assert error_map(prediction, truth, valid, limit=1)[0, 1].tolist() == inferno(255)


def test_error_map_refuses_other_input():
    one = np.ones((1, 2))
    with pytest.raises(ValueError, match=r"prediction is \(2, 1\) and truth \(1, 2\)"):
        error_map(one.T, one, one)
    with pytest.raises(ValueError, match=r"disparity is \(1, 2\) and its mask \(2, 1\)"):
        error_map(one, one, one.T)
    for limit in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="limit is .*; it must be positive, in pixels"):
            error_map(one, one, one, limit)


@pytest.fixture
def scene():
    random = np.random.default_rng(0)
    left = random.integers(0, 256, (24, 32, 3), np.uint8)
    truth = np.tile(np.linspace(1, 30, 32, dtype=np.float32), (24, 1))
    valid = random.random(truth.shape) < 0.9
    return {
        "left": left,
        "ours": truth + 0.5,
        "other": truth + 4,
        "truth": np.where(valid, truth, np.nan),
        "valid": valid,
    }


def test_comparison_figure_is_written_and_leaves_pyplot_alone(tmp_path, scene):
    pytest.importorskip("matplotlib")
    had_pyplot = "matplotlib.pyplot" in sys.modules
    path = tmp_path / "made" / "figure.png"
    comparison_figure(path, **scene, other_name="SGBM", title="A scene")
    picture = read_image(path)
    assert picture.shape[1] > picture.shape[0] > 500
    assert len(np.unique(picture @ [1, 256, 65536])) > 500
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_comparison_figure_refuses_other_input(tmp_path, scene):
    pytest.importorskip("matplotlib")
    path = tmp_path / "figure.png"
    with pytest.raises(ValueError, match=r"left is \(24, 32\) and truth \(24, 32\)"):
        comparison_figure(path, **scene | {"left": scene["left"][..., 0]})
    with pytest.raises(ValueError, match="no pixel is valid"):
        comparison_figure(path, **scene | {"valid": np.zeros((24, 32), bool)})
    with pytest.raises(ValueError, match="all must be of one shape"):
        comparison_figure(path, **scene | {"other": scene["other"][:3]})
    assert not list(tmp_path.iterdir())


def test_comparison_figure_names_an_unknown_format_and_leaves_nothing(tmp_path, scene):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="figure.xyz would be a figure; name it .png or .pdf"):
        comparison_figure(tmp_path / "figure.xyz", **scene)
    assert not list(tmp_path.iterdir())


def test_comparison_figure_tells_which_extra_is_missing(tmp_path, scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'stereohg\[demo\]'"):
        comparison_figure(tmp_path / "figure.png", **scene)
