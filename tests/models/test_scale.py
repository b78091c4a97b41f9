"""Networks that want their pictures enlarged."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import stereohg
from stereohg.data.preprocess import to_tensor
from stereohg.models.quantities import quantities
from stereohg.models.resizing import brought_back, resized
from stereohg.models.search import levels_for, set_search


def small(**arguments):
    torch.manual_seed(0)
    return stereohg.create_model("hgstereo_s", max_disp=32, **arguments)


@pytest.mark.parametrize(("max_disp", "scale", "levels"), [(192, 1.5, 288), (80, 1.5, 128), (16, 1, 16), (17, 1, 32)])
def test_levels_for_a_range(max_disp, scale, levels):
    """80 pixels are 120 of an enlarged picture, and the next multiple of 16 is 128."""
    assert levels_for(max_disp, scale) == levels


def test_a_range_that_the_network_has_is_no_larger_for_a_rounding():
    """112 / 1.2 * 1.2 is a little more than 112."""
    for scale in (0.3, 0.7, 1.1, 1.2, 1.5, 3.3):
        assert [levels_for(levels / scale, scale) for levels in range(16, 400, 16)] == list(range(16, 400, 16))


def test_a_range_is_of_the_given_pictures():
    """It stays the same of them at another scale: 80 of them are 160 of those twice as large, 48 of those 0.6 times."""
    network = small(scale=1.5)
    set_search(network, None)
    assert (network.max_disp, network.scale) == (32, 1.5)
    set_search(network, 80)
    assert (network.max_disp, network.scale) == (128, 1.5)
    set_search(network, 80, 2.0)
    assert (network.max_disp, network.scale) == (160, 2.0)
    set_search(network, None, 0.6)
    assert (network.max_disp, network.scale) == (48, 0.6)
    with pytest.raises(ValueError, match="max_disp is 0; it must be a positive number of pixels"):
        set_search(network, 0)
    with pytest.raises(ValueError, match="scale is 0; it must be a number above 0 and at most 4"):
        set_search(network, None, 0)
    assert (network.max_disp, network.scale) == (48, 0.6)
    set_search(network, 100, 1.0)
    assert network.max_disp == 112


def test_only_stereo_networks_search():
    with pytest.raises(ValueError, match="KeypointHourglass is no stereo network"):
        set_search(stereohg.create_model("keypoint_hourglass", num_stacks=1), None)


def test_predictions_are_at_the_networks_own_scale():
    left, right = (F.avg_pool2d(torch.randn(1, 3, 64, 96), 3, 1, 1) for _ in range(2))
    plain, finer = (stereohg.Predictor(small(scale=scale), "cpu") for scale in (1.0, 1.5))
    expected = plain.forward(*(resized(image, (96, 144)) for image in (left, right)))
    torch.testing.assert_close(finer.forward(left, right), brought_back(expected, (64, 96)))
    assert not torch.allclose(finer.forward(left, right), plain.forward(left, right), atol=1e-2)


@pytest.mark.filterwarnings("ignore::stereohg.prediction.PairWarning")
def test_a_batch_is_shrunk_as_a_pair_is():
    predictor = stereohg.Predictor(small())
    set_search(predictor.model, None, 0.5)
    pair = np.random.default_rng(0).random((2, 64, 96, 3), np.float32)
    (together,) = predictor.forward(*(to_tensor(picture)[None] for picture in pair)).numpy()
    np.testing.assert_allclose(together, predictor(*pair, check=False).values, atol=1e-5)
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 64\) and right \(1, 3, 32, 96\)"):
        predictor.forward(torch.zeros(1, 3, 32, 64), torch.zeros(1, 3, 32, 96))


def test_a_caller_may_choose_another_scale():
    random = np.random.default_rng(0)
    left, right = random.integers(0, 256, (2, 64, 96, 3), np.uint8)
    plain, finer = (stereohg.Predictor(small(scale=scale), "cpu") for scale in (1.0, 1.5))
    asked, own = (finer(left, right, check=False, scale=scale).values for scale in (1.0, None))
    np.testing.assert_array_equal(asked, plain(left, right, check=False).values)
    np.testing.assert_array_equal(own, plain(left, right, check=False, scale=1.5).values)


@pytest.mark.parametrize("scale", [-0.5, 0, 5, float("nan"), "1"])
def test_scales_out_of_range(scale):
    with pytest.raises(ValueError, match="scale is .*; it must be a number above 0 and at most 4"):
        small(scale=scale)


@pytest.mark.parametrize("scale", [0.5, 1.25])
def test_weights_remember_the_scale(tmp_path, scale):
    network = small()
    set_search(network, None, scale)
    stereohg.save_model(network, tmp_path / "other.safetensors")
    assert stereohg.load_model(tmp_path / "other.safetensors").scale == scale


def test_published_networks_take_pictures_as_they_are():
    assert {name: stereohg.create_model(name).scale for name in ("psmnet", "gwcnet_g")} == {"psmnet": 1, "gwcnet_g": 1}


def test_costs_are_those_of_the_enlarged_pictures():
    plain, finer = (quantities("hgstereo_s", 128, 256, 64, scale=scale) for scale in (1.0, 1.5))
    assert finer.parameters == plain.parameters
    # 192x384 pixels and 96 levels: 2.25 times the features, 3.375 times the volume
    assert 2.25 < finer.flop / plain.flop < 3.375


def test_the_scale_of_a_published_network_is_saved(tmp_path):
    network = stereohg.create_model("psmnet_basic", max_disp=48)
    set_search(network, 32, 1.5)
    stereohg.save_model(network, tmp_path / "enlarged.safetensors")
    again = stereohg.load_model(tmp_path / "enlarged.safetensors")
    assert (again.scale, again.max_disp) == (1.5, 48)
    with pytest.raises(ValueError, match="scale is 5; it must be a number above 0 and at most 4"):
        stereohg.create_model("gwcnet_g", scale=5)
