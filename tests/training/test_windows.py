"""Windows that are learnt of pictures that are seen as a whole."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from stereohg.data.transforms import RandomCrop
from stereohg.models.chance import as_by_chance
from stereohg.models.registry import create_model
from stereohg.training.config import Augmentation, DataConfig, LossConfig
from stereohg.training.stereo import StereoTask
from stereohg.training.windows import Window
from tests import runs


def test_chance_is_of_the_picture_alone_and_even():
    pictures = torch.randn(600, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    drawn = as_by_chance(pictures, 6)
    assert torch.equal(drawn[7:9], as_by_chance(pictures[7:9], 6))
    assert set(drawn.tolist()) == set(range(6)) and min(Counter(drawn.tolist()).values()) > 60
    assert 60 < (drawn == as_by_chance(pictures, 6, salt=1)).sum() < 140  # a sixth, by chance


def numbered(batch: int, height: int, width: int) -> torch.Tensor:
    """(B,H,W): each pixel's row and column as a number."""
    return (1000.0 * torch.arange(height)[:, None] + torch.arange(width)).expand(batch, -1, -1)


def test_windows_lie_alike_in_pictures_and_in_what_was_seen_of_them():
    window, left = Window(32, 64), torch.randn(200, 3, 96, 192, generator=torch.Generator().manual_seed(0))
    corners = window.corners(left)
    assert set(corners) == {(row, column) for row in (0, 32, 64) for column in (0, 32, 64, 96, 128)}
    cut, of_quarter = window.cut(numbered(200, 96, 192), corners), window.cut(numbered(200, 24, 48), corners, 4)
    assert cut.shape == (200, 32, 64) and of_quarter.shape == (200, 8, 16)
    assert cut[:, 0, 0].tolist() == [1000 * row + column for row, column in corners]
    assert of_quarter[:, 0, 0].tolist() == [1000 * (row // 4) + column // 4 for row, column in corners]


def test_what_is_too_small_for_its_window_is_refused():
    with pytest.raises(ValueError, match="a window of 128x64 .* does not fit into pictures of 96x64"):
        Window(64, 128).corners(torch.zeros(1, 3, 64, 96))


def test_chance_is_of_all_of_the_picture():
    """As of crops of one picture whose corners are all the same sky."""
    pictures = torch.randn(60, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    pictures[:, :, :16] = 1.0
    assert set(as_by_chance(pictures, 6).tolist()) == set(range(6))


def windowed(heads: list[float] = (0.5, 1.0), **window) -> StereoTask:
    data = DataConfig("synthetic", options={"length": 2, "height": 64, "width": 160, "max_disp": 20})
    plain = {"augmentation": Augmentation(crop=RandomCrop(64, 160)), "loss": LossConfig(heads=list(heads))}
    return StereoTask(replace(runs.TINY, data=data, window=Window(**window), **plain))


def test_a_window_as_large_as_the_picture_changes_nothing():
    own = windowed([0.5, 1.0], height=64, width=160)
    network = create_model("hgstereo_s", max_disp=32)
    measures = []
    for task in (own, StereoTask(replace(own.config, window=None))):
        task.network()
        batch = task.collate([task.samples[0], task.samples[1]])
        measures.append(task.losses(deepcopy(network).train(), batch, task.counts(batch)))
    torch.testing.assert_close(*measures)


def test_only_the_window_is_learnt_and_the_whole_is_seen():
    own = windowed([1.0], height=32, width=64)
    batch = own.collate([own.samples[0], own.samples[1]])
    corners = own.config.window.corners(batch.left)
    asked = {}

    class Network:
        def seen_beforehand(self, left, right):
            asked["look"] = left.shape
            return (numbered(2, 16, 40).unsqueeze(1),)

        def forward_with_similarities(self, left, right, seen):
            asked["match"], asked["seen"] = left.shape, seen[:, 0, 0, 0].tolist()
            return [own.config.window.cut(batch.disparity, corners) + 2], [None]

    assert own.counts(batch)[0] == 2 * 32 * 64
    assert own.losses(Network(), batch, own.counts(batch)).tolist() == pytest.approx([1.5, 2, 0])
    assert asked["look"] == (2, 3, 64, 160) and asked["match"] == (2, 3, 32, 64)
    assert asked["seen"] == [1000 * (row // 4) + column // 4 for row, column in corners]


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_step_with_windows_and_the_coarse_answer(tmp_path, channels_last):
    own = windowed([0.5, 1.0], height=32, width=64).config
    config = replace(own, steps=2, loss=replace(own.loss, coarse=0.5), channels_last=channels_last)
    assert runs.run(config, tmp_path) is not None
    assert len(runs.losses(tmp_path)) == 2
