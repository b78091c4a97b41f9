"""The Triton kernels give the plain forms' numbers: by Triton's interpreter on a CPU, and on a GPU if there is one."""

import os
import subprocess
import sys

import pytest
import torch

from stereohg.nn import groupwise_volume, upsampled_soft_argmin
from stereohg.nn.kernels import _triton_works, runs_kernels

pytest.importorskip("triton")
from stereohg.nn.kernels.groupwise import GroupwiseVolume
from stereohg.nn.kernels.regression import UpsampledSoftArgmin

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from stereohg.nn.kernels import groupwise, regression

def build(kernel, constants, capability, dtype="*fp32", ones=()):
    types = {"left": dtype, "right": dtype, "volume": dtype, "gradient": dtype, "of_left": dtype, "of_right": dtype}
    types |= dict.fromkeys(["similarity", "disparity", "normaliser", "wide"], "*fp32")
    types |= dict.fromkeys(["level_share", "row_share", "column_share"], "*fp32")
    types |= dict.fromkeys(["level_low", "level_first", "level_stop", "row_low", "column_low"], "*i32")
    constants = constants | dict.fromkeys(set(ones) & set(kernel.arg_names), 1)
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in kernel.arg_names}
    built = triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", capability, 32))
    assert len(built.asm["cubin"]) > 1000
    print(kernel.__name__, capability)

inner = ("column", "volume_column", "levels", "groups")  # what is one is a constant to Triton
for kernel in groupwise._volume, groupwise._gradients:
    build(kernel, {"GROUP_BLOCK": 1, "SIZE_BLOCK": 8, "COLUMN_BLOCK": 128}, 75, ones=inner)
    build(kernel, {"GROUP_BLOCK": 32, "SIZE_BLOCK": 8, "COLUMN_BLOCK": 4}, 80, "*bf16", ("channel", "volume_group"))
    build(kernel, {"GROUP_BLOCK": 1, "SIZE_BLOCK": 64, "COLUMN_BLOCK": 16}, 90, "*fp16")
for kernel in regression._expectation, regression._gradient:
    build(kernel, {"COLUMN_BLOCK": 128}, 75)
    build(kernel, {"COLUMN_BLOCK": 128}, 90, ones=("column", "levels", "height", "width"))
"""


def gradients(answer: torch.Tensor, given: torch.Tensor, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(answer, inputs, given)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels, groups, width, levels", [(12, 4, 9, 4), (3, 1, 5, 7), (5, 5, 140, 2)])
def test_groupwise_volume(channels, groups, width, levels, channels_last):
    """Groups and columns that fill no block, more levels than columns, more columns than a block."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    left, right = (
        torch.randn(2, channels, 2, width, device=DEVICE).to(memory_format=layout).requires_grad_() for _ in range(2)
    )
    exact = [x.detach().double().requires_grad_() for x in (left, right)]
    volume = GroupwiseVolume.apply(left, right, levels, groups, channels_last)
    expected = groupwise_volume(*exact, levels, groups, channels_last)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d if channels_last else torch.contiguous_format)
    torch.testing.assert_close(volume.double(), expected, atol=1e-6, rtol=1e-6)
    given = torch.randn_like(volume)
    for own, other in zip(
        gradients(volume, given, left, right), gradients(expected, given.double(), *exact), strict=True
    ):
        torch.testing.assert_close(own.double(), other, atol=2e-6, rtol=1e-6)


def test_groupwise_volume_of_views():
    """Channels of a larger tensor, whose strides no output could share."""
    whole = torch.arange(2 * 6 * 2 * 4, dtype=torch.float32, device=DEVICE).view(2, 6, 2, 4)
    left, right = whole[:, :4].requires_grad_(), whole[:, 2:].requires_grad_()
    volume = GroupwiseVolume.apply(left, right, 2, 2, False)
    exact = [x.detach().double().requires_grad_() for x in (left, right)]  # not by a kernel
    expected = groupwise_volume(*exact, 2, 2)
    torch.testing.assert_close(volume.double(), expected)
    given = torch.ones_like(volume)
    own, other = gradients(volume, given, left, right), gradients(expected, given.double(), *exact)
    torch.testing.assert_close([gradient.double() for gradient in own], list(other))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("shape, max_disp, size", [((2, 3, 2, 3), 12, (3, 7)), ((1, 1, 1, 1), 4, (2, 2))])
def test_upsampled_soft_argmin(shape, max_disp, size, align_corners):
    torch.manual_seed(0)
    similarity = (5 * torch.randn(shape, device=DEVICE)).requires_grad_()
    exact = similarity.detach().double().requires_grad_()
    disparity = UpsampledSoftArgmin.apply(similarity, max_disp, size, align_corners)
    expected = upsampled_soft_argmin(exact, max_disp, size, align_corners)
    torch.testing.assert_close(disparity.double(), expected, atol=1e-5, rtol=0)
    given = torch.randn_like(disparity)
    (own,), (other,) = gradients(disparity, given, similarity), gradients(expected, given.double(), exact)
    torch.testing.assert_close(own.double(), other, atol=2e-5, rtol=1e-5)


def test_large_similarities_do_not_overflow():
    similarity = torch.tensor([0.0, 1e4, -1e4], device=DEVICE).view(1, 3, 1, 1)
    assert UpsampledSoftArgmin.apply(similarity, 3, (1, 1), False).item() == 1


def test_where_they_run():
    """Elsewhere than on a GPU, in float64 and for others' runtimes the plain forms stay."""
    assert not runs_kernels(torch.zeros(1))
    assert not runs_kernels(torch.zeros(1, device="meta"))
    assert not runs_kernels(torch.zeros(1, dtype=torch.float64, device=DEVICE))
    assert runs_kernels(torch.zeros(1, device=DEVICE)) == (DEVICE == "cuda")


def test_where_triton_cannot_build_the_plain_forms_stay(monkeypatch, caplog):
    """Such as without a C compiler."""
    monkeypatch.setattr(UpsampledSoftArgmin, "apply", lambda *_: (_ for _ in ()).throw(RuntimeError("no compiler")))
    assert not _triton_works.__wrapped__()
    assert "Triton builds no kernels here" in caplog.text
    monkeypatch.setattr("stereohg.nn.kernels.find_spec", lambda name: None)
    caplog.clear()
    assert not _triton_works.__wrapped__() and not caplog.text


def test_they_compile_for_gpus():
    """To machine code, by Triton's own assembler, which needs no GPU: three generations, types and layouts."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    told = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.splitlines()) == 10
