"""The losses of the keypoint network, by hand."""

import pytest
import torch

from stereohg.training.heatmap_losses import heatmap_loss, keypoint_errors


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two keypoints of 2x2 cells: the first off by 1 in one cell, the second by 2 in all."""
    truth = torch.zeros(1, 2, 2, 2)
    prediction = truth.clone()
    prediction[0, 0, 0, 0] = 1
    prediction[0, 1] = 2
    return prediction, truth, torch.ones(1, 2)


def test_by_hand():
    prediction, truth, weight = example()
    assert keypoint_errors(prediction, truth, weight).tolist() == [[0.5 * 1 / 4, 0.5 * 4]]
    assert heatmap_loss([prediction], truth, weight).item() == (0.125 + 2) / 2
    assert heatmap_loss([prediction, truth, prediction], truth, weight).item() == 0.125 + 2  # stacks are summed


def test_what_does_not_count_is_still_divided_by():
    prediction, truth, weight = example()
    weight[0, 1] = 0
    prediction[0, 1] = torch.nan
    prediction.requires_grad_()
    loss = heatmap_loss([prediction], truth, weight)
    assert loss.item() == 0.125 / 2
    loss.backward()
    assert prediction.grad.isfinite().all() and not prediction.grad[0, 1].any()


def test_a_weight_scales_prediction_and_truth():
    """As pytorch-pose's, so that the error has its square."""
    prediction, truth, weight = example()
    assert keypoint_errors(prediction, truth, weight / 2).tolist() == [[0.125 / 4, 2 / 4]]


def test_the_hardest():
    prediction, truth, weight = example()
    assert heatmap_loss([prediction], truth, weight, hardest=1).item() == 2
    assert heatmap_loss([prediction], truth, weight, hardest=2) == heatmap_loss([prediction], truth, weight)
    both = [torch.cat([x, x.flip(1)]) for x in (prediction, truth, weight)]
    assert heatmap_loss([both[0]], both[1], both[2], hardest=1).item() == 2  # of each person
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=f"hardest is {wrong}; it is a number of keypoints, 1 to 2"):
            heatmap_loss([prediction], truth, weight, hardest=wrong)


def test_parts_with_a_common_count_add_up():
    """Three people, whose errors are 0.125 and 2, in parts of two and one: not the mean of the parts' means."""
    prediction, truth, weight = (torch.cat([x] * 3) for x in example())
    prediction[2] = 0
    whole = heatmap_loss([prediction, truth], truth, weight, count=torch.tensor(3))
    assert whole.item() == pytest.approx(2 * (0.125 + 2) / 2 / 3)
    parts = [
        heatmap_loss([prediction[own], truth[own]], truth[own], weight[own], count=torch.tensor(3))
        for own in (slice(2), slice(2, 3))
    ]
    assert [part.item() for part in parts] == pytest.approx([whole.item(), 0])
    hardest = heatmap_loss([prediction[:2]], truth[:2], weight[:2], hardest=1, count=torch.tensor(3))
    assert hardest.item() == pytest.approx(2 * 2 / 3)
    nobody = heatmap_loss([prediction[:1]], truth[:1], 0 * weight[:1], count=torch.tensor(0))
    assert nobody.item() == 0


def test_half_precision_is_summed_in_float32():
    prediction, truth, weight = example()
    assert heatmap_loss([prediction.bfloat16()], truth, weight).dtype == torch.float32
