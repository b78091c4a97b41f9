"""Networks made ready to be trained, and what moves their weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stereohg.training.config import LoopConfig, OptimiserConfig

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    options = {} if config.name == "sgd" else {"eps": config.epsilon}
    return OPTIMISERS[config.name](
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay, **options
    )


def make_average(network: nn.Module, decay: float | None) -> AveragedModel | None:
    """The exponential moving average of weights and buffers; None without a decay.

    Raises:
        ValueError: the decay is not between 0 and 1.
    """
    if decay is None:
        return None
    if not 0 < decay < 1:
        raise ValueError(f"ema is {decay}; the decay lies between 0 and 1, such as 0.999")
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def freeze(network: nn.Module, trainable: list[str]) -> None:
    """Takes all parts that are not to learn out of the training; an empty list leaves all in.

    Raises:
        ValueError: there is no such part.
    """
    parts = {name for name, _ in network.named_modules()} - {""}
    for name in trainable:
        if name not in parts:
            known = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"trainable has {name!r}, and the network has no such part; it has {known}, and theirs")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_is_in(name, trainable))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"trainable is {trainable}, in which there is nothing to learn")


def training_mode(network: nn.Module, config: LoopConfig) -> None:
    """``train()``, but for batch norms that are to stay as they are."""
    network.train()
    for name, module in network.named_modules():
        if isinstance(module, NORMS) and (config.freeze_batch_norm or not _is_in(name, config.trainable)):
            module.eval()


def _is_in(name: str, trainable: list[str]) -> bool:
    return not trainable or any(f"{name}.".startswith(f"{part}.") for part in trainable)


class Buffers:
    """A network's buffers as they were: a batch that is not finite spoils running means, too."""

    def __init__(self, network: nn.Module):
        self.now = list(network.buffers())
        self.then: list[Tensor] = [buffer.clone() for buffer in self.now]

    def keep(self) -> None:
        for then, now in zip(self.then, self.now, strict=True):
            then.copy_(now)

    def restore(self) -> None:
        for now, then in zip(self.now, self.then, strict=True):
            now.copy_(then)
