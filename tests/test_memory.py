"""What memory there is, and what a network wants."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from stereohg import create_model
from stereohg.bands import Fitting, forward_in_bands, split
from stereohg.measure import measured
from stereohg.memory import GAPS, OVERHEAD, free_memory, free_ram, in_words, parse_memory, peak_memory
from stereohg.models.inference import ready_for_inference
from stereohg.nn import upsampled_soft_argmin
from stereohg.nn.instance_norm import InstanceNorm2d


@pytest.mark.parametrize(
    "amount, expected",
    [
        ("4GB", 4_000_000_000),
        ("1.5GiB", 1610612736),
        (" 500 MB ", 500_000_000),
        ("2kB", 2000),
        ("3KiB", 3072),
        ("123456", 123456),
        (2**30, 2**30),
        (5e8, 500_000_000),
    ],
)
def test_amounts(amount, expected):
    assert parse_memory(amount) == expected


@pytest.mark.parametrize(
    "amount", ["", "much", "4 GX", "-1GB", "0", 0, -5, "GB", "4iB", "nan", float("inf"), "4GB 2MB"]
)
def test_other_amounts_are_refused(amount):
    with pytest.raises(ValueError, match="max_memory is .*; it must be such as '4GB', '1.5GiB'"):
        parse_memory(amount)


def test_what_is_told_is_enough_when_it_is_given():
    assert in_words(1_234_567_890) == "1.3GB" and in_words(999_000_001) == "999.1MB"
    assert parse_memory(in_words(1_234_567_890)) >= 1_234_567_890


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_available_memory_of_linux(tmp_path):
    assert free_ram(tmp_path) is None
    write(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable:   5000 kB\n")
    assert free_ram(tmp_path) == 5000 * 1024


@pytest.mark.parametrize("limit, expected", [("3000000\n", 3_000_000 - 1_500_000), ("max\n", 5_120_000)])
def test_control_group_of_version_2(tmp_path, limit, expected):
    write(tmp_path, proc__meminfo="MemAvailable: 5000 kB\n", proc__self__cgroup="0::/a/b\n")
    group = {"memory_dot_max": limit, "memory_dot_current": "2000000\n", "memory_dot_stat": "inactive_file 500000\n"}
    write(tmp_path, **{f"sys__fs__cgroup__a__{name}": text for name, text in group.items()})  # the parent's
    assert free_ram(tmp_path) == expected


def test_control_group_of_version_1(tmp_path):
    write(
        tmp_path, proc__meminfo="MemAvailable: 5000 kB\n", proc__self__cgroup="3:cpu:/x\n2:memory:/not/seen/from/here\n"
    )
    group = {"limit_in_bytes": "900000\n", "usage_in_bytes": "950000\n", "stat": "total_inactive_file 0\n"}
    write(tmp_path, **{f"sys__fs__cgroup__memory__memory_dot_{name}": text for name, text in group.items()})
    assert free_ram(tmp_path) == 0


def test_this_machine_has_some():
    assert free_memory(torch.device("mps")) is None
    free = free_memory(torch.device("cpu"))
    assert free is None or free > 0


# --- what is wanted -------------------------------------------------------------------------------------------------

MEGABYTES = 40 * 2**20


def wide(count: int = 1) -> torch.Tensor:
    return torch.empty(count * MEGABYTES, dtype=torch.uint8, device="meta")


def counted(run) -> int:
    return int((peak_memory(run) - OVERHEAD) / GAPS)


def test_peak_by_hand():
    def run():
        first = wide()  # 40
        second = first + 1  # 80
        del first
        second.add_(1)  # 40, in place
        return second.view(2, -1), wide(2)  # a view is nothing new: 120

    assert counted(run) == 3 * MEGABYTES


@pytest.mark.parametrize("channels_last, copies", [(False, 8), (True, 0)])
def test_a_convolution_copies_its_input_unless_it_lies_as_the_kernel_wants_it(channels_last, copies):
    x, layer = torch.empty(1, 8, 64, 64, 64, device="meta"), torch.nn.Conv3d(8, 4, 3, padding=1, device="meta")
    if channels_last:
        x, layer = (each.to(memory_format=torch.channels_last_3d) for each in (x, layer))
    assert counted(lambda: layer(x)) == (8 + copies + 4) * 64**3 * 4


def test_small_volumes_are_unrolled_into_columns():
    x, layer = torch.empty(1, 2, 8, 8, 8, device="meta"), torch.nn.Conv3d(2, 1, 3, padding=1, device="meta")
    assert counted(lambda: layer(x)) == (2 + 2 * 27 + 1) * 8**3 * 4


def test_an_instance_norm_copies_nothing():
    """Its input and its result, and some numbers for each channel."""
    x = torch.empty(2, 8, 64, 64, device="meta").to(memory_format=torch.channels_last)
    layer = InstanceNorm2d(8, affine=True, device="meta")
    assert counted(lambda: layer(x)) == pytest.approx(2 * x.nbytes, rel=0.01)


def one_band(name: str, height: int, width: int, levels: int, size: int) -> tuple[int, int]:
    """Estimate and measurement, bytes."""
    network = ready_for_inference(create_model(name, max_disp=levels))
    fitting, images = Fitting(network), torch.randn(2, 1, 3, height, width)
    bands = split(height // 4, size, 32, network.multiple // 4)
    with torch.inference_mode(), measured() as cost:
        forward_in_bands(network, *images, bands)
    return fitting.peak((1, 3, height, width), levels, size), cost.peak_bytes


@pytest.mark.parametrize("size", [88, pytest.param(192, marks=pytest.mark.slow)])
def test_the_estimate_is_what_is_measured(size):
    """In bands, and as a whole."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:  # whose memory nothing has touched
        estimate, peak = process.submit(one_band, "hgstereo_s", 768, 1024, 128, size).result()
    if peak is None:
        pytest.skip("this system does not tell peaks")
    assert peak <= estimate < 1.2 * peak + OVERHEAD


def regressed() -> int | None:
    similarity = torch.randn(1, 16, 256, 512)
    with torch.inference_mode(), measured() as cost:
        upsampled_soft_argmin(similarity, 64, (1024, 2048))
    return cost.peak_bytes


def test_the_regression_leaves_no_gaps_in_the_heap():
    """A volume of 64x1024x2048 takes 537 MB, and so do the gaps that tiles leave between answers kept apart."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        peak = process.submit(regressed).result()
    if peak is None:
        pytest.skip("this system does not tell peaks")
    assert peak < 200e6  # there is twice the 34 MB of the volume upsampled along W alone, and the answer's 8
