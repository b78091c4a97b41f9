"""Disparities: what each format stores, round trips, and what is refused."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from stereohg.files import read_disparity, read_pfm, write_disparity, write_pfm, write_png

sides = st.integers(1, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


DISPARITY = np.array([[0.0, 1.5, 200.25], [63.0, 7.0, 1 / 256]], np.float32)
VALID = np.array([[True, True, True], [True, False, True]])


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".tif", ".TIFF"])
def test_float_formats_give_back_what_was_written(tmp_path, suffix):
    path = tmp_path / "made" / "for_it" / f"d{suffix}"
    write_disparity(path, DISPARITY, VALID)
    disparity, valid = read_disparity(path)
    assert disparity.dtype == np.float32 and valid.dtype == bool
    np.testing.assert_array_equal(valid, VALID)
    np.testing.assert_array_equal(disparity, np.where(VALID, DISPARITY, 0))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_unknown_is_infinite_in_pfm_and_nan_in_the_others(tmp_path):
    for name in ("d.pfm", "d.npy", "d.tif"):
        write_disparity(tmp_path / name, DISPARITY, VALID)
    assert read_pfm(tmp_path / "d.pfm")[1, 1] == np.inf
    assert np.isnan(np.load(tmp_path / "d.npy")[1, 1])
    assert np.isnan(cv2.imread(str(tmp_path / "d.tif"), cv2.IMREAD_UNCHANGED)[1, 1])


def test_without_a_mask_what_is_finite_is_valid(tmp_path):
    write_disparity(tmp_path / "d.npy", np.where(VALID, DISPARITY, np.nan))
    np.testing.assert_array_equal(read_disparity(tmp_path / "d.npy")[1], VALID)


def test_png_stores_256_a_pixel_and_never_0_for_what_is_known(tmp_path):
    write_disparity(tmp_path / "d.png", DISPARITY, VALID)
    stored = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, [[1, 384, 51264], [16128, 0, 1]])
    disparity, valid = read_disparity(tmp_path / "d.png")
    np.testing.assert_array_equal(valid, VALID)
    np.testing.assert_array_equal(disparity, np.array([[1 / 256, 1.5, 200.25], [63, 0, 1 / 256]], np.float32))


def test_png_of_nothing_known(tmp_path):
    write_disparity(tmp_path / "d.png", DISPARITY, np.zeros_like(VALID))
    disparity, valid = read_disparity(tmp_path / "d.png")
    assert not disparity.any() and not valid.any()


@settings(max_examples=40)
@given(
    arrays.arrays(np.float32, (3, 4), elements=st.floats(0, 255.875, width=32)),
    arrays.arrays(bool, (3, 4)),
)
def test_png_round_trip_is_within_half_a_step(folder, disparity, valid):
    write_disparity(folder / "round.png", disparity, valid)
    again, valid_again = read_disparity(folder / "round.png")
    np.testing.assert_array_equal(valid_again, valid)
    step = np.where(disparity < 1 / 512, 1 / 256, 1 / 512)  # what would round to 0 is stored as 1
    assert (np.abs(again - disparity) <= step)[valid].all()
    assert not again[~valid].any()


def test_png_takes_the_largest_that_fits(tmp_path):
    largest = np.nextafter(np.float32(65535.5 / 256), np.float32(0))
    write_disparity(tmp_path / "d.png", np.array([[largest]]))
    assert read_disparity(tmp_path / "d.png")[0] == 65535 / 256


@pytest.mark.parametrize(
    ("value", "shown"), [(65535.5 / 256, "1 to 255.998"), (300.0, "1 to 300"), (-0.5, "-0.5 to 1")]
)
def test_png_refuses_what_does_not_fit(tmp_path, value, shown):
    path = tmp_path / "d.png"
    path.write_bytes(b"as before")
    with pytest.raises(ValueError, match=rf"d\.png reaches from {shown} pixels.*write a \.pfm instead"):
        write_disparity(path, np.array([[value, 1.0]]))
    assert path.read_bytes() == b"as before"
    write_disparity(path, np.array([[value, 1.0]]), np.array([[False, True]]))
    assert read_disparity(path)[0].tolist() == [[0, 1]]


def test_read_disparity_keeps_negative_signs(tmp_path):
    write_pfm(tmp_path / "d.pfm", np.array([[-3.5, np.nan, -np.inf, np.inf]]))
    disparity, valid = read_disparity(tmp_path / "d.pfm")
    assert disparity.tolist() == [[-3.5, 0, 0, 0]]
    assert valid.tolist() == [[True, False, False, False]]


def test_scale_is_the_stored_value_of_one_pixel(tmp_path):
    Image.fromarray(np.array([[0, 64, 255]], np.uint8)).save(tmp_path / "eight.png")
    disparity, valid = read_disparity(tmp_path / "eight.png", scale=4)
    assert disparity.tolist() == [[0, 16, 63.75]] and valid.tolist() == [[False, True, True]]
    Image.fromarray(np.array([[0, 512]], np.uint16)).save(tmp_path / "sixteen.png")
    assert read_disparity(tmp_path / "sixteen.png", scale=100)[0].tolist() == [[0, np.float32(5.12)]]
    np.save(tmp_path / "sgbm.npy", np.array([[-16, 24]], np.int16))  # OpenCV's sixteenths, -1 unknown
    disparity, valid = read_disparity(tmp_path / "sgbm.npy", scale=16)
    assert disparity.tolist() == [[0, 1.5]] and valid.tolist() == [[False, True]]
    write_disparity(tmp_path / "half.npy", np.array([[3.0]]))
    assert read_disparity(tmp_path / "half.npy", scale=2)[0] == 1.5


def test_read_disparity_refuses_integers_of_unknown_unit(tmp_path):
    Image.fromarray(np.array([[0, 64]], np.uint8)).save(tmp_path / "d.png")
    np.save(tmp_path / "d.npy", np.array([[1, 64]], np.int16))
    Image.fromarray(np.array([[0, 512]], np.uint16)).save(tmp_path / "d.tif")
    for name, bits in (("d.png", 8), ("d.npy", 16), ("d.tif", 16)):
        with pytest.raises(ValueError, match=rf"{name} holds {bits}-bit integers.*give scale="):
            read_disparity(tmp_path / name)


@pytest.mark.parametrize("scale", [0, -256, np.nan, np.inf, "many"])
def test_read_disparity_refuses_other_scales(tmp_path, scale):
    write_disparity(tmp_path / "d.png", DISPARITY)
    with pytest.raises(ValueError, match="scale is .*; it must be positive"):
        read_disparity(tmp_path / "d.png", scale)


def test_read_disparity_refuses_colours(tmp_path, rgb):
    write_png(tmp_path / "d.png", rgb)
    with pytest.raises(ValueError, match=r"d\.png is a picture of Pillow's mode 'RGB'; .* one grey channel"):
        read_disparity(tmp_path / "d.png")
    write_pfm(tmp_path / "d.pfm", rgb)
    with pytest.raises(ValueError, match=r"d\.pfm holds \(12, 17, 3\) float32; a disparity map is \(H,W\)"):
        read_disparity(tmp_path / "d.pfm")


@pytest.mark.parametrize("array", [np.ones((1, 2, 2)), np.ones((2, 2), complex), np.ones((2, 2), bool)])
def test_read_disparity_refuses_other_arrays(tmp_path, array):
    np.save(tmp_path / "d.npy", array)
    with pytest.raises(ValueError, match=r"d\.npy holds .*; a disparity map is \(H,W\), integer or float"):
        read_disparity(tmp_path / "d.npy")


@pytest.mark.parametrize("suffix", [".pfm", ".png", ".npy", ".tif"])
def test_read_disparity_refuses_a_truncated_file(tmp_path, suffix):
    path = tmp_path / f"d{suffix}"
    write_disparity(path, np.random.default_rng(0).random((20, 20)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"d\{suffix} is (cut short|not a whole)"):
        read_disparity(path)


def test_read_disparity_names_a_damaged_header(tmp_path):
    np.save(tmp_path / "d.npy", DISPARITY)
    data = (tmp_path / "d.npy").read_bytes()
    for damaged in (data.replace(b"}", b"("), data.replace(b"(2, 3)", b"(9**9)"), data.replace(b"f4", b"zz"), b""):
        (tmp_path / "d.npy").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"d\.npy is not a whole \.npy file"):
            read_disparity(tmp_path / "d.npy")


def test_read_disparity_unpickles_nothing(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"d\.npy is not a whole \.npy file of numbers"):
        read_disparity(tmp_path / "d.npy")


def test_disparity_refuses_unknown_extensions(tmp_path):
    with pytest.raises(ValueError, match=r"extension '\.exr'; .* \.pfm, \.png, \.npy, \.tif, \.tiff"):
        read_disparity(tmp_path / "d.exr")
    with pytest.raises(ValueError, match="extension ''"):
        write_disparity(tmp_path / "made" / "d", DISPARITY)
    assert not list(tmp_path.iterdir())


def test_write_disparity_refuses_what_is_no_map(tmp_path):
    for disparity, valid in ((DISPARITY[None], None), (DISPARITY, VALID[:1]), (DISPARITY[:0], None)):
        with pytest.raises(ValueError, match=r"both must be \(H,W\) of one size"):
            write_disparity(tmp_path / "d.pfm", disparity, valid)
    with pytest.raises(ValueError, match="not finite at 1 pixels that are marked valid"):
        write_disparity(tmp_path / "d.pfm", np.array([[np.nan, 1.0]]), np.ones((1, 2), bool))
