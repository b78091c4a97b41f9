"""PSMNet and GwcNet, written out once more from the papers: functions over the authors' own keys.

A second way to the same numbers, which shares no line with ``stereohg``: ``torch.nn.functional``, loops over the
disparities, the published loss, mask and Adam. ``training/test_recipe_parity.py`` holds it to the numbers that the
authors' code gave, and the training loop to it; ``benchmarks/networks.py`` measures against it. ``w`` is a flat dict of
tensors by published key (``parity/NAME.keys.json``). All heads answer, and running means and variances change with each
forward, as they do there in training; within ``evaluation()`` they stay and are used, and the last head answers. What
the authors' code names in ``forward`` it holds until the answer is there, and so does this (``held``): memory is
compared, too.

In one place the published code fails and the rule of ``stereohg.models.features`` stands instead: PSMNet's pooling
windows shrink to a feature map that is smaller. From 256 x 256 pixels on nothing shrinks.

Shapes: B batch, D disparity levels, H height, W width; image (B,3,H,W), features (B,C,H/4,W/4), volume
(B,C,D/4,H/4,W/4), disparity (B,H,W).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]
training, align_corners = True, False


@contextmanager
def evaluation(corners: bool = False) -> Iterator[None]:
    """As the authors' code after ``eval()``; with ``corners`` aligned, as in PyTorch before 0.4.1."""
    global training, align_corners
    training, align_corners = False, corners
    try:
        with torch.inference_mode():
            yield
    finally:
        training, align_corners = True, False


# --- layers ---------------------------------------------------------------------------------------------------------


def conv(w: Weights, key: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    kernel = w[f"{key}.weight"]
    convolve = F.conv3d if kernel.dim() == 5 else F.conv2d
    return convolve(x, kernel, stride=stride, padding=dilation * (kernel.shape[-1] // 2), dilation=dilation)


def norm(w: Weights, key: str, x: Tensor) -> Tensor:
    """In training by the mean and variance of the batch; the running ones follow by a tenth."""
    if training:
        w[f"{key}.num_batches_tracked"] += 1
    running, learned = (w[f"{key}.running_mean"], w[f"{key}.running_var"]), (w[f"{key}.weight"], w[f"{key}.bias"])
    return F.batch_norm(x, *running, *learned, training=training, momentum=0.1, eps=1e-5)


def conv_norm(w: Weights, key: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    return norm(w, f"{key}.1", conv(w, f"{key}.0", x, stride, dilation))


def doubled(w: Weights, key: str, x: Tensor) -> Tensor:
    x = F.conv_transpose3d(x, w[f"{key}.0.weight"], stride=2, padding=1, output_padding=1)
    return norm(w, f"{key}.1", x)


# --- features (PSMNet, table 1; GwcNet, section 3.1) ----------------------------------------------------------------

LAYERS = (("layer1", 3, 1, 1), ("layer2", 16, 2, 1), ("layer3", 3, 1, 1), ("layer4", 3, 1, 2))
"""Name, blocks, stride of the first block, dilation."""


def trunk(w: Weights, x: Tensor) -> list[Tensor]:
    """The answers of the four layers."""
    for name, stride in (("firstconv.0", 2), ("firstconv.2", 1), ("firstconv.4", 1)):
        x = F.relu_(conv_norm(w, f"feature_extraction.{name}", x, stride))
    answers = []
    for name, blocks, stride, dilation in LAYERS:
        for block in range(blocks):
            key, step = f"feature_extraction.{name}.{block}", stride if block == 0 else 1
            y = F.relu_(conv_norm(w, f"{key}.conv1.0", x, step, dilation))
            y = conv_norm(w, f"{key}.conv2", y, 1, dilation)
            x = y + (conv_norm(w, f"{key}.downsample", x, step) if f"{key}.downsample.0.weight" in w else x)
        answers.append(x)
    return answers


def fused(w: Weights, x: Tensor) -> Tensor:
    x = F.relu_(conv_norm(w, "feature_extraction.lastconv.0", x))
    return conv(w, "feature_extraction.lastconv.2", x)


def pyramid_features(w: Weights, image: Tensor) -> Tensor:
    """PSMNet's 32 channels."""
    _, second, _, fourth = trunk(w, image)
    height, width = fourth.shape[-2:]
    parts = [second, fourth]
    for branch, window in ((4, 8), (3, 16), (2, 32), (1, 64)):
        means = F.avg_pool2d(fourth, (min(window, height), min(window, width)))
        means = F.relu_(conv_norm(w, f"feature_extraction.branch{branch}.1", means))
        parts.append(F.interpolate(means, (height, width), mode="bilinear", align_corners=align_corners))
    return fused(w, torch.cat(parts, 1))


# --- from volume to disparity ---------------------------------------------------------------------------------------


def concatenated(left: Tensor, right: Tensor, levels: int) -> Tensor:
    batch, channels, height, width = left.shape
    volume = left.new_zeros(batch, 2 * channels, levels, height, width)
    for d in range(levels):
        volume[:, :channels, d, :, d:] = left[..., d:]
        volume[:, channels:, d, :, d:] = right[..., : width - d]
    return volume


def correlated(left: Tensor, right: Tensor, levels: int, groups: int) -> Tensor:
    batch, channels, height, width = left.shape
    volume = left.new_zeros(batch, groups, levels, height, width)
    for d in range(levels):
        products = left[..., d:] * right[..., : width - d]
        volume[:, :, d, :, d:] = products.reshape(batch, groups, channels // groups, height, -1).mean(2)
    return volume


def entry(w: Weights, volume: Tensor) -> Tensor:
    x = F.relu_(conv_norm(w, "dres0.0", volume))
    x = F.relu_(conv_norm(w, "dres0.2", x))
    return x + conv_norm(w, "dres1.2", F.relu_(conv_norm(w, "dres1.0", x)))


def classified(w: Weights, key: str, x: Tensor) -> Tensor:
    return conv(w, f"{key}.2", F.relu_(conv_norm(w, f"{key}.0", x)))


def expected(similarity: Tensor, max_disp: int, repeats: bool = False) -> Tensor:
    """(B,1,D/4,H/4,W/4) -> (B,H,W); PSMNet ``repeats`` the levels for every pixel."""
    height, width = similarity.shape[-2:]
    full = F.interpolate(similarity, (max_disp, 4 * height, 4 * width), mode="trilinear", align_corners=align_corners)
    probability = F.softmax(full[:, 0], 1)
    levels = torch.arange(max_disp, dtype=probability.dtype, device=probability.device).view(1, -1, 1, 1)
    if repeats:
        levels = levels.repeat(len(probability), 1, 4 * height, 4 * width)
    return (probability * levels).sum(1)


# --- the networks ---------------------------------------------------------------------------------------------------


def psmnet(w: Weights, left: Tensor, right: Tensor, max_disp: int) -> list[Tensor]:
    """Three disparities; each hourglass (figure 2) adds the ``pre`` of the first and the ``post`` of the one before."""
    held = [concatenated(pyramid_features(w, left), pyramid_features(w, right), max_disp // 4)]
    first = entry(w, *held)
    x, first_pre, post, similarity, answers = first, None, 0, 0, []
    for i in (1, 2, 3):
        key = f"dres{i + 1}"
        pre = F.relu_(conv_norm(w, f"{key}.conv2", F.relu_(conv_norm(w, f"{key}.conv1.0", x, stride=2))) + post)
        first_pre = pre if first_pre is None else first_pre
        low = F.relu_(conv_norm(w, f"{key}.conv3.0", pre, stride=2))
        low = F.relu_(conv_norm(w, f"{key}.conv4.0", low))
        post = F.relu_(doubled(w, f"{key}.conv5", low) + first_pre)
        x = doubled(w, f"{key}.conv6", post) + first
        similarity = similarity + classified(w, f"classif{i}", x)
        held += [pre, post, x, similarity]
        if training or i == 3:
            answers.append(expected(similarity, max_disp, repeats=True))
    return answers


def gwcnet_g(w: Weights, left: Tensor, right: Tensor, max_disp: int) -> list[Tensor]:
    """Group-wise correlation alone."""
    left, right = (torch.cat(trunk(w, image)[1:], 1) for image in (left, right))
    return gwcnet_from_volume(w, correlated(left, right, max_disp // 4, groups=40), max_disp)


def gwcnet_gc(w: Weights, left: Tensor, right: Tensor, max_disp: int) -> list[Tensor]:
    """Correlation and concatenation."""
    left, right = (torch.cat(trunk(w, image)[1:], 1) for image in (left, right))
    groups = correlated(left, right, max_disp // 4, groups=40)
    concat = concatenated(fused(w, left), fused(w, right), max_disp // 4)
    volume = torch.cat((groups, concat), 1)
    return gwcnet_from_volume(w, volume, max_disp)


def gwcnet_from_volume(w: Weights, volume: Tensor, max_disp: int) -> list[Tensor]:
    """Four disparities, before and after each of three hourglasses (figure 3)."""
    x = entry(w, volume)
    held = [x]
    answers = [expected(classified(w, "classif0", x), max_disp)] if training else []
    for i in (1, 2, 3):
        key = f"dres{i + 1}"
        middle = F.relu_(conv_norm(w, f"{key}.conv2.0", F.relu_(conv_norm(w, f"{key}.conv1.0", x, stride=2))))
        low = F.relu_(conv_norm(w, f"{key}.conv3.0", middle, stride=2))
        low = F.relu_(conv_norm(w, f"{key}.conv4.0", low))
        up = F.relu_(doubled(w, f"{key}.conv5", low) + conv_norm(w, f"{key}.redir2", middle))
        x = F.relu_(doubled(w, f"{key}.conv6", up) + conv_norm(w, f"{key}.redir1", x))
        held.append(x)
        if training or i == 3:
            answers.append(expected(classified(w, f"classif{i}", x), max_disp))
    return answers


# --- training -------------------------------------------------------------------------------------------------------

NETWORKS = {"psmnet": psmnet, "gwcnet_g": gwcnet_g, "gwcnet_gc": gwcnet_gc}
HEADS = {"psmnet": (0.5, 0.7, 1.0), "gwcnet_g": (0.5, 0.5, 0.7, 1.0), "gwcnet_gc": (0.5, 0.5, 0.7, 1.0)}


def loss_of(name: str, answers: list[Tensor], disparity: Tensor, max_disp: int) -> Tensor:
    counts = disparity < max_disp
    if name.startswith("gwcnet"):
        counts &= disparity > 0
    means = [F.smooth_l1_loss(answer[counts], disparity[counts]) for answer in answers]
    return sum(weight * mean for weight, mean in zip(HEADS[name], means, strict=True))


def train(name: str, w: Weights, batches: Iterable[tuple[Tensor, Tensor, Tensor]], max_disp: int) -> Iterator[float]:
    """The loss of each batch (left, right, disparity), of which ``w`` learns before the next."""
    learned = [tensor.requires_grad_() for key, tensor in w.items() if key.endswith((".weight", ".bias"))]
    adam = torch.optim.Adam(learned, lr=1e-3, betas=(0.9, 0.999))
    for left, right, disparity in batches:
        loss = loss_of(name, NETWORKS[name](w, left, right, max_disp), disparity, max_disp)
        adam.zero_grad()
        loss.backward()
        adam.step()
        yield loss.item()
