"""Depth and points on disk, read back by others; and predictions in metres."""

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

import stereohg
from stereohg.calibration.cameras import StereoCalibration
from stereohg.calibration.formats import read_calibration
from stereohg.calibration.formats.opencv import write_calibration
from stereohg.cli import main
from stereohg.data.synthetic import SyntheticStereo
from stereohg.disparity import Disparity
from stereohg.files import write_depth, write_points

POINTS = np.array([[1, 2, 3], [-0.5, 0, 1e6]])
COLOURS = np.array([[255, 0, 1], [2, 3, 4]], np.uint8)
DEPTH = np.array([[1.2344, np.nan], [0.001, 65.535]], np.float32)
CALIBRATION = StereoCalibration(focal=100, baseline=0.5, centre=(1, 0.5), doffs=2, focal_y=110, size=(3, 2))
RESULT = Disparity(
    values=np.array([[8, 3, 48], [0.5, 23, 98]], np.float32),
    confidence=np.array([[0.9, 0.2, 0.9], [0.9, 0.5, 0.9]], np.float32),
    valid=np.array([[True, True, False], [True, True, True]]),
)


def test_ply_bytes(tmp_path):
    path = tmp_path / "made" / "cloud.ply"
    write_points(path, POINTS, COLOURS)
    header, body = path.read_bytes().split(b"end_header\n")
    lines = [line for line in header.decode().splitlines() if not line.startswith("comment")]
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    assert lines[3:6] == ["property float x", "property float y", "property float z"]
    assert lines[6:] == [f"property uchar {name}" for name in ("red", "green", "blue", "alpha")]
    assert body == struct.pack("<fff4B", 1, 2, 3, 255, 0, 1, 255) + struct.pack("<fff4B", -0.5, 0, 1e6, 2, 3, 4, 255)
    assert [file.name for file in path.parent.iterdir()] == ["cloud.ply"]


def test_points_are_read_back(tmp_path):
    write_points(tmp_path / "cloud.ply", POINTS, COLOURS)
    cloud = trimesh.load(tmp_path / "cloud.ply")
    np.testing.assert_array_equal(cloud.vertices, POINTS)
    np.testing.assert_array_equal(np.asarray(cloud.colors)[:, :3], COLOURS)
    write_points(tmp_path / "cloud.NPZ", POINTS, COLOURS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cloud.NPZ", "cloud.ply"]
    stored = np.load(tmp_path / "cloud.NPZ")
    np.testing.assert_array_equal(stored["points"], POINTS)
    np.testing.assert_array_equal(stored["colours"], COLOURS)
    assert stored["points"].dtype == np.float32


def test_ply_of_no_points(tmp_path):
    write_points(tmp_path / "none.ply", np.empty((0, 3)), np.empty((0, 3), np.uint8))
    assert b"element vertex 0\n" in (tmp_path / "none.ply").read_bytes()


def test_write_points_refuses_other_arrays(tmp_path):
    for points, wrong in ((np.ones((2, 2)), COLOURS), (np.ones((3, 3)), COLOURS), (np.ones((2, 3)), COLOURS / 255)):
        with pytest.raises(ValueError, match=r"they must be \(N,3\) and \(N,3\) uint8"):
            write_points(tmp_path / "cloud.ply", points, wrong)
    with pytest.raises(ValueError, match="points have one of .ply, .npz"):
        write_points(tmp_path / "cloud.obj", POINTS, COLOURS)
    assert not list(tmp_path.iterdir())


def test_depth_files(tmp_path):
    write_depth(tmp_path / "depth.npy", DEPTH)
    np.testing.assert_array_equal(np.load(tmp_path / "depth.npy"), DEPTH)
    write_depth(tmp_path / "depth.png", DEPTH)
    stored = cv2.imread(str(tmp_path / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.tolist() == [[1234, 0], [1, 65535]]
    with pytest.raises(ValueError, match=r"reaches to 66 m, and 16-bit millimetres to 65.535; leave out .*max_depth"):
        write_depth(tmp_path / "far.png", np.full((2, 2), 66.0))
    with pytest.raises(ValueError, match="in one of .npy, .png"):
        write_depth(tmp_path / "depth.exr", DEPTH)
    assert not (tmp_path / "far.png").exists()


def test_a_calibration_is_as_good_as_its_numbers():
    # 100 px * 0.5 m / (8 + 2) px
    depth = RESULT.to_depth(CALIBRATION)
    np.testing.assert_allclose(depth, [[5, 10, np.nan], [20, 2, 0.5]])
    np.testing.assert_array_equal(depth, RESULT.to_depth(100, 0.5, 2))
    np.testing.assert_allclose(
        RESULT.to_depth(CALIBRATION, min_depth=1, max_depth=9), [[5, np.nan, np.nan], [np.nan, 2, np.nan]]
    )
    points, _ = RESULT.to_points(CALIBRATION)
    expected = cv2.reprojectImageTo3D(RESULT.values, CALIBRATION.Q)[RESULT.valid]
    np.testing.assert_allclose(points, expected, rtol=1e-5)


def test_confidence_and_range_leave_points_out():
    sure = RESULT.confident(0.5)
    assert sure.valid.tolist() == [[True, False, False], [True, True, True]]
    points, colours = sure.to_points(CALIBRATION, min_depth=1, max_depth=10)
    assert points[:, 2].tolist() == [5, 2] and colours.shape == (2, 3)
    with pytest.raises(ValueError, match=r"least confidence is 2"):
        RESULT.confident(2)


def test_points_of_the_right_picture_are_seen_from_the_right_camera():
    """The first pixel, 2 m away: its x is (0 - (1 + 2)) * 2 m / 100."""
    one = Disparity(np.full((1, 3), 23, np.float32), np.ones((1, 3), np.float32), np.ones((1, 3), bool), side="right")
    calibration = StereoCalibration(focal=100, baseline=0.5, centre=(1, 0), doffs=2)
    np.testing.assert_allclose(one.to_points(calibration)[0][0], (-0.06, 0, 2), rtol=1e-6)
    np.testing.assert_allclose(one.to_points(100, 0.5, doffs=2)[0][0], (-0.06, 0, 2), rtol=1e-6)
    np.testing.assert_allclose(one.to_points(calibration, centre=(0, 0))[0][0], (0, 0, 2), rtol=1e-6)


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"of 6x4 pictures, and this one is 3x2; .*resized\(\(3, 2\)\)"):
        RESULT.to_depth(CALIBRATION.scaled(2))
    with pytest.raises(ValueError, match="baseline is missing"):
        RESULT.to_depth(100)
    with pytest.raises(ValueError, match="not both"):
        RESULT.to_points(CALIBRATION, 0.5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    scene = SyntheticStereo(height=64, width=128, max_disp=32, asymmetry=0)[0]
    for side in ("left", "right"):
        Image.fromarray(getattr(scene, side)).save(folder / f"{side}.png")
    write_calibration(folder / "calibration.yml", StereoCalibration(100, 0.1, (63.5, 31.5), size=(128, 64)))
    return folder


@pytest.mark.filterwarnings("ignore::stereohg.PairWarning")
def test_metres_do_not_depend_on_the_scale_of_matching(pair):
    calibration = stereohg.read_calibration(pair / "calibration.yml")
    depths = []
    for scale in (1.5, 2.0):
        result = stereohg.predict(pair / "left.png", pair / "right.png", scale=scale)
        depths.append(result.to_depth(calibration))
        assert depths[-1].shape == (64, 128)
    ratio = np.nanmedian(depths[0] / depths[1])
    assert ratio == pytest.approx(1, abs=0.05)  # disparities in pixels of the scaled pictures would give 4/3


def test_predict_writes_metres(pair, tmp_path):
    pictures = [str(pair / f"{side}.png") for side in ("left", "right")]
    options = ["--calibration", str(pair / "calibration.yml"), "--depth", "--points"]
    limits = ["--min_confidence", "0.5", "--max_depth", "2", "--depth_format", "png"]
    assert main(["predict", *pictures, "-o", str(tmp_path / "d.npy"), *options, *limits]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npy", "d.ply", "d_depth.png"]
    disparity = np.load(tmp_path / "d.npy")
    stored = cv2.imread(str(tmp_path / "d_depth.png"), cv2.IMREAD_UNCHANGED)
    expected = np.where(disparity > 5, np.rint(1000 * 100 * 0.1 / disparity), 0)  # NaN where unsure
    np.testing.assert_allclose(stored, np.nan_to_num(expected), atol=1)
    cloud = trimesh.load(tmp_path / "d.ply")
    assert len(cloud.vertices) == np.count_nonzero(stored) and cloud.vertices[:, 2].max() <= 2


def test_flipped_points_have_the_right_pictures_colours(pair, tmp_path):
    pictures = [str(pair / f"{side}.png") for side in ("left", "right")]
    options = ["--calibration", str(pair / "calibration.yml"), "--points", "--points_format", "npz", "--flip"]
    assert main(["predict", *pictures, *options, "-o", str(tmp_path / "d.npy")]) == 0
    right = np.asarray(Image.open(pair / "right.png"))
    np.testing.assert_array_equal(np.load(tmp_path / "d.npz")["colours"], right.reshape(-1, 3))


def test_metres_that_cannot_be_are_told(pair, tmp_path, capsys, caplog):
    """A baseline of 0.1 mm where 0.1 m is meant."""
    calibration = read_calibration(pair / "calibration.yml")
    write_calibration(tmp_path / "mm.yml", replace(calibration, baseline=calibration.baseline / 1000))
    pictures = [str(pair / f"{side}.png") for side in ("left", "right")]
    options = ["--calibration", str(tmp_path / "mm.yml"), "--depth", "-o", str(tmp_path / "d.npy")]
    assert main(["predict", *pictures, *options]) == 0
    (told,) = [record.getMessage() for record in caplog.records if "stand" in record.getMessage()]
    assert told.startswith(f"{tmp_path / 'mm.yml'}: the cameras stand 0.0001 m apart")
    depth = np.load(tmp_path / "d_depth.npy")
    assert f" {np.median(depth):.3g} m " in capsys.readouterr().err


def test_a_resized_picture_takes_the_calibration_with_it(pair, tmp_path, capsys):
    for side in ("left", "right"):
        Image.open(pair / f"{side}.png").resize((256, 128)).save(tmp_path / f"{side}.png")
        Image.open(pair / f"{side}.png").crop((0, 0, 128, 48)).save(tmp_path / f"{side}_cropped.png")
    options = ["--calibration", str(pair / "calibration.yml"), "--depth", "-o", str(tmp_path / "d.npy")]
    assert main(["predict", str(tmp_path / "left.png"), str(tmp_path / "right.png"), *options]) == 0
    disparity, depth = np.load(tmp_path / "d.npy"), np.load(tmp_path / "d_depth.npy")
    np.testing.assert_allclose(depth, 200 * 0.1 / disparity, rtol=1e-5)
    cropped = [str(tmp_path / f"{side}_cropped.png") for side in ("left", "right")]
    assert main(["predict", *cropped, *options[:-1], str(tmp_path / "cropped.npy")]) == 1
    assert "which is no resized form of it" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "cropped.npy").exists()


def test_where_one_file_of_a_pair_cannot_be_written_none_is(pair, tmp_path, capsys):
    """A depth of some kilometres is none for 16 bits of millimetres."""
    calibration = read_calibration(pair / "calibration.yml")
    write_calibration(tmp_path / "far.yml", replace(calibration, baseline=1000 * calibration.baseline))
    pictures = [str(pair / f"{side}.png") for side in ("left", "right")]
    options = ["--calibration", str(tmp_path / "far.yml"), "--depth", "--depth_format", "png", "--colour"]
    assert main(["predict", *pictures, *options, "-o", str(tmp_path / "out" / "d.npy")]) == 1
    assert "0 of 1 predicted" in capsys.readouterr().err and not any((tmp_path / "out").iterdir())


def test_predict_in_metres_wants_a_calibration(pair, capsys):
    pictures = [str(pair / f"{side}.png") for side in ("left", "right")]
    for options in (["--depth"], ["--points"], ["--calibration", str(pair / "calibration.yml")]):
        assert main(["predict", *pictures, *options]) == 1
        assert "--calibration FILE and --depth, --points or --html go together" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, told",
    [
        (["--max_depth", "3"], "--min_depth and --max_depth limit what --depth and --points write"),
        (["--depth_format", "png"], "--depth_format says how --depth is written; give --depth as well"),
        (["--points_format", "npz"], "--points_format says how --points is written; give --points as well"),
    ],
)
def test_options_without_use_are_told(pair, capsys, options, told):
    assert main(["predict", *(str(pair / f"{side}.png") for side in ("left", "right")), *options]) == 1
    assert told in " ".join(capsys.readouterr().err.split())
