"""Prediction with a stand-in network whose answers are known, and with the bundled one on scenes that are known."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import stereohg
from stereohg.data.synthetic import SyntheticStereo
from stereohg.files import read_pfm
from stereohg.models.stereo import StereoNetwork
from stereohg.prediction import PairError, PairWarning, Predictor, predict, share_at_range_end


class Constant(StereoNetwork):
    """Answers ``level`` (of its volume) everywhere, with all of its confidence; records the sizes that it is fed."""

    def __init__(self, level: int, max_disp: int = 64):
        super().__init__(max_disp)
        self.level = level
        self.fed = []

    def __deepcopy__(self, memo):
        return self  # what it was fed is asked of it

    def extract(self, left, right):
        self.fed.append((*left.shape[-2:], self.max_disp))
        return left[..., ::4, ::4], right[..., ::4, ::4]

    def compare(self, left, right):
        batch, _, height, width = left.shape
        similarity = torch.full((batch, self.num_levels, height, width), -50.0)
        similarity[:, min(self.level, self.num_levels - 1)] = 50.0
        return [similarity]


def noise(height: int = 60, width: int = 90, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


LEFT, RIGHT = noise(), noise(seed=1)


def disparity_of(level: int) -> float:
    """What trilinear upsampling and the expectation make of one certain level: its four fine levels' middle."""
    return 4 * level + 1.5


def test_answers_have_the_pictures_size():
    model = Constant(level=5)
    result = Predictor(model)(LEFT, RIGHT, check=False)
    assert model.fed == [(64, 96, 64)]  # padded to multiples of 16
    assert result.values.shape == result.confidence.shape == result.valid.shape == (60, 90)
    assert result.values.dtype == result.confidence.dtype == np.float32 and result.valid.dtype == bool
    np.testing.assert_allclose(result.values, disparity_of(5), atol=1e-3)
    np.testing.assert_allclose(result.confidence, 1, atol=1e-5)
    assert result.valid.all() and result.warnings == ()


def test_scale_brings_the_disparity_back():
    model = Constant(level=5)
    result = Predictor(model)(LEFT, RIGHT, scale=0.5, check=False)
    assert model.fed == [(32, 48, 48)]  # 64 levels, of which the picture is 45 wide
    np.testing.assert_allclose(result.values, 2 * disparity_of(5), atol=1e-3)


def test_max_disp_is_in_pixels_of_the_picture_and_leaves_the_model_as_it_was():
    model = Constant(level=1)
    predictor, pair = Predictor(model), (noise(width=200), noise(width=200, seed=1))
    predictor(*pair, max_disp=100, check=False)
    predictor(*pair, max_disp=100, scale=0.5, check=False)
    predictor(*pair, max_disp=10**6, check=False)
    assert [fed[2] for fed in model.fed] == [112, 64, 208]  # never more than the picture is wide
    assert model.max_disp == 64


def test_each_thread_has_its_own_range():
    model = Constant(level=1)
    predictor, pair = Predictor(model), (noise(width=400), noise(width=400, seed=1))
    ranges = [64, 320] * 8
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda max_disp: predictor(*pair, max_disp=max_disp, check=False), ranges))
    assert sorted(fed[2] for fed in model.fed) == sorted(ranges)


def test_a_network_says_what_it_is_padded_with():
    class Padded(Constant):
        def extract(self, left, right):
            self.corner = left[0, :, 0, -1]
            return super().extract(left, right)

    white = np.full((10, 10), 255, np.uint8)
    for padding, corner in (("constant", 0.0), ("replicate", (1 - 0.485) / 0.229)):
        model = Padded(level=1)
        model.padding = padding
        Predictor(model)(white, white, check=False)
        assert model.corner[0].item() == pytest.approx(corner)
    assert stereohg.create_model("psmnet").padding == "constant"  # as the authors' test code


@pytest.mark.parametrize("size", [(1, 1), (1, 1700), (1700, 1), (3, 40)])
def test_thin_pictures(size):
    for options in ({}, {"flip": True}, {"left_right_check": True}):
        result = Predictor(Constant(level=0))(noise(*size), noise(*size, seed=1), **options)
        assert result.values.shape == size


class Doubtful(Constant):
    def compare(self, left, right):
        return [0 * similarity for similarity in super().compare(left, right)]


def test_a_doubtful_pair_is_tried_the_other_way_round_over_the_range_that_was_asked_for():
    network = Doubtful(level=1, max_disp=320)
    with pytest.warns(PairWarning, match="sure of next to nothing"):
        Predictor(network)(noise(300, 600), noise(300, 600, seed=1), max_disp=96, scale=0.5)
    # 150x300 once, and 256x512 both ways, in which 96 px of 600 are 82; the levels are a multiple of 16
    assert [(height, levels) for height, _, levels in network.fed] == [(160, 48), (256, 96), (256, 96)]


def test_warnings_point_at_the_caller():
    for call in (lambda: predict(LEFT, LEFT, Constant(level=1)), lambda: Predictor(Constant(level=1))(LEFT, LEFT)):
        with pytest.warns(PairWarning, match="same picture") as told:
            call()
        assert told[0].filename == __file__


def test_an_answer_against_the_end_of_the_range_is_told():
    with pytest.warns(
        PairWarning, match=r"100.0 % of the pixels sit at the end of the range of 32 px.*max_disp=48 \(or 'auto'\)$"
    ):
        Predictor(Constant(level=20))(LEFT, RIGHT, max_disp=32, check=False)
    with pytest.warns(PairWarning, match=r"use max_disp=96 \(or 'auto'\), or scale=0.5$"):
        Predictor(Constant(level=20))(LEFT, RIGHT, check=False)
    with pytest.raises(PairError, match="end of the range"):
        Predictor(Constant(level=20))(LEFT, RIGHT, max_disp=32, check=False, strict=True)


def test_auto_gives_up_at_the_pictures_width():
    with pytest.warns(PairWarning, match="range of 96 px, which is as wide as the picture: no range would do"):
        Predictor(Constant(level=1000))(LEFT, RIGHT, max_disp="auto", check=False)


def test_auto_raises_the_range_by_itself():
    model = Constant(level=12, max_disp=32)
    result = Predictor(model)(LEFT, RIGHT, max_disp="auto", check=False)
    assert [fed[2] for fed in model.fed] == [32, 48, 80]
    np.testing.assert_allclose(result.values, disparity_of(12), atol=1e-3)


def test_share_at_range_end_by_hand():
    probability = np.zeros((2, 10))
    probability[:, 9], probability[:, 0] = 0.9, 0.9
    assert share_at_range_end(probability, max_disp=2) == 1 / 8  # columns 0 and 1 do not count


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_left_right_check_marks_what_cannot_be_seen(scale):
    result = Predictor(Constant(level=5))(LEFT, RIGHT, scale=scale, left_right_check=True, check=False)
    outside = np.arange(90) < disparity_of(5) / scale
    assert np.array_equal(result.valid, np.broadcast_to(~outside, (60, 90)))


@pytest.mark.filterwarnings("ignore::stereohg.PairWarning")  # random weights answer anything
@pytest.mark.parametrize("model", ["psmnet", "gwcnet_gc"])
def test_published_networks_predict(model):
    torch.manual_seed(0)
    predictor = Predictor(stereohg.create_model(model, max_disp=32))
    values = predictor(LEFT, RIGHT, check=False).values
    assert values.shape == (60, 90) and np.isfinite(values).all()


def test_the_cards_normalisation_is_used():
    class Mean(Constant):
        def extract(self, left, right):
            self.mean = left.mean().item()
            return super().extract(left, right)

    model = Mean(level=1)
    model.card = {"normalisation": {"mean": [0.25, 0.25, 0.25], "std": [0.5, 0.5, 0.5]}}
    Predictor(model)(np.full((16, 16), 0.75), np.zeros((16, 16)), check=False)
    assert model.mean == pytest.approx(1.0)


def test_forward_takes_tensors_of_any_size():
    disparity = Predictor(Constant(level=3)).forward(torch.zeros(2, 3, 50, 70), torch.zeros(2, 3, 50, 70))
    assert disparity.shape == (2, 50, 70)
    torch.testing.assert_close(disparity, torch.full_like(disparity, disparity_of(3)), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"scale": 0}, "scale is 0"),
        ({"scale": 5}, "scale is 5"),
        ({"scale": 0.1}, "scale 0.1 leaves"),
        ({"max_disp": -1}, "max_disp is -1"),
        ({"max_disp": "all"}, "max_disp is 'all'"),
        ({"max_disp": float("nan")}, "max_disp is nan"),
        ({"max_disp": [64]}, r"max_disp is \[64\]"),
        ({"scale": "1"}, "scale is '1'"),
    ],
)
def test_options_are_checked(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        Predictor(Constant(level=1))(LEFT, RIGHT, **options)


def test_a_thin_doubtful_pair_is_tried_the_other_way_round_as_well():
    """At a scale of 512 / 1700, at which six rows are left: no scale that anybody asked for."""
    with pytest.warns(PairWarning, match="sure of next to nothing"):
        result = Predictor(Doubtful(level=1))(noise(20, 1700), noise(20, 1700, seed=1))
    assert result.values.shape == (20, 1700)


def test_sizes_must_agree():
    with pytest.raises(PairError, match=r"left is 90x60 and right 91x60 \(width x height\)"):
        predict(LEFT, noise(width=91), Constant(level=1))


def test_device_precision_and_model_are_checked(monkeypatch):
    with pytest.raises(ValueError, match="device is 'gpu'; it must be 'auto' or one of .*cpu"):
        Predictor(Constant(level=1), device="gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device is 'cuda', which is not here"):
        Predictor(Constant(level=1), device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for absent in ("xpu", "vulkan", "hpu", "meta", "cuda:2"):
        with pytest.raises(ValueError, match=f"device is '{absent}', which is not here"):
            Predictor(Constant(level=1), device=absent)
    with pytest.raises(ValueError, match="precision is 'double'"):
        Predictor(Constant(level=1), precision="double")
    with pytest.raises(ValueError, match="KeypointHourglass is no stereo network"):
        Predictor(stereohg.create_model("keypoint_hourglass", num_stacks=1))


# --- the bundled network ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene():
    return SyntheticStereo(height=128, width=256, seed=12345, max_disp=64, asymmetry=0)[8]


@pytest.fixture(scope="module")
def answer(scene):
    return predict(scene.left, scene.right, check=False)


def test_bundled_weights_find_the_disparity(scene, answer):
    error = np.abs(answer.values - scene.disparity)
    assert np.mean(error[~scene.occluded] > 3) < 0.1


def test_confidence_is_lower_where_the_answer_is_wrong(scene, answer):
    assert answer.confidence.min() >= 0 and answer.confidence.max() <= 1
    wrong = np.abs(answer.values - scene.disparity) > 3
    least_confident = answer.confidence < np.quantile(answer.confidence, 0.1)
    assert wrong[least_confident].mean() > 2 * wrong.mean()


def test_every_kind_of_picture_gives_the_same_answer(scene, answer, tmp_path):
    paths = []
    for name in ("left", "right"):
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(getattr(scene, name)).save(paths[-1])
    as_floats = [getattr(scene, name).astype(np.float32) for name in ("left", "right")]
    for pair in (paths, as_floats, [Image.open(path) for path in paths]):
        np.testing.assert_allclose(predict(*pair, check=False).values, answer.values, atol=1e-3)


def test_a_processor_without_the_precision_is_told(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    with pytest.warns(UserWarning, match="does not multiply in bfloat16, which will take many times as long"):
        Predictor(Constant(level=1), device="cpu", precision="bfloat16")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for precision in ("bfloat16", "float32"):
            Predictor(Constant(level=1), device="cpu", precision=precision)


def test_half_precision_gives_nearly_the_same(scene, answer):
    half = predict(scene.left, scene.right, precision="bfloat16", check=False)
    assert half.values.dtype == np.float32
    assert np.median(np.abs(half.values - answer.values)) < 0.1


def test_flip_gives_the_right_views_disparity(scene, answer):
    right = predict(scene.left, scene.right, flip=True, check=False).values
    y, x = np.nonzero(~scene.occluded & (np.abs(answer.values - scene.disparity) < 1))
    landed = np.round(x - scene.disparity[y, x]).astype(int)
    assert np.median(np.abs(right[y, landed] - scene.disparity[y, x])) < 1


def test_left_right_check_finds_the_hidden(scene):
    result = predict(scene.left, scene.right, left_right_check=True, check=False)
    assert result.valid[~scene.occluded].mean() > 0.75
    assert result.valid[scene.occluded].mean() < 0.45


def test_swapped_and_identical_pictures_are_told(scene):
    with pytest.warns(PairWarning, match="look swapped"):
        predict(scene.right, scene.left)
    with pytest.raises(PairError, match="same picture"):
        predict(scene.left, scene.left, strict=True)


def test_result_to_files_depth_and_points(answer, scene, tmp_path):
    answer.save(tmp_path / "a.pfm")
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), answer.values)
    depth = answer.to_depth(focal=100, baseline=0.5, doffs=2)
    np.testing.assert_allclose(depth, 50 / (answer.values + 2), rtol=1e-6)
    points, colours = answer.to_points(100, 0.5, 2, colours=scene.left)
    assert points.shape == colours.shape == (128 * 256, 3)
    assert np.array_equal(colours[0], scene.left[0, 0])
    np.testing.assert_allclose(points[0, 2], depth[0, 0])
    moved, _ = answer.to_points(100, 0.5, 2, centre=np.array([0.0, 0.0]))
    assert moved[0, :2].tolist() == [0, 0]
