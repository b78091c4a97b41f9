"""Steps of training: what a batch, the gradient, a precision and a step that fails do to the weights."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from stereohg.models.inference import with_channels_last
from stereohg.training.checkpoints import Checkpoints
from stereohg.training.config import CheckpointConfig, OptimiserConfig, ScheduleConfig
from stereohg.training.loop import train
from stereohg.training.stereo import StereoTask
from tests import runs
from tests.runs import TINY

SGD = OptimiserConfig("sgd", 1e-3)
CONSTANT = ScheduleConfig()


def parameters(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_a_batch_in_parts_is_the_batch(tmp_path):
    """The first pair knows 48 rows and the second 20, of which a crop has 32 and at most 20."""
    root = runs.pairs(tmp_path, [48, 20])
    config = runs.on_folder(root, steps=3, freeze_batch_norm=True, optimiser=SGD, schedule=CONSTANT)
    whole = runs.run(config, tmp_path / "whole")
    parts = runs.run(replace(config, accumulate=2), tmp_path / "parts")
    assert runs.losses(tmp_path / "parts") == pytest.approx(runs.losses(tmp_path / "whole"), rel=1e-5)
    torch.testing.assert_close(parameters(parts), parameters(whole), rtol=1e-4, atol=1e-6)


def test_the_gradient_is_clipped(tmp_path):
    """Plain descent moves the weights by learning rate times clipped norm, 0.5 * 0.01."""
    config = replace(TINY, steps=1, optimiser=OptimiserConfig("sgd", 0.5, clip=0.01), schedule=CONSTANT)
    run = runs.begin(config, tmp_path)
    before = parameters(run.network)
    after = parameters(runs.run(config, tmp_path))
    assert (after - before).norm().item() == pytest.approx(0.005, rel=1e-3)
    assert runs.history(tmp_path)[0]["gradient"] > 1  # what it was before


def test_frozen_batch_norm_keeps_its_statistics(tmp_path):
    config = replace(TINY, steps=1)
    start = dict(runs.begin(config, tmp_path / "frozen").network.named_buffers())
    frozen = dict(runs.run(replace(config, freeze_batch_norm=True), tmp_path / "frozen").named_buffers())
    runs.assert_same(start, frozen)
    moved = dict(runs.run(config, tmp_path / "moved").named_buffers())
    assert all(not torch.equal(start[name], moved[name]) for name in start if name.endswith("running_mean"))


def test_pairs_without_ground_truth_are_safe(tmp_path):
    config = runs.on_folder(
        runs.pairs(tmp_path, [48, 0]),
        batch_size=1,
        shuffle=False,
        optimiser=OptimiserConfig("sgd", 0.1),
        schedule=ScheduleConfig(),
    )
    one, two = (parameters(runs.run(replace(config, steps=n), tmp_path / f"{n}")) for n in (1, 2))
    assert torch.equal(one, two)
    first, second = runs.losses(tmp_path / "2")
    assert first > 0 and second == 0


def test_nothing_but_such_pairs_is_an_error(tmp_path):
    config = runs.on_folder(runs.pairs(tmp_path, [0, 0, 0]), batch_size=1)
    with pytest.raises(ValueError, match="in 6 steps nothing has ground truth that counts"):
        runs.run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "hgstereo_s.safetensors").exists()


def test_what_a_worker_cannot_read_ends_the_run_with_one_line(tmp_path):
    """In a process of its own: workers hear no signal, and would keep it from ending."""
    root = runs.pairs(tmp_path, [48, 48])
    (root / "right" / "1.png").write_bytes(b"no picture")
    recipe = runs.recipe(runs.on_folder(root, workers=1), tmp_path / "own.yaml")
    program = [sys.executable, "-m", "stereohg", "train", recipe, "-o", str(tmp_path / "run")]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1 and "right/1.png is not a whole picture" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_pair_that_cannot_be_read_is_named_or_skipped_and_counted(tmp_path, caplog):
    root = runs.pairs(tmp_path, [48, 48])
    (root / "right" / "1.png").write_bytes(b"no picture")
    config = runs.on_folder(root, steps=2)
    with pytest.raises(ValueError, match="right/1.png is not a whole picture"):
        runs.run(config, tmp_path / "raise")
    config = replace(config, data=replace(config.data, on_error="skip"))
    runs.run(config, tmp_path / "skip")
    assert runs.checkpoint(tmp_path / "skip")["progress"]["unread"] == 2
    assert [row["unread"] for row in runs.history(tmp_path / "skip")] == [1, 2]
    assert caplog.text.count("right/1.png is not a whole picture") == 2


# --- steps that are not finite --------------------------------------------------------------------------------------


class Spoiled(StereoTask):
    """Some of its samples are not numbers."""

    def __init__(self, config, names):
        super().__init__(config)
        self.names = names

    def collate(self, samples):
        batch = super().collate(samples)
        for picture, name in zip(batch.left, batch.name, strict=True):
            if name in self.names:
                picture.fill_(torch.nan)
        return batch


SINGLE = replace(TINY, batch_size=1, shuffle=False, schedule=CONSTANT, ema=0.5, checkpoints=CheckpointConfig(1, 9))


def spoiled(folder, names, **changes):
    config = replace(SINGLE, **changes)
    train(Spoiled(config, names), config, folder)
    return [
        torch.load(path, weights_only=True) for path in Checkpoints(folder / "checkpoints").paths()
    ]  # after each step


@pytest.mark.parametrize("last", [False, True])
def test_a_step_that_is_not_finite_has_no_effect(tmp_path, capsys, last):
    first, second, third = spoiled(tmp_path, {"scene_1"}, steps=3, channels_last=last)
    for name in ("network", "optimiser", "average"):  # batch norm's running means among them
        runs.assert_same(first[name], second[name], name)
    assert not torch.equal(*(state["network"]["features.0.norm.running_mean"] for state in (second, third)))
    assert [state["progress"]["bad"] for state in (first, second, third)] == [0, 1, 1]
    assert "step 2 had no effect: its loss is not finite; its samples: scene_1\n" in capsys.readouterr().err
    one, two, three = runs.history(tmp_path)
    assert "bad_steps" not in one and two["bad_steps"] == three["bad_steps"] == 1
    assert "loss" not in two and three["loss"] > 0


def test_too_many_in_a_row_end_the_run_with_the_reason(tmp_path):
    with pytest.raises(FloatingPointError, match="^2 steps in a row had no finite gradient; .*step 4 .*scene_3"):
        spoiled(tmp_path, {"scene_0", "scene_2", "scene_3"}, bad_steps=2)
    assert runs.checkpoint(tmp_path)["progress"]["bad_in_a_row"] == 1
    with pytest.raises(FloatingPointError, match="^2 steps"):  # nor does it go on when it is started again
        spoiled(tmp_path, {"scene_3"}, bad_steps=2)


# --- precision and speed --------------------------------------------------------------------------------------------


def test_bfloat16_is_near_float32(tmp_path):
    for precision in ("float32", "bfloat16"):
        runs.run(replace(TINY, steps=3, precision=precision), tmp_path / precision)
    one, other = (runs.losses(tmp_path / precision) for precision in ("float32", "bfloat16"))
    assert one[0] == pytest.approx(other[0], rel=0.02) and one != other  # a layer's rounding alone is 0.25 %
    assert one == pytest.approx(other, rel=0.1)
    weights = runs.checkpoint(tmp_path / "bfloat16")["network"].values()
    assert {value.dtype for value in weights} == {torch.float32, torch.int64}


def test_channels_last_is_a_matter_of_speed():
    """In float64: in float32 rounding decides the gradient of a value at a ReLU's bend."""
    task, gradients = StereoTask(replace(TINY, loss=replace(TINY.loss, coarse=0.5))), []
    batch = task.collate([task.samples[0], task.samples[1]])
    batch = batch._replace(left=batch.left.double(), right=batch.right.double())
    for changed in (with_channels_last, nn.Identity()):
        torch.manual_seed(0)
        network = changed(task.network().double().train())
        loss, *_ = task.losses(network, batch, task.counts(batch))
        gradients.append(torch.autograd.grad(loss, [p for p in network.parameters()], materialize_grads=True))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_channels_last_is_a_setting(tmp_path):
    for last in (True, False):
        network = runs.run(replace(TINY, steps=1, channels_last=last), tmp_path / str(last))
        assert network.entry.conv.weight.is_contiguous() != last
    assert runs.losses(tmp_path / "True") == pytest.approx(runs.losses(tmp_path / "False"), rel=1e-6)


def test_compilation_is_an_option(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, dynamic: compiled.append(type(module).__name__))
    runs.begin(TINY, tmp_path)
    assert compiled == []
    runs.begin(replace(TINY, compile=True), tmp_path)
    assert compiled == ["_Forward"]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path):
    """Needs a C++ compiler."""
    for compile in (True, False):
        runs.run(replace(TINY, steps=2, compile=compile, optimiser=SGD), tmp_path / str(compile))
    (one, after), (other, after_other) = (runs.losses(tmp_path / str(compile)) for compile in (True, False))
    assert one == pytest.approx(other, rel=1e-5)
    assert after == pytest.approx(after_other, rel=5e-3)  # one step of small batch norms makes much of little
