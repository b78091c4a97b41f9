"""The scene source: exact disparity, true occlusion, the same scenes everywhere."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereohg.data.synthetic import PHOTOGRAPHS, SyntheticStereo, photograph_hashes, textures
from stereohg.data.synthetic.scene import Cameras, photograph
from stereohg.data.synthetic.surfaces import Surface, left_of

SCENES = SyntheticStereo(height=128, width=256, max_disp=96, asymmetry=0)


def warped_right(scene) -> np.ndarray:
    """The right picture as the left camera would see it, by the true disparity."""
    height, width = scene.disparity.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(scene.right.astype(np.float32), x - scene.disparity, y, cv2.INTER_LINEAR)


@pytest.mark.parametrize("index", range(6))
def test_visible_pixels_are_equal_in_both_views(index):
    scene = SCENES[index]
    difference = np.abs(warped_right(scene) - scene.left).mean(-1)
    visible = ~scene.occluded
    # what remains is the blur of resampling once more, at most; a disparity off by a pixel would show on most textures
    assert np.median(difference[visible]) < 2
    assert np.mean(difference[visible] > 16) < 0.03


@pytest.mark.parametrize("index", range(6))
def test_a_quarter_of_a_pixel_would_show(index):
    scene = SCENES[index]

    def mean_difference(shift: float) -> float:
        moved = replace(scene, disparity=scene.disparity + np.float32(shift))
        return np.abs(warped_right(moved) - scene.left)[~scene.occluded].mean()

    assert mean_difference(0) < 0.9 * min(mean_difference(-0.25), mean_difference(0.25))


def test_one_scene_in_numbers():
    """The same on every machine: what this scene was when the bundled weights were trained."""
    scene = SyntheticStereo(height=64, width=128, seed=5, max_disp=48, asymmetry=0)[2]
    expected = [
        [3.0689, 13.9379, 3.0689, 3.0689],
        [3.0689, 13.4880, 8.7780, 7.1817],
        [5.4996, 13.9468, 6.3356, 14.5705],
        [12.4537, 13.2720, 13.2897, 13.7076],
    ]
    np.testing.assert_allclose(scene.disparity[::21, ::42], expected, atol=1e-3)
    np.testing.assert_allclose(scene.left.mean((0, 1)), [146.6, 143.88, 133.63], atol=0.5)
    np.testing.assert_allclose(scene.right.mean((0, 1)), [143.78, 142.33, 132.44], atol=0.5)
    assert abs(scene.occluded.mean() - 0.298) < 0.002


@settings(max_examples=30)
@given(index=st.integers(0, 10**9), max_disp=st.sampled_from([16, 64, 200]))
def test_disparities_keep_to_their_range(index, max_disp):
    disparity = SyntheticStereo(height=32, width=64, max_disp=max_disp)[index].disparity
    assert np.isfinite(disparity).all()
    assert disparity.min() >= 0 and disparity.max() <= max_disp + 1


def test_hidden_pixels_are_marked():
    scene = SCENES[1]
    x = np.arange(256)[None]
    outside = x - scene.disparity < 0
    assert scene.occluded[outside].all()
    assert outside.sum() < scene.occluded.sum() < 0.6 * scene.occluded.size


def test_index_and_seed_alone_decide_a_scene():
    again = SyntheticStereo(height=128, width=256, max_disp=96, asymmetry=0)
    for field in fields(SCENES[3]):
        assert np.array_equal(getattr(SCENES[3], field.name), getattr(again[3], field.name))
    other_seed = SyntheticStereo(height=128, width=256, seed=1, max_disp=96, asymmetry=0)
    assert not np.array_equal(SCENES[3].disparity, SCENES[4].disparity)
    assert not np.array_equal(SCENES[3].disparity, other_seed[3].disparity)


def test_ranges_and_types():
    scene = SyntheticStereo(height=64, width=128, max_disp=48)[0]
    assert scene.left.shape == scene.right.shape == (64, 128, 3)
    assert scene.left.dtype == scene.right.dtype == np.uint8
    assert scene.disparity.dtype == np.float32 and scene.occluded.dtype == bool
    assert scene.disparity.min() >= 0 and scene.disparity.max() < 64


def test_cameras_differ_only_as_much_as_asked():
    ideal, real = SCENES[2], SyntheticStereo(height=128, width=256, max_disp=96, asymmetry=1)[2]
    assert np.array_equal(ideal.disparity, real.disparity)
    visible = ~ideal.occluded
    apart = [np.abs(warped_right(scene) - scene.left)[visible].mean() for scene in (ideal, real)]
    assert apart[1] > 2 * apart[0]


def test_cameras_in_numbers():
    """Half the light, the square of it, blur as OpenCV has it, and noise of the deviation that is told."""
    grey = torch.full((1, 64, 64, 3), 100.0)
    edge = grey.clone()
    edge[:, :, 32:] = 200.0
    plain = dict(gain=np.ones((2, 3)), gamma=np.ones(2), blur=np.zeros(2), noise=0.0)

    def taken(view, **own):
        return photograph([Cameras(0.0, **plain | own, seed=1)], view, grey)[0][0].numpy()

    assert (taken(grey, gain=np.full((2, 3), 0.5)) == 50).all()
    assert (taken(grey, gamma=np.full(2, 2.0)) == 39).all()  # 255 (100 / 255)^2
    blurred = cv2.GaussianBlur(edge[0].numpy(), (9, 9), 0.8)
    np.testing.assert_allclose(taken(edge, blur=np.full(2, 0.8)), blurred, atol=0.6)
    noise = taken(grey, noise=5.0).astype(float) - 100
    assert abs(noise.std() - 5) < 0.2 and abs(noise.mean()) < 0.2
    assert np.array_equal(taken(grey, noise=5.0), noise + 100)


@pytest.mark.parametrize(
    "relief",
    [("flat", 0.0, 1.0, 0.0), ("bump", 8.0, 40.0, 0.0), ("ripple", 4.0, 12.0, 0.7), ("cylinder", 8.0, 40.0, 0.0)],
)
def test_a_surface_lands_where_its_disparity_says(relief):
    surface = Surface((50.0, 30.0), 20.0, (0.3, -0.1), relief, None, (0, 0), *[np.zeros(1)] * 2, (np.ones(3),) * 2)
    y, x = np.mgrid[0:60:7, 0:100:7].astype(np.float32)
    d, dx = surface.disparity(x, y)
    nudged, _ = surface.disparity(x + 0.01, y)
    np.testing.assert_allclose((nudged - d) / 0.01, dx, atol=0.02)
    np.testing.assert_allclose(left_of(surface, x - d, y), x, atol=1e-3)


def test_missing_photographs_are_told_by_package(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(textures, "files", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'stereohg\[train\]'"):
        textures.photograph_paths()


def test_photographs_are_listed_with_their_hashes():
    hashes = photograph_hashes()
    assert sorted(hashes) == sorted(PHOTOGRAPHS)
    assert all(len(value) == 64 for value in hashes.values())
