"""PFM: byte forms written by hand, round trips, and every way in which a header can be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stereohg.files import read_pfm, write_pfm

sides = st.integers(1, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


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


@settings(max_examples=40)
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
