"""Losses worked by hand, and safe without ground truth."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from stereohg.models.stereo import Look
from stereohg.training.losses import (
    block_distribution,
    block_weights,
    border_weights,
    coarse_counts,
    coarse_loss,
    distribution_loss,
    known_blocks,
    masked_mean,
    multi_head_distribution,
    multi_head_smooth_l1,
)

NOWHERE = torch.zeros(1, 4, 8, dtype=torch.bool)


def test_masked_mean_by_hand():
    assert masked_mean(torch.tensor([1.0, 5.0, 100.0]), torch.tensor([True, True, False])).item() == 3.0


def test_smooth_l1_by_hand():
    truth = torch.zeros(1, 1, 2)
    near, far = torch.tensor([[[0.5, 9.0]]]), torch.tensor([[[3.0, 9.0]]])
    valid = torch.tensor([[[True, False]]])
    # 0.5 * 0.5^2 = 0.125 below one pixel, |3| - 0.5 = 2.5 above
    assert multi_head_smooth_l1([near, far], truth, valid, [0.5, 1.0]).item() == pytest.approx(0.5 * 0.125 + 2.5)


def test_block_distribution_by_hand():
    disparity = torch.full((1, 4, 4), 6.0)  # level 1.5: half to level 1, half to level 2
    disparity[0, 0] = 20.0  # a quarter of the block lies on another surface, at level 5
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    target = block_distribution(disparity, valid, num_levels=8)
    assert target.flatten().tolist() == pytest.approx([0, 0.375, 0.375, 0, 0, 0.25, 0, 0])


def test_borders_by_hand():
    """A bar of 10 pixels' disparity at columns 20 and 21, before a wall of 2."""
    disparity, valid = torch.full((1, 12, 40), 2.0), torch.ones(1, 12, 40, dtype=torch.bool)
    disparity[..., 20:22] = 10
    weights = border_weights(disparity, valid, 3.0)
    assert weights[0].unique(dim=0).shape[0] == 1  # every row alike
    at_jump, hidden, outside = {*range(16, 26)}, {12, 13}, {0, 1}
    hidden |= {11, 14}  # what lands beside the bar may be hidden, too
    assert [x for x, weight in enumerate(weights[0, 0].tolist()) if weight == 4] == sorted(at_jump | hidden | outside)
    assert weights.unique().tolist() == [1, 4]
    valid[..., 20:22] = False  # a bar that nobody knows of is none, and is not hidden itself
    assert (border_weights(disparity, valid, 3.0)[0, 0] == 4).nonzero().flatten().tolist() == [0, 1]


@given(share=st.sampled_from([0.05, 0.2, 1.0]), seed=st.integers(0, 2**31))
def test_a_wall_of_sparse_truth_weighs_as_much_as_one_of_dense(share, seed):
    valid = torch.rand(1, 16, 48, generator=torch.Generator().manual_seed(seed)) < share
    pixels = border_weights(torch.full((1, 16, 48), 2.0), valid, 3.0)
    blocks = block_weights(pixels, valid)
    known = F.max_pool2d(valid.float(), 4).bool()
    assert (blocks[..., 1:][known[..., 1:]] == 1).all() and (blocks[~known] == 0).all()


def test_weights_of_blocks_are_those_of_their_known_pixels():
    pixels, valid = torch.ones(1, 4, 8), torch.zeros(1, 4, 8, dtype=torch.bool)
    pixels[0, 0], valid[0, :2, :4] = 3.0, True
    assert block_weights(pixels, valid).flatten().tolist() == [2.0, 0.0]


def test_weights_of_pixels_by_hand():
    truth, valid = torch.zeros(1, 4, 8), torch.ones(1, 4, 8, dtype=torch.bool)
    pixels = torch.ones(1, 4, 8)
    pixels[..., :4] = 3
    prediction = torch.zeros(1, 4, 8)
    prediction[..., 0] = 3.0  # 2.5 in an eighth of the pixels, three times
    assert multi_head_smooth_l1([prediction], truth, valid, [1.0], None, pixels).item() == pytest.approx(2.5 * 3 / 8)
    similarity = torch.zeros(1, 2, 1, 2)  # ln 2 in both blocks, of which the first counts three times
    target = block_distribution(truth, valid, 2)
    loss = multi_head_distribution([similarity], target, [1.0], None, block_weights(pixels, valid))
    assert loss.item() == pytest.approx(2 * math.log(2) * (3 + 1) / 2)


def test_the_coarse_loss_by_hand():
    """Of 16x16 pixels: 8x8 of half the size, four by four cells, two by two blocks; a row of cells is not known."""
    disparity, valid = torch.full((1, 16, 16), 12.0), torch.ones(1, 16, 16, dtype=torch.bool)
    valid[:, :4] = False
    answer = torch.full((1, 2, 4, 4), 5.0)  # level 3 of the whole, 2 off: a smooth L1 of 1.5
    similarity = torch.zeros(1, 4, 3, 4)  # padded by a row at the top and two columns on the right; four levels alike
    looks = [Look(answer, similarity)]
    assert coarse_loss(looks, disparity, valid).item() == pytest.approx(1.5 + 2 * math.log(4))
    assert [count.item() for count in coarse_counts(disparity, valid, (4,))] == [12, 4]
    similarity[:, 1:3, 1:, :2] = 100.0  # half to half, as the target: 6 pixels, level 1.5; what was padded is not known
    assert coarse_loss(looks, disparity, valid).item() == pytest.approx(1.5 + 2 * math.log(2))
    counts = [torch.tensor(24), torch.tensor(8)]  # of two such pictures
    assert coarse_loss(looks, disparity, valid, counts).item() == pytest.approx(0.75 + math.log(2))


def test_the_coarse_loss_of_two_looks():
    """The second is of half of the first's picture with its padding: level 1.5 of that, 3 of the whole."""
    disparity, valid = torch.full((1, 16, 16), 12.0), torch.ones(1, 16, 16, dtype=torch.bool)
    fine = Look(torch.full((1, 2, 4, 4), 3.0), torch.full((1, 4, 4, 4), 0.0))  # right; padded to 16x16
    coarse = Look(torch.full((1, 2, 4, 4), 4.5), torch.full((1, 2, 2, 2), 0.0))  # 3 off: a smooth L1 of 2.5
    known = [count.item() for count in coarse_counts(disparity, valid, (2, 4))]
    assert known == [16, 4, 4, 1]
    loss = coarse_loss([coarse, fine], disparity, valid)
    assert loss.item() == pytest.approx(2 * math.log(4) + 2.5 + 2 * math.log(2))


def test_pictures_without_whole_blocks_are_refused():
    with pytest.raises(ValueError, match="pictures of 6x4 have no whole blocks of 4; give an augmentation.crop"):
        block_distribution(torch.zeros(1, 4, 6), torch.ones(1, 4, 6, dtype=torch.bool), num_levels=8)


def test_block_distribution_leaves_out_what_is_unknown_or_out_of_range():
    disparity = torch.full((1, 4, 8), 4.0)
    disparity[0, :, 4:] = 400.0
    valid = torch.ones(1, 4, 8, dtype=torch.bool)
    valid[0, 0, 0] = False
    target = block_distribution(disparity, valid, num_levels=8)
    assert target[0, 1, 0].tolist() == [1.0, 0.0]
    assert target.sum().item() == pytest.approx(1.0)


def test_the_last_level_keeps_its_share():
    target = block_distribution(torch.full((1, 4, 4), 28.0), torch.ones(1, 4, 4, dtype=torch.bool), num_levels=8)
    assert target.flatten().tolist() == [0.0] * 7 + [1.0]


def test_beyond_the_last_level_nothing_is_known():
    target = block_distribution(torch.full((1, 4, 4), 30.0), torch.ones(1, 4, 4, dtype=torch.bool), num_levels=8)
    assert not target.any()  # 7.5 lies between the last level and one that there is not


def test_distribution_loss_by_hand():
    similarity = torch.tensor([0.0, 0.0]).view(1, 2, 1, 1)
    assert distribution_loss(similarity, torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)).item() == pytest.approx(0.693147)


def test_without_ground_truth_losses_are_zero_and_gradients_finite():
    prediction = torch.randn(1, 4, 8, requires_grad=True)
    similarity = torch.randn(1, 8, 1, 2, requires_grad=True)
    unknown = torch.full((1, 4, 8), torch.nan)
    target = block_distribution(unknown, NOWHERE, num_levels=8)
    loss = multi_head_smooth_l1([prediction], unknown, NOWHERE, [1.0])
    loss = loss + multi_head_distribution([similarity], target, [1.0])
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad.abs().max() == 0 and similarity.grad.abs().max() == 0


def test_the_heads_of_the_distribution_by_hand():
    """Twice the weighted sum of ln 2 and -ln sigmoid(1)."""
    even, leaning = (torch.tensor([score, 0.0]).view(1, 2, 1, 1) for score in (0.0, 1.0))
    target = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    loss = multi_head_distribution([even, leaning], target, [0.5, 1.0])
    assert loss.item() == pytest.approx(2 * (0.5 * 0.693147 + 0.313262), rel=1e-5)


def test_a_count_takes_the_place_of_ones_own():
    values, valid = torch.tensor([1.0, 5.0]), torch.tensor([True, True])
    assert masked_mean(values, valid, torch.tensor(12)).item() == 0.5
    assert masked_mean(values, ~valid, torch.tensor(0)).item() == 0


def test_parts_with_a_common_count_add_up_to_the_whole():
    """The first picture knows 4 of its 32 pixels and the second all; a mean of means would count them alike."""
    generator = torch.Generator().manual_seed(0)
    disparity = 28 * torch.rand(2, 4, 8, generator=generator)
    valid = torch.ones(2, 4, 8, dtype=torch.bool)
    valid[0, :, 1:] = False
    heads = [(30 * torch.rand(2, 4, 8, generator=generator)).requires_grad_() for _ in (0, 1)]
    similarities = [torch.randn(2, 8, 1, 2, generator=generator).requires_grad_() for _ in (0, 1)]
    pixels, blocks = valid.sum(), known_blocks(block_distribution(disparity, valid, 8)).sum()
    assert (pixels, blocks) == (4 + 32, 1 + 2)

    def loss(part, *counts):
        target = block_distribution(disparity[part], valid[part], 8)
        pixel_count, block_count = counts or (None, None)
        smooth = multi_head_smooth_l1(
            [head[part] for head in heads], disparity[part], valid[part], [0.5, 1.0], pixel_count
        )
        return smooth + multi_head_distribution(
            [similarity[part] for similarity in similarities], target, [0.5, 1.0], block_count
        )

    whole = loss(slice(0, 2))
    parts = [loss(slice(number, number + 1), pixels, blocks) for number in (0, 1)]
    torch.testing.assert_close(sum(parts), whole)
    gradients = torch.autograd.grad(whole, heads + similarities)
    for expected, found in zip(gradients, torch.autograd.grad(sum(parts), heads + similarities), strict=True):
        torch.testing.assert_close(found, expected)
    alone = [loss(slice(number, number + 1)) for number in (0, 1)]
    assert abs(sum(alone) / 2 - whole).item() > 0.01


def test_each_head_has_a_weight():
    disparity, valid = torch.zeros(1, 4, 8), torch.ones(1, 4, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"the network has 2 heads, and loss.heads is \[1.0\]"):
        multi_head_smooth_l1([disparity, disparity], disparity, valid, [1.0])
