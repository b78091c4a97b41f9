"""Activations computed once more in the backward pass in place of being kept (Chen et al. 2016, arXiv 1604.06174)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(network: nn.Module, function: Callable, *inputs: Tensor):
    """``function(*inputs)``, a part of the network, of which nothing but the inputs is kept until the backward pass.

    The gradients are the same. The batch norms' running statistics follow the first computation alone.
    """
    return checkpoint(
        function, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_kept(network))
    )


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    before = [(b, b.clone()) for norm in network.modules() if isinstance(norm, _BatchNorm) for b in norm.buffers()]
    try:
        yield
    finally:
        for statistic, value in before:
            statistic.data.copy_(value)  # data: what the backward pass has saved does not count as changed
