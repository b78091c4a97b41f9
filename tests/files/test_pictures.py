"""Pictures: which channels and bits come out, and every way in which a picture can be wrong."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from stereohg.files import read_disparity, read_image, write_png

DEPTHS = np.array([[0, 128, 129], [257, 32896, 65535]], np.uint16)
BYTES = np.array([[0, 0, 1], [1, 128, 255]], np.uint8)  # DEPTHS / 257, rounded


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


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


def test_write_png_refuses_other_arrays_and_names(tmp_path, rgb):
    with pytest.raises(ValueError, match=r"a\.jpg would hold a PNG"):
        write_png(tmp_path / "a.jpg", rgb)
    for wrong in (rgb[..., 0], rgb[..., :2], rgb / 255):
        with pytest.raises(ValueError, match=r"it must be \(H,W,3\) uint8"):
            write_png(tmp_path / "a.png", wrong)
    assert not list(tmp_path.iterdir())
