"""The published networks, number for number: the same answers from the same weights as the authors' own code.

``parity/NAME.npz`` was measured with the authors' public code in float64, and in float32 for the error that rounding
alone makes; ``parity/fill.py`` gives weights and inputs; ``parity/NAME.keys.json`` are the authors' keys and shapes.
"""

import itertools
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

from stereohg import create_model
from stereohg.models.published_keys import published_keys
from stereohg.training.losses import multi_head_smooth_l1
from tests import parity
from tests.parity import fill

STEREO = {
    "psmnet": [0.5, 0.7, 1.0],
    "psmnet_basic": [1.0],
    "gwcnet_g": [0.5, 0.5, 0.7, 1.0],
    "gwcnet_gc": [0.5, 0.5, 0.7, 1.0],
}
KEYPOINTS = {
    "hg_s1_b1": {"num_stacks": 1},
    "hg_s2_b1": {"num_stacks": 2},
    "hg_gn_s2_b1": {"num_stacks": 2, "norm": "group"},
    "hg_s2_b4": {"num_stacks": 2, "num_blocks": 4},
    "hg_s8_b1": {"num_stacks": 8},
}
AUTHORS_FACTOR = 3  # float32 may be this many times as far from float64 as the authors' own float32 run
FLOAT64, FLOAT32 = torch.float64, torch.float32


def build(name: str):
    if name in STEREO:
        return create_model(name, max_disp=64)
    return create_model("keypoint_hourglass", num_keypoints=16, **KEYPOINTS[name])


def filled(name: str, dtype: torch.dtype):
    """The network with every entry set by its published key."""
    model = build(name).to(dtype)
    names = published_keys(model.architecture, model.state_dict())
    model.load_state_dict(
        {key: torch.from_numpy(fill.value(names[key], tuple(v.shape))) for key, v in model.state_dict().items()}
    )
    return model


@pytest.fixture
def one_thread():
    """Sums in float32 in one order, whatever the number of cores: these networks on noise magnify the difference."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def expected(name: str) -> dict[str, np.ndarray]:
    with np.load(parity.FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def assert_agrees(name: str, field: str, answer: torch.Tensor, step: int, float64_tolerance: float) -> None:
    truth = expected(name)[field]
    difference = np.abs(answer.detach().double().numpy()[..., ::step, ::step] - truth)
    if answer.dtype == FLOAT64:
        assert difference.max() <= float64_tolerance
    else:
        largest, mean = AUTHORS_FACTOR * expected(name)[f"{field}_float32_error"]
        assert difference.max() <= largest
        assert difference.mean() <= mean


def assert_gradients_agree(name: str, model, dtype: torch.dtype) -> None:
    names = published_keys(model.architecture, dict(model.named_parameters()))
    norms = {names[key]: p.grad.double().norm().item() for key, p in model.named_parameters()}
    keys, truth = expected(name)["grad_keys"].tolist(), expected(name)["grad_norms"]
    assert sorted(norms) == keys
    ours = np.array([norms[key] for key in keys])
    difference = np.abs(ours - truth)
    if dtype == FLOAT64:
        counts = truth > 1e-6 * truth.max()
        assert (difference[counts] / truth[counts]).max() <= 1e-6
    else:
        authors = expected(name)["grad_float32_error"]
        assert difference.max() <= AUTHORS_FACTOR * authors.max()
        assert difference.mean() <= AUTHORS_FACTOR * authors.mean()


def assert_running_means_agree(name: str, model) -> None:
    means = {key: v for key, v in model.state_dict().items() if key.endswith("running_mean")}
    names = published_keys(model.architecture, means)
    ours = {names[key]: v.double().norm().item() for key, v in means.items()}
    keys = expected(name)["running_mean_keys"].tolist()
    assert sorted(ours) == keys
    np.testing.assert_allclose([ours[key] for key in keys], expected(name)["running_mean_norms"], rtol=1e-9, atol=1e-9)


def assert_loss_agrees(name: str, loss: torch.Tensor, output: str) -> None:
    """In float32 a loss, being a mean over outputs, is known no better than the outputs are on average."""
    truth = expected(name)["loss"]
    _, mean_error = expected(name)[f"{output}_float32_error"]
    authors = max(expected(name)["loss_float32_error"], mean_error)
    assert abs(loss.item() - truth) <= (1e-6 * truth if loss.dtype == FLOAT64 else AUTHORS_FACTOR * authors)


@pytest.mark.parametrize("name", [*STEREO, *KEYPOINTS])
def test_keys_are_the_published_ones(name):
    model = build(name)
    names = published_keys(model.architecture, model.state_dict())
    ours = {names[key]: list(value.shape) for key, value in model.state_dict().items()}
    published = dict(json.loads((parity.FOLDER / f"{name}.keys.json").read_text()))
    assert len(ours) == len(names)
    assert ours == published


def in_both_precisions(*names: str, slow: Callable[..., bool]) -> pytest.MarkDecorator:
    """Every ``name`` with every ``dtype``."""
    pairs = itertools.product(names, (FLOAT64, FLOAT32))
    marked = [pytest.param(*pair, marks=[pytest.mark.slow] if slow(*pair) else []) for pair in pairs]
    return pytest.mark.parametrize("name, dtype", marked, ids=str)


def stereo_pair(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.from_numpy(fill.image(seed, (2, 3, 256, 320))).to(dtype) for seed in (1, 2))


@in_both_precisions(*STEREO, slow=lambda *pair: pair != ("psmnet", FLOAT32))
def test_stereo_answers(name, dtype):
    with torch.no_grad():
        (answer,) = filled(name, dtype).eval()(*stereo_pair(dtype))
    assert_agrees(name, "eval", answer, 4, 1e-6)


@pytest.mark.slow  # training/test_recipe_parity.py holds two of them in float64 in less
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32], ids=str)
@pytest.mark.parametrize("name", STEREO)
def test_stereo_training(name, dtype):
    model = filled(name, dtype)
    predictions = model.train()(*stereo_pair(dtype))
    truth = np.random.RandomState(3).uniform(0, 80, (2, 256, 320)).astype(np.float32)
    valid = torch.from_numpy((truth > 0) & (truth < 64))
    loss = multi_head_smooth_l1(predictions, torch.from_numpy(truth).to(dtype), valid, STEREO[name])
    loss.backward()
    for i, prediction in enumerate(predictions):
        assert_agrees(name, f"train{i}", prediction, 4, 1e-6)
    assert_loss_agrees(name, loss, f"train{len(predictions) - 1}")
    assert_gradients_agree(name, model, dtype)
    if dtype == FLOAT64:
        assert_running_means_agree(name, model)


@in_both_precisions(*KEYPOINTS, slow=lambda name, _: name in ("hg_s2_b4", "hg_s8_b1"))
def test_keypoint_answers(name, dtype, one_thread):
    model = filled(name, dtype)
    image = torch.from_numpy(fill.image(4, (2, 3, 128, 128))).to(dtype)
    with torch.no_grad():
        heatmaps = model.eval()(image)
    for field, answer in (("eval0", heatmaps[0]), ("eval", heatmaps[-1])):
        assert_agrees(name, field, answer, 2, 1e-6 * np.abs(expected(name)[field]).max())

    heatmaps = model.train()(image)
    target = torch.from_numpy(np.random.RandomState(5).uniform(0, 1, (2, 16, 32, 32)).astype(np.float32)).to(dtype)
    loss = torch.stack([(h - target).square().mean() for h in heatmaps]).sum()
    loss.backward()
    assert_agrees(name, "train_last", heatmaps[-1], 2, 1e-6 * np.abs(expected(name)["train_last"]).max())
    assert_loss_agrees(name, loss, "train_last")
    assert_gradients_agree(name, model, dtype)
    if dtype == FLOAT64:
        assert_running_means_agree(name, model)
