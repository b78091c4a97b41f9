"""Readers and writers: byte forms written by hand, round trips, and every way in which a file can be wrong."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from stereohg.data.files import (
    read_disparity,
    read_image,
    read_json,
    read_pfm,
    replacing,
    write_disparity,
    write_pfm,
    write_png,
)

repeatable = settings(max_examples=40)
sides = st.integers(1, 7)
DEPTHS = np.array([[0, 128, 129], [257, 32896, 65535]], np.uint16)
BYTES = np.array([[0, 0, 1], [1, 128, 255]], np.uint8)  # DEPTHS / 257, rounded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


# --- images ---------------------------------------------------------------------------------------------------------


def test_read_image_keeps_rgb_order(tmp_path, rgb):
    write_png(tmp_path / "a.png", rgb)
    image = read_image(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(image, rgb)
    assert image.flags.writeable
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], rgb)


def test_read_image_replicates_grey(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), rgb[..., [0, 0, 0]])


def test_read_image_drops_alpha_without_blending(tmp_path, rgb):
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), rgb)


def test_read_image_looks_up_palettes(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "palette.png")
    expected = [[[10, 20, 30], [40, 50, 60]], [[40, 50, 60], [70, 80, 90]]]
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_read_image_keeps_16_bits(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f"grey{suffix}"), DEPTHS)
    np.testing.assert_array_equal(read_image(tmp_path / f"grey{suffix}"), np.dstack([DEPTHS] * 3))
    cv2.imwrite(str(tmp_path / f"bgr{suffix}"), np.dstack([0 * DEPTHS, 0 * DEPTHS, DEPTHS]))
    np.testing.assert_array_equal(read_image(tmp_path / f"bgr{suffix}"), np.dstack([DEPTHS, 0 * DEPTHS, 0 * DEPTHS]))


@pytest.mark.parametrize("largest, sixteen", [(1023, 64.06), (4095, 16.0), (65535, 1.0)])
@pytest.mark.parametrize("kind, channels", [("P5", 1), ("P6", 3)])
def test_read_image_widens_what_cameras_of_10_and_12_bits_store(tmp_path, largest, sixteen, kind, channels):
    """One of 4095 is 16.004 of 65535."""
    stored = np.array([[0, 1, 2, largest]] * channels, ">u2").T.reshape(1, 4, channels)
    (tmp_path / "deep.pnm").write_bytes(f"{kind}\n# by hand\n4 1\n{largest}\n".encode() + stored.tobytes())
    image = read_image(tmp_path / "deep.pnm")
    assert image.dtype == np.uint16 and image.shape == (1, 4, 3)
    np.testing.assert_array_equal(image[0, :, 1], np.rint([0, sixteen, 2 * sixteen, 65535]))


def test_read_image_drops_16_bit_alpha(tmp_path):
    cv2.imwrite(str(tmp_path / "bgra.png"), np.dstack([0 * DEPTHS, 0 * DEPTHS, DEPTHS, DEPTHS]))
    np.testing.assert_array_equal(read_image(tmp_path / "bgra.png"), np.dstack([DEPTHS, 0 * DEPTHS, 0 * DEPTHS]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_read_image_refuses_a_truncated_file(tmp_path, rgb, kind):
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(ValueError, match=r"cut\.img is not a whole picture"):
        read_image(path)


def test_read_image_refuses_16_bits_without_their_end(tmp_path):
    cv2.imwrite(str(tmp_path / "cut.png"), DEPTHS)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"cut\.png is not a whole picture"):
        read_image(tmp_path / "cut.png")


def test_read_image_reads_bitmaps_of_16_bits_for_three_channels(tmp_path):
    header = b"BM" + np.array([70, 0, 54], "<u4").tobytes()
    header += np.array([40, 1, 1], "<i4").tobytes() + np.array([1, 16], "<u2").tobytes() + bytes(24)
    (tmp_path / "a.bmp").write_bytes(header + np.array([31 << 10, 0], "<u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), [[[255, 0, 0]]])


def test_read_image_takes_any_size(tmp_path, monkeypatch):
    """Pillow's limit holds for others as before."""
    Image.new("L", (8, 8)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31)  # twice as many are an error
    assert read_image(tmp_path / "large.png").shape == (8, 8, 3)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "large.png")


@pytest.mark.parametrize("read", [read_image, read_disparity])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_tiff_is_not_turned_unawares(tmp_path, kind, read):
    Image.fromarray(DEPTHS.astype(kind)).save(tmp_path / "a.tif", tiffinfo={274: 6})
    with pytest.raises(ValueError, match=r"a.tif is a TIFF that is to be turned .*orientation is 6\); save its pixels"):
        read(tmp_path / "a.tif")


def test_a_tiff_of_orientation_1_is_as_it_is(tmp_path):
    Image.fromarray(DEPTHS).save(tmp_path / "a.tif", tiffinfo={274: 1})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], DEPTHS)
    Image.fromarray(DEPTHS.astype(np.float32)).save(tmp_path / "d.tif", tiffinfo={274: 1})
    np.testing.assert_array_equal(read_disparity(tmp_path / "d.tif")[0], DEPTHS)


def save_turned(path, pixels, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_read_image_turns_a_picture_upright_where_it_is_asked_to(tmp_path, kind):
    stored = np.array([[1, 2, 3], [4, 5, 6]], kind)
    seen = {
        1: stored,
        2: [[3, 2, 1], [6, 5, 4]],  # mirrored
        3: [[6, 5, 4], [3, 2, 1]],
        4: [[4, 5, 6], [1, 2, 3]],
        5: [[1, 4], [2, 5], [3, 6]],
        6: [[4, 1], [5, 2], [6, 3]],  # turned clockwise, as a phone held upright wants it
        7: [[6, 3], [5, 2], [4, 1]],
        8: [[3, 6], [2, 5], [1, 4]],
        9: stored,  # there is no such number
    }
    for orientation, expected in seen.items():
        save_turned(tmp_path / "a.png", stored, orientation)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], stored)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", upright=True)[..., 0], expected)


def test_a_damaged_exif_turns_nothing(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=b"Exif\0\0no header")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", upright=True), rgb)


def test_read_image_refuses_what_is_no_picture(tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"notes\.png is not a whole picture"):
        read_image(tmp_path / "notes.png")


def test_read_image_refuses_floats(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif has pixels of Pillow's mode 'F'"):
        read_image(tmp_path / "float.tif")


@pytest.mark.parametrize("read", [read_image, read_pfm, read_disparity])
def test_readers_name_a_missing_file(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"missing\.pfm does not exist"):
        read(tmp_path / "missing.pfm")


def test_readers_tell_a_folder_from_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_image(tmp_path)


def test_write_png_refuses_other_arrays_and_names(tmp_path, rgb):
    with pytest.raises(ValueError, match=r"a\.jpg would hold a PNG"):
        write_png(tmp_path / "a.jpg", rgb)
    for wrong in (rgb[..., 0], rgb[..., :2], rgb / 255):
        with pytest.raises(ValueError, match=r"it must be \(H,W,3\) uint8"):
            write_png(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())


# --- PFM ------------------------------------------------------------------------------------------------------------

# Two rows of three; the file begins with the bottom one.
TOP, BOTTOM = [1.5, -2.0, np.inf], [4.0, 0.25, 1e-3]
LITTLE = np.array([BOTTOM, TOP], "<f4").tobytes()
BIG = np.array([BOTTOM, TOP], ">f4").tobytes()


@pytest.mark.parametrize(
    "header",
    [
        b"Pf\n3 2\n-1\n",
        b"Pf\n3 2\n-1.0\n",
        b"Pf\n3 2\n-0.003922\n",  # Middlebury
        b"Pf \n3 2 \n-1.0\n",  # FlyingThings3D
        b"Pf 3 2 -1\n",
        b"Pf 3 2 -1 ",
        b"Pf\t3\t2\t-1\t",
        b"Pf\n3\n2\n-1e0\n",
        b"Pf\r\n3 2\r\n-1.000\r\n",
        b"Pf\r3 2\r-1\r",
        b"Pf\n3 2\n-1 \n",
        b"Pf\n3 2\n-.5 \r\n",
        b"Pf\n# made by hand\n3 2\n#\n# twice\n-1\n",
        b"Pf # behind a token\n3 2\n-1\n",
    ],
)
def test_read_pfm_takes_every_form_of_header(tmp_path, header):
    (tmp_path / "a.pfm").write_bytes(header + LITTLE)
    array = read_pfm(tmp_path / "a.pfm")
    np.testing.assert_array_equal(array, np.array([TOP, BOTTOM], np.float32))
    assert array.dtype == np.float32 and array.dtype.isnative
    assert array.flags.writeable and array.flags.c_contiguous


@pytest.mark.parametrize("scale", [b"1", b"+1.0", b"255", b"0.5"])
def test_read_pfm_takes_a_positive_scale_for_big_endian_and_no_factor(tmp_path, scale):
    (tmp_path / "a.pfm").write_bytes(b"Pf\n3 2\n" + scale + b"\n" + BIG)
    array = read_pfm(tmp_path / "a.pfm")
    np.testing.assert_array_equal(array, np.array([TOP, BOTTOM], np.float32))
    assert array.dtype.isnative


@pytest.mark.parametrize("end", [b"\n", b" ", b"\t", b"\r\n"])
@pytest.mark.parametrize("first", [b"\n", b" ", b"\r", b"#", b"\t"])
def test_read_pfm_takes_data_that_look_like_a_header(tmp_path, end, first):
    data = first * 4
    (tmp_path / "a.pfm").write_bytes(b"Pf 1 1 -1" + end + data)
    assert read_pfm(tmp_path / "a.pfm").tobytes() == data


def test_read_pfm_keeps_colours_in_order(tmp_path):
    colours = np.arange(18, dtype="<f4").reshape(2, 3, 3)
    (tmp_path / "a.pfm").write_bytes(b"PF\n3 2\n-1\n" + colours[::-1].tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), colours)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"P6\n3 2\n255\n",
        b"pf\n3 2\n-1\n",
        b"Pf3 2 -1\n",
        b"Pf\n3 2\n",
        b"Pf\n3\n-1\n",
        b"Pf\n-3 2\n-1\n",
        b"Pf\n3.5 2\n-1\n",
        b"Pf\n3 2\n0\n",
        b"Pf\n3 2\n-0.0\n",
        b"Pf\n3 2\nnan\n",
        b"Pf\n3 2\n-1.2.3\n",
        b"Pf\n3 2\n-1",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_read_pfm_refuses_a_malformed_header(tmp_path, header):
    (tmp_path / "bad.pfm").write_bytes(header)
    with pytest.raises(ValueError, match=r"bad\.pfm does not begin with a PFM header"):
        read_pfm(tmp_path / "bad.pfm")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_read_pfm_refuses_missing_and_surplus_bytes(tmp_path, end):
    path, header = tmp_path / "bad.pfm", b"Pf" + end + b"3 2" + end + b"-1" + end
    for missing in (1, 2, 4, 24):
        path.write_bytes(header + LITTLE[:-missing])
        with pytest.raises(ValueError, match=rf"bad\.pfm is cut short: .* 3x2 pixels, 24 bytes, and {24 - missing} "):
            read_pfm(path)
    path.write_bytes(header + LITTLE + b"\n")
    with pytest.raises(ValueError, match=r"bad\.pfm holds more than its picture: .* 24 bytes, and 25 follow"):
        read_pfm(path)


def test_read_pfm_refuses_absurd_sizes(tmp_path):
    path = tmp_path / "bad.pfm"
    path.write_bytes(b"PF 999999999 999999999 -1\n" + LITTLE)
    with pytest.raises(ValueError, match="is cut short"):
        read_pfm(path)
    path.write_bytes(b"Pf 0 2 -1\n")
    with pytest.raises(ValueError, match="0x2 pixels; it must have at least one"):
        read_pfm(path)


@repeatable
@given(
    arrays.arrays(
        np.float32,
        st.tuples(sides, sides) | st.tuples(sides, sides, st.just(3)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_pfm_round_trip_is_exact(folder, array):
    write_pfm(folder / "round.pfm", array)
    np.testing.assert_array_equal(read_pfm(folder / "round.pfm"), array)


def test_write_pfm_writes_these_bytes(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.array([TOP, BOTTOM]))
    assert (tmp_path / "a.pfm").read_bytes() == b"Pf\n3 2\n-1.0\n" + LITTLE


@pytest.mark.parametrize("shape", [(3,), (2, 3, 1), (2, 3, 4), (1, 2, 3, 3), (0, 3)])
def test_write_pfm_refuses_other_shapes(tmp_path, shape):
    with pytest.raises(ValueError, match=r"a\.pfm is .*; a PFM holds \(H,W\) or \(H,W,3\)"):
        write_pfm(tmp_path / "a.pfm", np.zeros(shape))
    assert not list(tmp_path.iterdir())


# --- disparities ----------------------------------------------------------------------------------------------------

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


@repeatable
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


# --- JSON -----------------------------------------------------------------------------------------------------------


def test_read_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5]}')  # with a byte order mark
    assert read_json(path) == {"a": [1, 2.5]}
    for broken in (b'{"a": ', b"\xff"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="a.json is no whole JSON .*; copy or download it again"):
            read_json(path)
    with pytest.raises(FileNotFoundError, match="b.json does not exist"):
        read_json(tmp_path / "b.json")


# --- whole or not at all --------------------------------------------------------------------------------------------


def test_replacing_leaves_the_old_file_and_no_other_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("as before")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["as before"]


def test_replacing_refuses_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"), replacing(tmp_path):
        pass
