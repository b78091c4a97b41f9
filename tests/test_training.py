"""The training loop: it learns, and a stopped run goes on as if it had not stopped."""

from dataclasses import replace

import pytest
import torch

from stereohg.data.stereo import SyntheticPairs, collate
from stereohg.data.synthetic import SyntheticStereo
from stereohg.models.registry import create_model
from stereohg.training import loop
from stereohg.training.loop import HEAD_WEIGHTS, TrainConfig, learning_rate, train
from stereohg.training.losses import hgstereo_loss

TINY = TrainConfig(steps=4, batch_size=1, height=64, width=96, max_disp=32, workers=0, warmup=2, checkpoint_every=2)


def test_learning_rate_by_hand():
    config = replace(TINY, steps=100, warmup=10, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 50) == pytest.approx(0.5)
    assert learning_rate(config, 100) == pytest.approx(0.0)


def test_a_stopped_run_resumes_bit_for_bit(tmp_path, monkeypatch):
    whole = train(TINY, tmp_path / "whole")

    calls, save = [], loop.save

    def save_then_die(*arguments):
        save(*arguments)
        calls.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path / "stopped")
    monkeypatch.setattr(loop, "save", save)
    resumed = train(TINY, tmp_path / "stopped")
    assert len(calls) == 1
    for (key, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    assert [p.name for p in (tmp_path / "stopped").iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    train(replace(TINY, steps=1), tmp_path)
    with pytest.raises(ValueError, match="seed=0 there, 1 here"):
        train(replace(TINY, seed=1), tmp_path)
    with pytest.raises(ValueError, match="1 steps behind it"):
        train(replace(TINY, steps=0), tmp_path)


def test_the_loss_falls_on_one_scene():
    torch.manual_seed(0)
    model = create_model("hgstereo_s", max_disp=32).train()
    left, right, disparity, valid, *_ = collate([SyntheticPairs(SyntheticStereo(64, 96, max_disp=31), length=1)[0]])
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        predictions, costs = model.forward_with_costs(left, right)
        loss = hgstereo_loss(predictions, costs, disparity, valid, HEAD_WEIGHTS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
