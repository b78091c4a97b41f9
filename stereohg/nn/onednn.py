"""When convolutions may be asked of oneDNN by name, and in which type a CPU computes them."""

import torch
from torch import Tensor


def asks_onednn() -> bool:
    """Whether oneDNN can be asked by name, past PyTorch's own choice; its answers there have no gradient."""
    return torch.backends.mkldnn.is_available() and not torch.is_grad_enabled() and not torch.jit.is_tracing()


def computed_in(x: Tensor) -> torch.dtype:
    """The type in which a CPU convolves it: autocast's, or its own."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def multiplies_in(dtype: torch.dtype) -> bool:
    """Whether this processor does; what it does not, PyTorch makes of single steps, many times as slow."""
    if dtype not in (torch.bfloat16, torch.float16):
        return True
    if not torch.backends.mkldnn.is_available():
        return False
    name = "bf16" if dtype == torch.bfloat16 else "fp16"
    return getattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported")()


def has_wide_vectors() -> bool:
    """Whether the processor has AVX-512."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"
