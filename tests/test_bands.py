"""Pairs in bands of rows: the same answer in a stated memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stereohg
from stereohg.bands import OVERLAP, Fitting, forward_in_bands, split
from stereohg.data.motorcycle import motorcycle
from stereohg.data.preprocess import to_tensor
from stereohg.memory import OVERHEAD, parse_memory
from stereohg.models.inference import ready_for_inference
from stereohg.models.stereo import StereoNetwork
from stereohg.nn import ConvNormAct, Hourglass
from stereohg.prediction import Predictor


@given(
    rows=st.integers(2, 60), size=st.integers(1, 40), overlap=st.integers(0, 8), multiple=st.sampled_from([1, 2, 4, 8])
)
def test_bands_keep_every_row_once_and_away_from_their_borders(rows, size, overlap, multiple):
    rows, overlap = rows * multiple, overlap * multiple
    size = 2 * overlap + size * multiple
    bands = split(rows, size, overlap, multiple)
    assert [row for band in bands for row in range(band.first, band.last)] == list(range(rows))
    for band in bands:
        assert 0 <= band.start <= band.first < band.last <= band.stop <= rows
        assert band.start % multiple == 0 and band.stop - band.start <= size
        assert band.start == 0 or band.first - band.start >= overlap
        assert band.stop == rows or band.stop - band.last >= overlap
    assert len({band.stop - band.start for band in bands}) == 1


class Small(StereoNetwork):
    """One hourglass over products of features; its comparison sees 9 rows away at most."""

    def __init__(self, max_disp: int = 32, align_corners: bool = False):
        super().__init__(max_disp, align_corners)
        self.hourglass = Hourglass(
            down=ConvNormAct(1, 4, stride=2, dim=3),
            inner=ConvNormAct(4, 4, dim=3),
            up=ConvNormAct(4, 1, stride=2, dim=3, act=False, transposed=True),
        )

    def extract(self, left, right):
        return tuple(torch.nn.functional.avg_pool2d(image, 4) for image in (left, right))

    def compare(self, left, right):
        return [self.hourglass(stereohg.nn.correlation_volume(left, right, self.num_levels)).squeeze(1)]


@settings(max_examples=25)
@given(
    rows=st.integers(3, 12),
    kept=st.integers(1, 4),
    overlap=st.sampled_from([12, 16]),
    levels=st.sampled_from([16, 32, 48]),
    align_corners=st.booleans(),
)
def test_bands_of_enough_overlap_give_the_whole_answer(rows, kept, overlap, levels, align_corners):
    torch.manual_seed(0)
    network = Small(levels, align_corners).double().eval()
    left, right = torch.randn(2, 2, 3, 16 * rows, 64, dtype=torch.float64)
    bands = split(4 * rows, 2 * overlap + 4 * kept, overlap, 4)
    with torch.no_grad():
        whole, similarities = network.forward_with_similarities(left, right)
        disparity, similarity = forward_in_bands(network, left, right, bands)
    torch.testing.assert_close(similarity, similarities[-1])
    torch.testing.assert_close(disparity, whole[-1])


@pytest.mark.parametrize("name", ["psmnet", "psmnet_basic", "gwcnet_g", "gwcnet_gc", "hgstereo_s"])
def test_one_band_is_the_whole(name):
    torch.manual_seed(0)
    network = stereohg.create_model(name, max_disp=16).eval()
    left, right = torch.randn(2, 1, 3, 64, 32)
    with torch.no_grad():
        expected, similarities = network.forward_with_similarities(left, right)
        disparity, similarity = forward_in_bands(network, left, right, split(16, 16, OVERLAP, 8))
    assert torch.equal(disparity, expected[-1]) and torch.equal(similarity, similarities[-1])


@pytest.mark.parametrize("name", ["psmnet", "psmnet_basic", "gwcnet_g", "gwcnet_gc", "hgstereo_s"])
def test_bands_of_every_network_agree_with_the_whole(name):
    torch.manual_seed(0)
    network = stereohg.create_model(name, max_disp=16).eval()
    left, right = torch.randn(2, 1, 3, 384, 64)
    bands = split(96, 2 * OVERLAP + 8, OVERLAP, 8)
    with torch.no_grad():
        whole = network(left, right)[-1]
        answer, _ = forward_in_bands(network, left, right, bands)
    assert len(bands) == 4
    assert (answer - whole).abs().le(0.05).float().mean() > 0.99


def test_bands_of_the_bundled_network_agree_on_a_real_pair():
    left, right, *_ = motorcycle()
    images = [to_tensor(picture[:480, 200:520].astype(np.float32) / 255)[None] for picture in (left, right)]
    network = ready_for_inference(stereohg.load_model("hgstereo_s", max_disp=64))
    with torch.inference_mode():
        whole = network(*images)[-1]
        bands = split(120, 2 * OVERLAP + 8, OVERLAP, 8)
        answer, _ = forward_in_bands(network, *images, bands)
    assert len(bands) == 7
    assert (answer - whole).abs().le(0.05).float().mean() > 0.99


# --- by the stated memory -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitting():
    return Fitting(ready_for_inference(stereohg.create_model("hgstereo_s")))


SHAPE, LEVELS = (1, 3, 1024, 512), 192


def test_more_memory_takes_fewer_bands(fitting):
    whole, least = fitting.peak(SHAPE, LEVELS, 256), fitting.least(SHAPE, LEVELS)
    counts = [len(fitting.bands(SHAPE, LEVELS, limit)) for limit in (least, (least + whole) // 2, whole - 1, whole)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[1] > counts[-1] == 1 < counts[-2]
    assert len(fitting.bands(SHAPE, LEVELS, None)) == 1


def test_the_estimate_grows_with_size_and_levels(fitting):
    less, more = fitting.peak(SHAPE, 96, 256), fitting.peak(SHAPE, 192, 256)
    taller = fitting.peak((1, 3, 2048, 512), 192, 512)
    assert less < more < taller
    fixed = 2 * more - taller  # doubled pixels double all but this
    assert 0.9 * OVERHEAD < fixed < 1.1 * OVERHEAD


def test_a_budget_that_cannot_be_met_says_what_would(fitting):
    limit = fitting.least(SHAPE, LEVELS) - 10**6
    with pytest.raises(ValueError, match=r"512x1024 pixels with 192 levels want .*MB even in bands of rows") as told:
        fitting.bands(SHAPE, LEVELS, limit)
    text = str(told.value)
    assert "half the scale" in text
    enough = text.split("max_memory='")[1].split("'")[0]
    assert len(fitting.bands(SHAPE, LEVELS, parse_memory(enough))) > 1
    assert fitting.bands((1, 3, 512, 256), 96, limit)
    wide = (1, 3, 256, 1024)  # too low for bands
    with pytest.raises(ValueError, match=r"or max_disp=96 \(at this scale\)"):
        fitting.bands(wide, LEVELS, fitting.least(wide, 96))
    with pytest.raises(ValueError, match=r"there is 1.0MB; give max_memory='[\d.]+MB'$"):
        fitting.bands(SHAPE, LEVELS, 10**6)


def test_predictions_within_a_memory_are_the_same():
    left, right, *_ = motorcycle()
    pair = [np.tile(picture[:400, 200:456], (2, 1, 1)) for picture in (left, right)]
    predictor = Predictor("hgstereo_s", precision="float32")
    options = {"max_disp": 160, "scale": 1.0, "left_right_check": True, "check": False}
    whole = predictor(*pair, **options)
    limit = Fitting(predictor.model).peak((1, 3, 800, 256), 160, 200)  # enough but for the pictures
    banded = predictor(*pair, **options, max_memory=limit)
    assert not np.array_equal(banded.values, whole.values)  # it was in bands
    assert np.mean(np.abs(banded.values - whole.values) <= 0.05) > 0.99
    assert np.mean(np.abs(banded.confidence - whole.confidence) <= 0.01) > 0.99
    assert np.mean(banded.valid == whole.valid) > 0.99
    with pytest.raises(ValueError, match="256x800 pixels with 160 levels want .* there is 100.0MB"):
        predictor(*pair, **options, max_memory="100MB")
    with pytest.raises(ValueError, match="max_memory is 'much'"):
        predictor(*pair, max_memory="much")
