"""The volume and the regression as single kernels for a GPU, in Triton, which PyTorch's builds for CUDA bring along.

``nn.volume`` and ``nn.regression`` choose them; elsewhere their plain forms give the same numbers. The modules here
need Triton, so nothing imports them where ``runs_kernels`` is False.
"""

import logging
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

logger = logging.getLogger("stereohg")


def runs_kernels(*tensors: Tensor) -> bool:
    """Whether the kernels take these tensors: on CUDA, no float64, not traced, and Triton works."""
    return (
        all(x.device.type == "cuda" and x.dtype in (torch.float32, torch.float16, torch.bfloat16) for x in tensors)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and _triton_works()
    )


@lru_cache(maxsize=1)
def _triton_works() -> bool:
    """Tried once: Triton may be absent, and what it builds wants a C compiler and Python's headers."""
    if find_spec("triton") is None:
        return False
    try:
        from stereohg.nn.kernels.regression import UpsampledSoftArgmin

        UpsampledSoftArgmin.apply(torch.zeros(1, 1, 1, 1, device="cuda"), 1, (1, 1), False)
    except Exception as error:  # of its own, its compiler's, its driver's
        logger.warning("Triton builds no kernels here (%s); PyTorch's own operators take their place, slower", error)
        return False
    return True
