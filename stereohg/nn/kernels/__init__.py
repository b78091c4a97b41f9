"""The volume and the regression as single kernels for a GPU, in Triton, which PyTorch's builds for CUDA bring along.

``nn.volume`` and ``nn.regression`` choose them; elsewhere their plain forms give the same numbers. The modules here
need Triton, so nothing imports them where ``runs_kernels`` is False.
"""

from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor


def runs_kernels(*tensors: Tensor) -> bool:
    """Whether the kernels take these tensors: on CUDA, with Triton installed, not traced, no float64."""
    return (
        all(x.device.type == "cuda" and x.dtype in (torch.float32, torch.float16, torch.bfloat16) for x in tensors)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and _has_triton()
    )


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    return find_spec("triton") is not None
