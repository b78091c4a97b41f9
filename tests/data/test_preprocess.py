"""Whatever a picture comes as, the same picture gives the same input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stereohg.data.preprocess import IMAGENET_MEAN, IMAGENET_STD, Padding, as_rgb, normalise, to_tensor

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
PIXELS[0, 0] = 255


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS.astype(np.float32),
        PIXELS.astype(np.float64) / 255,
        PIXELS.astype(np.uint16) * 257,
        np.dstack([PIXELS, np.full((5, 7), 99, np.uint8)]),
        Image.fromarray(PIXELS),
        Image.fromarray(PIXELS).convert("RGBA"),
    ],
    ids=["float to 255", "float to 1", "uint16", "alpha", "PIL", "PIL alpha"],
)
def test_every_form_is_the_same_picture(picture):
    np.testing.assert_allclose(as_rgb(picture), PIXELS / 255, atol=1e-6)


def test_files_are_the_same_picture(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_allclose(as_rgb(path), PIXELS / 255, atol=1e-6)


@pytest.mark.parametrize(
    "grey", [PIXELS[..., 0], PIXELS[..., :1], Image.fromarray(PIXELS[..., 0]), PIXELS[..., 0].astype(np.uint16) * 257]
)
def test_grey_is_repeated(grey):
    np.testing.assert_allclose(as_rgb(grey), np.repeat(PIXELS[..., :1], 3, 2) / 255, atol=1e-6)


DEEP = np.array([[0, 65535, 32768, 1]], np.uint16)


@pytest.mark.parametrize("form", [DEEP.astype(np.int32), DEEP, DEEP.astype(">u2")], ids=["I", "I;16", "I;16B"])
def test_sixteen_bits_keep_their_depth(form, tmp_path):
    np.testing.assert_allclose(as_rgb(Image.fromarray(form))[0, :, 0], DEEP[0] / 65535)
    Image.fromarray(DEEP).save(tmp_path / "deep.png")
    np.testing.assert_allclose(as_rgb(tmp_path / "deep.png")[0, :, 0], DEEP[0] / 65535)


@pytest.mark.parametrize(
    "picture, complaint",
    [
        (np.zeros((4, 4, 2), np.uint8), r"not \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"not \(0, 4, 3\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"not \(1, 4, 4, 3\)"),
        (np.zeros((3, 5, 7), np.uint8), r"not \(3, 5, 7\); give picture.transpose\(1, 2, 0\)"),
        (torch.zeros(3, 5, 7), r"not Tensor; give picture.permute\(1, 2, 0\).numpy\(\)"),
        (np.zeros((4, 4), np.int64), "not int64"),
        (np.full((4, 4), -0.5), "goes from -0.5"),
        (np.full((4, 4), 300.0), "to 300"),
        (np.full((4, 4), np.nan), "without NaN"),
        (np.full((4, 4), 1.01), r"up to 1.01 could be either; clip it to \[0,1\]"),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), "goes from 70000 to 70000"),
        ([[1, 2]], "not list"),
    ],
)
def test_anything_else_is_an_error(picture, complaint):
    with pytest.raises(ValueError, match=complaint):
        as_rgb(picture)


def test_normalisation_by_hand():
    white = to_tensor(np.ones((1, 1, 3), np.float32)).flatten().tolist()
    expected = [(1 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    assert white == pytest.approx(expected)
    assert normalise(torch.tensor(IMAGENET_MEAN).view(3, 1, 1)).abs().max() == 0


@given(height=st.integers(1, 70), width=st.integers(1, 70), multiple=st.sampled_from([1, 16, 32]))
def test_padding_comes_off_again(height, width, multiple):
    x = torch.rand(1, 1, height, width) + 1
    padding = Padding(height, width, multiple)
    padded = padding.pad(x)
    assert padded.shape[-2] % multiple == padded.shape[-1] % multiple == 0
    assert padded.sum() == pytest.approx(x.sum().item(), rel=1e-5)
    assert torch.equal(padding.unpad(padded), x)


def test_padding_repeats_the_border_where_asked():
    padded = Padding(1, 1, 2, "replicate").pad(torch.full((1, 1, 1, 1), 3.0))
    assert padded[0, 0].tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_padding_is_at_the_top_and_on_the_right():
    padded = Padding(1, 1, 2).pad(torch.ones(1, 1, 1, 1))
    assert padded[0, 0].tolist() == [[0.0, 0.0], [1.0, 0.0]]
