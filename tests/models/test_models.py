"""What every registered network must do."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import stereohg
from stereohg.models.features import SpatialPyramid
from stereohg.models.hgstereo import UPSAMPLING_GAIN
from stereohg.nn import confidence

STEREO = [name for name in stereohg.list_models() if name != "keypoint_hourglass"]
HEADS = {"psmnet": 3, "psmnet_basic": 1, "gwcnet_g": 4, "gwcnet_gc": 4, "hgstereo_s": 2}


def pair(height: int = 64, width: int = 96, batch: int = 1):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 3, height, width, generator=generator) for _ in range(2)]


def test_the_list_is_sorted_and_complete():
    assert stereohg.list_models() == sorted([*HEADS, "keypoint_hourglass"])


@pytest.mark.parametrize("name", STEREO)
def test_predictions_and_costs(name):
    torch.manual_seed(0)
    model = stereohg.create_model(name, max_disp=32)
    left, right = pair(batch=2)
    assert len(model.train()(left, right)) == HEADS[name]
    assert len(model.forward_with_similarities(left, right)[1]) == HEADS[name]
    with torch.no_grad():
        (answer,) = model.eval()(left, right)
        (similarity,) = model.forward_with_similarities(left, right)[1]
    assert answer.shape == (2, 64, 96)
    assert similarity.shape == (2, 8, 16, 24)
    assert answer.min() >= 0 and answer.max() <= 32


@pytest.mark.parametrize("name", STEREO)
def test_range_of_disparities_changes_after_building(name):
    model = stereohg.create_model(name, max_disp=64).eval()
    model.max_disp = 32
    with torch.no_grad():
        assert model.forward_with_similarities(*pair())[1][0].shape[1] == 8


@pytest.mark.parametrize("name", HEADS)
def test_double_precision_stays(name):
    model = stereohg.create_model(name, max_disp=32).double().eval()
    with torch.no_grad():
        assert model(*(image.double() for image in pair()))[0].dtype == torch.float64


@pytest.mark.parametrize("value", [0, -16, 100, 24.5, float("nan"), float("inf"), None, "192"])
def test_range_of_disparities_is_checked_when_built(value):
    with pytest.raises(ValueError, match=f"max_disp is {value!r}; it must be a positive multiple of 16"):
        stereohg.create_model("psmnet", max_disp=value)


def test_sizes_are_checked_with_the_mend():
    model = stereohg.create_model("hgstereo_s")
    with pytest.raises(ValueError, match="60x96 do not fit: height and width must be multiples of 32"):
        model(*pair(height=60))
    with pytest.raises(ValueError, match=r"both must be \(B,3,H,W\)"):
        model(pair()[0], pair(width=128)[1])
    with pytest.raises(ValueError, match="multiples of 64"):
        stereohg.create_model("keypoint_hourglass")(torch.zeros(1, 3, 64, 100))


def test_unknown_names_are_told_with_the_known():
    with pytest.raises(ValueError, match="no network named 'psm'; choose one of gwcnet_g, "):
        stereohg.create_model("psm")


@pytest.mark.parametrize("height, width", [(16, 16), (48, 256), (256, 16)])
def test_pyramid_takes_small_images(height, width):
    """The published windows of 64 fail below 256 pixels, and in training where a window leaves a single value."""
    model = stereohg.create_model("psmnet_basic", max_disp=16)
    for mode in (model.train(), model.eval()):
        assert mode(*pair(height, width))[0].shape == (1, height, width)


def test_pyramid_is_the_published_one_where_that_works():
    pyramid, x = SpatialPyramid().eval(), torch.randn(1, 128, 64, 130)
    assert [pyramid.fitting_window(x, window) for window in pyramid.windows] == [(8, 8), (16, 16), (32, 32), (64, 64)]


def test_align_corners_and_output_scale_are_arguments():
    torch.manual_seed(0)
    model = stereohg.create_model("psmnet", max_disp=32).eval()
    with torch.no_grad():
        usual = model(*pair())[0]
        model.output_scale = 1.5
        torch.testing.assert_close(model(*pair())[0], 1.5 * usual)
        model.output_scale, model.align_corners = 1.0, True
        assert not torch.allclose(model(*pair())[0], usual, atol=1e-3)


@pytest.mark.parametrize("name", ["psmnet", "gwcnet_gc"])
def test_published_initialisation(name):
    model = stereohg.create_model(name)
    entry = model.entry[0].conv.weight  # 32 output channels, kernel 27
    assert entry.std().item() == pytest.approx(math.sqrt(2 / (27 * 32)), rel=0.02)
    trunk = (model.features.trunk if name == "psmnet" else model.features).layer3[1].conv1
    assert trunk.conv.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)
    assert trunk.norm.weight.unique().tolist() == [1.0] and trunk.norm.bias.unique().tolist() == [0.0]
    transposed = next(m for m in model.modules() if isinstance(m, nn.ConvTranspose3d)).weight
    limit = 1 / math.sqrt(transposed.shape[1] * 27)  # PyTorch's: uniform, from the second dimension's fan
    assert 0.99 * limit < transposed.abs().max().item() <= limit


def test_keypoint_initialisation_is_pytorchs():
    weight = stereohg.create_model("keypoint_hourglass").stem[0].weight
    limit = 1 / math.sqrt(3 * 7 * 7)
    assert 0.99 * limit < weight.abs().max().item() <= limit


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_keypoint_heatmaps(norm):
    model = stereohg.create_model("keypoint_hourglass", num_stacks=3, num_blocks=1, num_keypoints=5, norm=norm).eval()
    with torch.no_grad():
        image = torch.randn(1, 3, 64, 128)
        heatmaps, features = model(image), model.features(image)
    assert [h.shape for h in heatmaps] == [(1, 5, 16, 32)] * 3
    assert [f.shape for f in features] == [(1, 256, 16, 32)] * 3
    torch.testing.assert_close(model.heads[-1](features[-1]), heatmaps[-1])


def test_keypoint_counts_are_checked():
    with pytest.raises(ValueError, match="num_stacks is 0; it must be a whole number, at least 1"):
        stereohg.create_model("keypoint_hourglass", num_stacks=0)


def test_normalisations_that_no_weights_have_are_refused():
    with pytest.raises(ValueError, match="norm is 'instance'; it must be 'batch' or 'group'"):
        stereohg.create_model("keypoint_hourglass", norm="instance")


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ({"num_groups": 0}, "num_groups is 0; it must be a whole number, at least 1"),
        ({"radius": 1.5}, "radius is 1.5; it must be a whole number"),
        (
            {"volume_channels": (8, 15, 32, 32)},
            "volume_channels is .*15.* multiples of 2",
        ),
        ({"num_stacks": 0}, "num_stacks is 0"),
        ({"radius": 0}, "radius is 0"),
        ({"feature_channels": (8,)}, r"1 feature_channels and 4 volume_channels; it must be five .* and four"),
    ],
)
def test_arguments_of_hgstereo_are_checked(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        stereohg.create_model("hgstereo_s", **arguments)


@pytest.mark.parametrize("name", ["psmnet_basic", "gwcnet_g", "gwcnet_gc"])
@pytest.mark.parametrize("training", [False, True])
def test_a_hook_of_the_first_convolution_is_called(name, training):
    """It is asked past its forward, and its volume never made, only where nothing wants to be told."""
    torch.manual_seed(0)
    model = stereohg.create_model(name, max_disp=32).double().train(training)
    images = [image.double() for image in pair(32, 64)]
    before, _ = model.forward_with_similarities(*images)
    called = []
    model.entry[0].conv.register_forward_hook(lambda conv, inputs, _: called.append(inputs[0].shape[2]))
    after, _ = model.forward_with_similarities(*images)
    assert called == [8]
    torch.testing.assert_close(after, before)


def test_small_network_stays_small():
    model = stereohg.create_model("hgstereo_s", max_disp=192).eval()
    assert 1.0e6 < sum(p.numel() for p in model.parameters()) < 1.1e6
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*pair(256, 512))
    assert counter.get_total_flops() < 16e9


def test_hgstereo_mixes_surfaces_in_training_alone():
    """Two blocks, at 8 and at 40 pixels; of the nine around it a block itself weighs twice: (7 * 8 + 3 * 40) / 10."""
    model = stereohg.create_model("hgstereo_s", max_disp=64)
    with torch.no_grad():
        model.upsampling.weight.zero_()
        model.upsampling.bias.zero_().view(9, 16)[4] = math.log(2) / UPSAMPLING_GAIN
    similarity = torch.full((1, 16, 1, 2), -100.0)
    similarity[0, 2, 0, 0] = similarity[0, 10, 0, 1] = 100.0
    guide = torch.zeros(1, 64, 1, 2)
    (mixed,), (kept,) = model.train().regress([similarity], guide), model.eval().regress([similarity], guide)
    torch.testing.assert_close(mixed[0, 0], torch.tensor([17.6] * 4 + [30.4] * 4))
    torch.testing.assert_close(kept[0, 0], torch.tensor([8.0] * 4 + [40.0] * 4))


def test_hgstereo_answers_first_at_a_quarter_and_at_half_of_the_size():
    """Each time in levels of the next volume, of every second pixel; the half is told of the quarter."""
    torch.manual_seed(0)
    model = stereohg.create_model("hgstereo_s", max_disp=48).eval()
    model.told.weight.data.normal_()
    pairs = [[F.avg_pool2d(image, size) for image in pair(128, 256)] for size in (4, 2, 1)]
    deaf, alone = copy.deepcopy(model), copy.deepcopy(model)
    deaf.told.weight.data.zero_()
    with torch.no_grad():
        looks = model.look(*pairs[-1])
        for network, images, max_disp, look, seen in (
            (deaf, pairs[0], 16, looks[0], []),  # the next multiple of half of 32
            (alone, pairs[1], 32, looks[1], [looks[0].answer]),  # of half of 48
        ):
            network.max_disp = max_disp
            (disparity,), (similarity,) = network.forward_with_similarities(*images, *seen)
            torch.testing.assert_close(look.similarity, similarity)
            torch.testing.assert_close(look.answer[:, 0], disparity[:, 1::2, 1::2] / 2)
            sureness = F.interpolate(confidence(similarity).unsqueeze(1), scale_factor=2, mode="bilinear")
            torch.testing.assert_close(look.answer[:, 1:], sureness)
        assert model.coarse_levels == tuple(look.similarity.shape[1] for look in looks) == (4, 8)
        assert torch.equal(model.extract(*pairs[-1])[2], looks[1].answer)
        deaf.max_disp = 48
        assert not torch.allclose(model(*pairs[-1])[-1], deaf(*pairs[-1])[-1], atol=0.1)


def test_the_coarse_answer_is_none_of_the_trainings_business():
    """No running statistic is of it, no gradient of the whole reaches it, and all parts are in training behind it."""
    torch.manual_seed(0)
    model = stereohg.create_model("hgstereo_s", max_disp=32).train()
    model.features.eval()  # as a frozen part would be
    modes, before = [m.training for m in model.modules()], [b.clone() for b in model.buffers()]
    model.look(*pair(batch=2))
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    assert not model.extract(*pair(batch=2))[2].requires_grad


def test_one_training_pair_in_four_is_not_told_the_coarse_answer():
    model = stereohg.create_model("hgstereo_s", max_disp=32).train()
    left, right = pair(32, 32, batch=64)
    with torch.no_grad():
        untold = (model.extract(left, right)[2][:, 0] == -4).flatten(1)
        assert torch.equal(untold.all(1), untold.any(1)) and 5 <= untold.all(1).sum() <= 27
        assert torch.equal(untold[:3], (model.extract(left[:3], right[:3])[2][:, 0] == -4).flatten(1))
        assert (model.eval().extract(left, right)[2] >= 0).all()


def test_what_was_seen_of_a_larger_picture_is_taken():
    model = stereohg.create_model("hgstereo_s", max_disp=48).eval()
    left, right = pair(64, 128)
    with torch.no_grad():
        own = model.look(left, right)[-1].answer
        assert torch.equal(model.extract(left, right)[2], own)
        assert torch.equal(model.extract(left, right, own + 1)[2], own + 1)
        given, _ = model.forward_with_similarities(left, right, own + 1)
        assert torch.equal(model.forward_with_similarities(left, right, own)[0][0], model(left, right)[0])
        assert not torch.equal(given[0], model(left, right)[0])


def test_gradients_reach_every_parameter():
    model = stereohg.create_model("hgstereo_s", max_disp=32).train()
    predictions, similarities = model.forward_with_similarities(*pair(batch=2))
    (sum(p.mean() for p in predictions) + sum(c.square().mean() for c in similarities)).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


class Last(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, left, right):
        return self.network(left, right)[-1]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["psmnet", "gwcnet_gc"])
@torch.no_grad()
def test_a_traced_network_has_the_same_graph_at_every_call(name):
    """As TensorBoard's picture of it wants: the trace itself raises where two calls' graphs differ."""
    torch.manual_seed(0)
    network = stereohg.create_model(name, max_disp=32).eval()
    left, right = torch.randn(2, 1, 3, 64, 128)
    network.requires_grad_(False)
    traced = torch.jit.trace(Last(network), (left, right))
    torch.testing.assert_close(traced(right, left), network(right, left)[-1], rtol=1e-3, atol=1e-2)
