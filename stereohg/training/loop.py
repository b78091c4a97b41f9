"""Training of hgstereo on synthetic scenes, on whatever device there is.

One loop, small enough to read: batches of scenes that no step sees twice, AdamW, one cosine, a checkpoint that a
stopped run resumes from.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from stereohg.data.files import replacing
from stereohg.data.stereo import SyntheticPairs, collate
from stereohg.data.synthetic import SyntheticStereo
from stereohg.devices import choose_device
from stereohg.models.registry import create_model
from stereohg.training.losses import hgstereo_loss


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run on synthetic scenes.

    Args:
        model: a registered stereo network with a distribution loss (hgstereo_s).
        steps: optimiser steps in all.
        batch_size: scenes a step.
        height: of the crops, pixels.
        width: of the crops, pixels.
        max_disp: levels searched in training; any other may be set afterwards.
        learning_rate: peak, reached after the warm-up, then half a cosine to zero.
        weight_decay: of AdamW.
        warmup: steps of linear growth.
        clip: largest norm of the gradient.
        seed: of the scenes and the initial weights.
        workers: processes that render scenes.
        checkpoint_every: steps between checkpoints.
        bfloat16: autocast the network (regression and loss stay in float32).
    """

    model: str = "hgstereo_s"
    steps: int = 3000
    batch_size: int = 4
    height: int = 192
    width: int = 448
    max_disp: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    clip: float = 1.0
    seed: int = 0
    workers: int = 1
    checkpoint_every: int = 100
    bfloat16: bool = False


HEAD_WEIGHTS = [0.5, 1.0]
MAY_CHANGE = ("steps", "workers", "checkpoint_every")  # between a run and its resumption


def train(config: TrainConfig, folder: Path) -> nn.Module:
    """Trains until ``config.steps``, resuming from the folder's checkpoint when there is one; returns the network."""
    device = choose_device()
    torch.manual_seed(config.seed)
    model = channels_last(create_model(config.model, max_disp=config.max_disp)).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    checkpoint = folder / "checkpoint.pt"
    start = resume(checkpoint, model, optimiser, config)
    model.train()

    pairs = SyntheticPairs(
        SyntheticStereo(config.height, config.width, config.seed, config.max_disp - 1),
        length=config.steps * config.batch_size,
    )
    remaining = Subset(pairs, range(start * config.batch_size, len(pairs)))
    loader = DataLoader(
        remaining, config.batch_size, num_workers=config.workers, collate_fn=collate, worker_init_fn=one_thread
    )
    began = time.monotonic()
    for step, batch in enumerate(loader, start):
        left, right, disparity, valid = (tensor.to(device, non_blocking=True) for tensor in batch[:4])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            predictions, costs = model.forward_with_costs(left, right)
        valid &= disparity < config.max_disp
        loss = hgstereo_loss(predictions, costs, disparity, valid, HEAD_WEIGHTS)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        if norm.isfinite():
            optimiser.step()
        done = step + 1
        if done % 20 == 0:
            error = (predictions[-1] - disparity).detach().abs()[valid]
            speed = (done - start) * config.batch_size / (time.monotonic() - began)
            print(
                f"step {done}/{config.steps}  loss {loss.item():.3f}  EPE {error.mean():.2f}"
                f"  bad-3 {100 * (error > 3).float().mean():.1f} %  gradient {norm:.2f}  {speed:.2f} samples/s",
                flush=True,
            )
        if done % config.checkpoint_every == 0 or done == config.steps:
            save(checkpoint, model, optimiser, done, config)
    return model


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero at the last step."""
    warm = min(1.0, (step + 1) / config.warmup)
    return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int, config: TrainConfig) -> None:
    """Written beside and renamed, so that a run killed here keeps the previous checkpoint."""
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "config": asdict(config)}
    with replacing(path) as temporary:
        torch.save(state, temporary)


def resume(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, config: TrainConfig) -> int:
    """Loads the checkpoint, if there is one, and returns the steps it has done.

    Raises:
        ValueError: the checkpoint is of a run with other settings, which are named, or has more steps behind it.
    """
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    before, now = state["config"], asdict(config)
    other = [f"{k}={before[k]} there, {now[k]} here" for k in now if k not in MAY_CHANGE and before[k] != now[k]]
    if other:
        raise ValueError(f"{path} is of another run ({'; '.join(other)}); give those settings, or another folder")
    if state["step"] > config.steps:
        raise ValueError(f"{path} has {state['step']} steps behind it; give at least as many, or another folder")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"]


def channels_last(model: nn.Module) -> nn.Module:
    """Convolution weights with their channels innermost, which CPUs and tensor cores read faster."""
    for module in model.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.to(memory_format=torch.channels_last_3d)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
    return model


def one_thread(worker: int) -> None:
    """A worker that leaves the cores to the network."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
