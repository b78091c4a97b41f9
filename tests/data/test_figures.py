"""The made figures: the same whenever they are read, and their keypoints where they are drawn."""

import numpy as np
import pytest

from stereohg.data.people import figures
from stereohg.data.people.figures import StickFigures, render_figure
from stereohg.data.people.skeletons import MPII
from stereohg.data.people.transforms import Augmentation


def test_a_figure_is_of_its_seed_and_index():
    dataset = StickFigures(5, picture=(96, 128), seed=3)
    first, again, other = dataset.read(2), dataset.read(2), StickFigures(5, picture=(96, 128), seed=4).read(2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.person.keypoints, again.person.keypoints)
    assert not np.array_equal(first.image, other.image) and not np.array_equal(first.image, dataset.read(3).image)
    assert first.image.shape == (96, 128, 3) and first.image.dtype == np.uint8 and first.person.name == "figure_2"


def test_it_is_a_set_like_any_other():
    dataset = StickFigures(4, picture=(96, 96), size=(64, 64), augmentation=Augmentation())
    assert len(dataset) == 4
    example = dataset[3]
    assert example.image.shape == (64, 64, 3) and example.heatmaps.shape == (16, 16, 16) and example.weight.any()
    assert not np.array_equal(example.image, dataset.sample(3, epoch=1).image)
    assert [person.name for person in dataset.people] == ["figure_0", "figure_1", "figure_2", "figure_3"]
    with pytest.raises(IndexError, match="there is no number 4"):
        dataset[4]
    with pytest.raises(ValueError, match="StickFigures has nobody in it"):
        StickFigures(0)


@pytest.mark.parametrize("index", range(8))
def test_keypoints_are_in_the_picture_and_limbs_of_one_body(index):
    person = StickFigures(8, picture=(150, 200)).read(index).person
    points = person.keypoints
    assert (points >= 0).all() and (points <= [199, 149]).all()
    assert 0.5 * 150 - 1 <= np.ptp(points, 0).max() <= 0.9 * 150 + 1
    length = {limb: np.linalg.norm(points[limb[0]] - points[limb[1]]) for limb in MPII.limbs}
    tall = length[(6, 7)] / figures.SPINE
    for limb, share in (((0, 1), figures.SHIN), ((4, 5), figures.SHIN), ((10, 11), figures.FOREARM)):
        assert length[limb] == pytest.approx(share * tall, rel=1e-3)
    assert person.head_size == pytest.approx(0.6 * figures.HEAD * tall, rel=1e-3)
    np.testing.assert_allclose(points[6], (points[2] + points[3]) / 2, atol=1e-3)  # the pelvis between the hips
    assert points[12, 0] < points[13, 0] and person.labelled.all()  # it faces the camera


def test_keypoints_are_where_the_body_is_drawn(monkeypatch):
    """All black, but for a white body and things before it of a grey that hides."""
    paints = []

    def paint(random, textures, size):
        paints.append({0: 0, 1: 255, 2: 255, 3: 255}.get(len(paints), 90))
        return np.full((*size, 3), paints[-1], np.uint8)

    monkeypatch.setattr(figures, "_patch", paint)
    hidden = 0
    for seed in range(20):
        paints.clear()
        image, points, visible = render_figure(np.random.default_rng(seed), (200, 200))
        columns, rows = np.rint(points).astype(int).T
        seen = image[rows, columns, 0]
        assert (seen[visible] > 120).all() and (seen[~visible] < 180).all()
        assert image[0, 0, 0] in (0, 90) and np.mean(image[..., 0] > 120) < 0.35
        hidden += np.count_nonzero(~visible)
    assert 10 < hidden < 100
