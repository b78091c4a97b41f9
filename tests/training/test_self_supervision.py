"""Learning without ground truth: what each part of the loss says, by hand, and that it leads to the truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stereohg.commands.train import train
from stereohg.data.synthetic import SyntheticStereo
from stereohg.data.transforms import Colour, HorizontalFlip, OccludingPatch, VerticalShift
from stereohg.training.config import Augmentation, DataConfig, LossConfig
from stereohg.training.self_supervision import (
    SelfSupervisedTask,
    moved,
    other_views,
    photometric_error,
    smoothness_error,
)
from stereohg.training.windows import Window
from tests import runs, trees

PHOTOMETRIC = replace(runs.TINY, loss=LossConfig("photometric", [1.0]))


class Given(nn.Module):
    """Answers with disparities of its own (2B,H,W), which can be learned."""

    def __init__(self, disparity: torch.Tensor):
        super().__init__()
        self.disparity = nn.Parameter(disparity)

    def forward(self, left, right):
        return [self.disparity]


# --- the parts ------------------------------------------------------------------------------------------------------


def test_moved_by_hand():
    """At the left x the right picture and its disparities of x - d; half-way between pixels, their mean."""
    image = torch.tensor([10.0, 20.0, 30.0, 40.0]).expand(1, 3, 2, 4)
    of_image = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(1, 2, 4)
    seen, of_other, inside = moved(image, of_image, torch.tensor([2.0, 1.0, 0.5, 0.0]).expand(1, 2, 4))
    assert seen[0, 0, 1].tolist() == pytest.approx([10, 10, 25, 40])
    assert of_other[0, 1].tolist() == pytest.approx([1, 1, 2.5, 4])
    assert inside[0, 0].tolist() == [False, True, True, True]


def test_other_views_are_the_mirrored_ones():
    own, mirrored = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 4.0]]])
    of_right, of_mirrored_right = other_views(torch.cat((own, mirrored)))
    assert of_right.tolist() == [[4, 3]] and of_mirrored_right.tolist() == [[2, 1]]


def test_photometric_error_by_hand():
    dark, bright = torch.full((1, 3, 4, 5), 0.2), torch.full((1, 3, 4, 5), 0.6)
    assert photometric_error(dark, dark).abs().max() < 1e-6
    similarity = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)  # flat pictures differ in luminance alone
    expected = 0.85 * (1 - similarity) / 2 + 0.15 * 0.4
    torch.testing.assert_close(photometric_error(dark, bright), torch.full((1, 4, 5), expected), atol=1e-4, rtol=0)


def test_smoothness_by_hand():
    """A step of 2 counts in full within a smooth picture, and 1/e of it on an edge from black to white."""
    disparity = torch.tensor([[[1.0, 3.0, 5.0]]])
    image = torch.tensor([0.0, 0.0, 1.0]).expand(1, 3, 1, 3)
    assert smoothness_error(disparity, image)[0, 0].tolist() == pytest.approx([2, 2 / np.e, 0])


# --- the task -------------------------------------------------------------------------------------------------------


@pytest.fixture
def wall(tmp_path):
    """The tests' wall, row y at 4 + y/8 pixels."""
    return replace(PHOTOMETRIC, data=runs.on_folder(runs.pairs(tmp_path, [0])).data)  # none of its rows is known


def losses(config, disparity: torch.Tensor) -> list[float]:
    """Of a network that answers with this and its mirrored disparity."""
    own = SelfSupervisedTask(config)
    batch = own.collate([own.samples[0]])
    return own.losses(Given(disparity), batch, own.counts(batch)).tolist()


def test_the_true_disparity_has_the_least_loss(wall):
    truth = torch.from_numpy(trees.disparity()).expand(2, -1, -1).clone()  # a wall looks alike from both sides
    loss, photometric, inconsistent = losses(wall, truth)
    assert inconsistent < 0.02 and photometric < 0.01
    for change in (-2, -1, 1, 2):
        worse = losses(wall, truth + change)
        assert worse[0] > 2 * loss and worse[1] > 2 * photometric


def test_every_pixel_counts_and_no_truth_is_seen(wall):
    own = SelfSupervisedTask(wall)
    batch = own.collate([own.samples[0]])
    assert own.counts(batch).tolist() == [trees.HEIGHT * trees.WIDTH]
    assert own.counts(own.collate([own.uncounted(own.samples[0])])).tolist() == [0]
    network = Given(torch.ones(1, trees.HEIGHT, trees.WIDTH)).requires_grad_(False)
    assert set(own.pictures(network, batch)) == {"left", "prediction"}


def test_no_disparity_is_read(tmp_path):
    trees.own_folders(tmp_path)
    (tmp_path / "disparity/a.pfm").write_bytes(b"damaged")
    config = replace(PHOTOMETRIC, data=DataConfig("folder", tmp_path), augmentation=Augmentation(crop=None))
    assert SelfSupervisedTask(config).samples[0].valid.all()
    (tmp_path / "disparity/a.pfm").unlink()
    (tmp_path / "disparity/a_colour.png").touch()  # as predict leaves it
    assert len(SelfSupervisedTask(config).samples) == 2
    (tmp_path / "pairs.csv").write_text("left,right,disparity\nleft/a.png,right/a.png,disparity/none.pfm\n")
    assert len(SelfSupervisedTask(replace(config, data=DataConfig("folder", tmp_path / "pairs.csv"))).samples) == 1


def test_parts_add_up():
    """As the loop wants it: the parts' losses, over the counts of all of them, are that of the whole."""
    own = SelfSupervisedTask(replace(PHOTOMETRIC, augmentation=Augmentation(crop=None)))
    samples = [own.samples[index] for index in range(3)]
    disparity = 10 + torch.rand(6, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = own.collate(samples)
    counts = own.counts(whole)
    expected = own.losses(Given(disparity), whole, counts)
    total = sum(own.losses(Given(disparity[[i, i + 3]]), own.collate([samples[i]]), counts) for i in range(3))
    torch.testing.assert_close(total, expected)


def test_disparities_go_to_the_truth():
    """Learned freely from a rendered pair, without its truth."""
    loss = replace(PHOTOMETRIC.loss, consistency=0.0)
    config = replace(PHOTOMETRIC, loss=loss, data=replace(PHOTOMETRIC.data, options={"height": 64, "width": 96}))
    scene = SyntheticStereo(64, 96, seed=0, asymmetry=0)[0]
    own = SelfSupervisedTask(config)
    sample = replace(own.samples[0], left=scene.left, right=scene.right)
    batch = own.collate([sample])
    truth = torch.from_numpy(scene.disparity)
    visible = torch.from_numpy(~scene.occluded)
    begin = (truth + 1.5).expand(2, -1, -1).clone()
    begin[1] = 0  # of the mirrored view nothing is known
    network = Given(begin)
    optimiser = torch.optim.Adam(network.parameters(), 0.05)
    errors = []
    for _ in range(100):
        errors.append((network.disparity[0] - truth)[visible].abs().median().item())
        optimiser.zero_grad()
        own.losses(network, batch, own.counts(batch))[0].backward()
        optimiser.step()
    assert errors[0] == pytest.approx(1.5, abs=1e-5) and errors[-1] < 0.5


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"augmentation": Augmentation(patch=OccludingPatch())}, "augmentation.patch"),
        ({"augmentation": Augmentation(vertical_shift=VerticalShift())}, "augmentation.vertical_shift"),
        ({"augmentation": Augmentation(colour=Colour(asymmetric=0.5))}, "augmentation.colour.asymmetric"),
        ({"loss": LossConfig("photometric", below=32)}, "loss.below"),
        ({"window": Window(32, 64)}, "window"),
        ({"loss": LossConfig("photometric", coarse=0.5)}, "loss.coarse"),
        ({"augmentation": Augmentation(horizontal_flip=HorizontalFlip())}, "augmentation.horizontal_flip"),
    ],
)
def test_pictures_must_stay_alike(change, name):
    with pytest.raises(ValueError, match=f"compares the two whole pictures, and knows no truth; leave out {name}"):
        SelfSupervisedTask(replace(PHOTOMETRIC, **change))


def test_every_head_has_a_weight():
    own = SelfSupervisedTask(replace(PHOTOMETRIC, loss=LossConfig("photometric", [1.0])))
    batch = own.collate([own.samples[0]])
    with pytest.raises(ValueError, match=r"the network has 2 heads, and loss.heads is \[1.0\]"):
        own.losses(own.network(), batch, own.counts(batch))


def test_the_command_takes_it(tmp_path):
    settings = {name: getattr(PHOTOMETRIC, name) for name in PHOTOMETRIC.__dataclass_fields__}
    settings |= {"loss": LossConfig("photometric", [0.5, 1.0]), "steps": 2, "freeze_batch_norm": True}
    train(tmp_path, **settings)
    assert {"loss", "photometric", "inconsistent"} <= set(runs.history(tmp_path)[0])
