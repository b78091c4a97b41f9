"""Calibration files in the formats that others write, by hand; and the one type that they become."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stereohg.calibration.cameras import StereoCalibration
from stereohg.calibration.formats import read_calibration, read_rig
from stereohg.calibration.formats.opencv import write_calibration, write_rig
from stereohg.calibration.rectify import Rectifier
from tests.boards import rig

CALIBRATION = StereoCalibration(1000, 0.2, (319.5, 239.5), doffs=30, focal_y=1010, size=(640, 480), ndisp=128)

MIDDLEBURY = """cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]
cam1=[994.978 0 342.279; 0 994.978 254.877; 0 0 1]
doffs=31.086
baseline=193.001
width=741
height=497
ndisp=70
isint=0
"""
KITTI_RAW = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_02: 1.392000e+03 5.120000e+02
K_02: 9.597910e+02 0.000000e+00 6.960217e+02 0.000000e+00 9.569251e+02 2.241806e+02 0.000000e+00 0.000000e+00 1.0
D_02: -3.691481e-01 1.968681e-01 1.353473e-03 5.677587e-04 -6.770705e-02
R_02: 1.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 1.0
T_02: 6.0e-02 0.0 0.0
S_rect_02: 1.242000e+03 3.750000e+02
R_rect_02: 1.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 1.0
P_rect_02: 7.215377e+02 0.0 6.095593e+02 4.485728e+01 0 7.215377e+02 1.728540e+02 2.163791e-01 0 0 1 2.745884e-03
S_03: 1.392000e+03 5.120000e+02
K_03: 9.037596e+02 0.000000e+00 6.957519e+02 0.000000e+00 9.019653e+02 2.242509e+02 0.000000e+00 0.000000e+00 1.0
D_03: -3.639558e-01 1.788651e-01 6.029694e-04 -3.922424e-04 -5.382460e-02
R_03: 0.0 -1.0 0.0 1.0 0.0 0.0 0.0 0.0 1.0
T_03: -4.7e-01 0.0 1.0e-02
S_rect_03: 1.242000e+03 3.750000e+02
P_rect_03: 7.215377e+02 0.0 6.095593e+02 -3.395242e+02 0 7.215377e+02 1.728540e+02 2.199936e+00 0 0 1 2.729905e-03
"""
KITTI_ODOMETRY = """P0: 700 0 600 0 0 700 180 0 0 0 1 0
P1: 700 0 600 -378 0 700 180 0 0 0 1 0
P2: 700 0 600 42 0 700 180 0 0 0 1 0
P3: 700 0 600 -336 0 700 180 0 0 0 1 0
Tr: 1 0 0 0 0 1 0 0 0 0 1 0
"""
ROS = """image_width: 640
image_height: 480
camera_name: {side}
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0, 320.0, 0, 500.0, 240.0, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.01, 0, 0, 0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [480.0, 0, 330.0, {tx}, 0, 480.0, 250.0, 0, 0, 0, 1, 0]
"""
INTRINSICS = """%YAML:1.0
---
M1: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 530., 0., 340., 0., 530., 230., 0., 0., 1. ]
D1: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -3.0e-01, 1.0e-01, 0., 0., 0. ]
M2: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 530., 0., 330., 0., 530., 240., 0., 0., 1. ]
D2: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -3.0e-01, 1.0e-01, 0., 0., 0. ]
"""
EXTRINSICS = """%YAML:1.0
---
R: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1., 0., 0., 0., 1., 0., 0., 0., 1. ]
T: !!opencv-matrix
   rows: 3
   cols: 1
   dt: d
   data: [ -83., 0., 0. ]
P1: !!opencv-matrix
   rows: 3
   cols: 4
   dt: d
   data: [ 520., 0., 335., 0., 0., 520., 235., 0., 0., 0., 1., 0. ]
P2: !!opencv-matrix
   rows: 3
   cols: 4
   dt: d
   data: [ 520., 0., 335., -43160., 0., 520., 235., 0., 0., 0., 1., 0. ]
"""


def written(folder, text, name="calib.txt"):
    path = folder / name
    path.write_text(text)
    return path


def ros_pair(folder):
    written(folder, ROS.format(side="right", tx=-57.6), "right.yaml")
    return written(folder, ROS.format(side="left", tx=0.0), "left.yaml")


# --- the type -------------------------------------------------------------------------------------------------------


def test_half_the_picture_by_hand():
    half = CALIBRATION.scaled(0.5)
    assert half == StereoCalibration(500, 0.2, (159.5, 119.5), doffs=15, focal_y=505, size=(320, 240), ndisp=64)
    assert CALIBRATION.resized((320, 240)) == half
    assert replace(CALIBRATION, size=None).scaled(2).focal == 2000


def test_a_size_that_is_rounded_decides():
    odd = StereoCalibration(100, 0.1, (1, 1), size=(5, 4)).scaled(0.5)
    assert odd.size == (2, 2) and odd.focal == 40 and odd.focal_y == 50


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_points_stay_where_they_are_at_any_size(width, height):
    other = CALIBRATION.resized((width, height))
    x, y, disparity = 100.25, 50.5, 20.0
    a, b = width / 640, height / 480
    points = [
        cv2.perspectiveTransform(np.array([[[*pixel]]]), own.Q)[0, 0]
        for own, pixel in (
            (CALIBRATION, (x, y, disparity)),
            (other, (a * (x + 0.5) - 0.5, b * (y + 0.5) - 0.5, a * disparity)),
        )
    ]
    np.testing.assert_allclose(*points, rtol=1e-9)


def test_q_by_hand():
    # 1000 px * 0.2 m / (20 + 30) px = 4 m; 100 px right of the centre is 0.4 m
    point = CALIBRATION.Q @ [419.5, 239.5 + 101, 20, 1]
    np.testing.assert_allclose(point[:3] / point[3], [0.4, 0.4, 4])


def test_projections_and_back():
    assert replace(StereoCalibration.from_projections(*CALIBRATION.projections, (640, 480)), ndisp=128) == CALIBRATION


def test_what_no_rectified_pair_can_be():
    left, right = CALIBRATION.projections
    with pytest.raises(ValueError, match="exchange left and right"):
        StereoCalibration.from_projections(right, left)
    turned = right.copy()
    turned[0, 3], turned[1, 3] = 0, -200
    with pytest.raises(ValueError, match="one above the other"):
        StereoCalibration.from_projections(left, turned)
    shifted = right.copy()
    shifted[1, 2] += 5
    with pytest.raises(ValueError, match="of rectified cameras both agree"):
        StereoCalibration.from_projections(left, shifted)
    for key, value in (("focal", 0), ("baseline", -1), ("focal_y", np.nan), ("centre", (0, np.inf)), ("size", (0, 1))):
        with pytest.raises(ValueError, match=f"{key} is"):
            replace(CALIBRATION, **{key: value})


# --- files ----------------------------------------------------------------------------------------------------------


def test_middlebury(tmp_path):
    expected = StereoCalibration(994.978, 0.193001, (311.193, 254.877), 31.086, size=(741, 497), ndisp=70)
    assert read_calibration(written(tmp_path, MIDDLEBURY)) == expected
    short = "cam0 = [2 0 0; 0 2 0; 0 0 1]\r\nbaseline = 10\r\n\r\ndoffs = -1.5\r\n"
    assert read_calibration(written(tmp_path, short)) == StereoCalibration(2, 0.01, (0, 0), -1.5)


@pytest.mark.parametrize("key", ["cam0", "baseline", "doffs"])
def test_middlebury_names_the_missing_key(tmp_path, key):
    path = written(tmp_path, "\n".join(line for line in MIDDLEBURY.splitlines() if not line.startswith(key)))
    with pytest.raises(ValueError, match=rf"calib\.txt has no line '{key}='"):
        read_calibration(path)


@pytest.mark.parametrize("line", ["baseline=far", "baseline=", "baseline=-193", "baseline=nan", "doffs=inf", "width=w"])
def test_middlebury_names_the_bad_value(tmp_path, line):
    with pytest.raises(ValueError, match=rf"calib\.txt: {line.split('=')[0]} "):
        read_calibration(written(tmp_path, MIDDLEBURY + line))


def test_kitti_raw(tmp_path):
    path = written(tmp_path, KITTI_RAW, "calib_cam_to_cam.txt")
    found = read_calibration(path)
    assert (found.focal, found.centre, found.doffs, found.size) == (721.5377, (609.5593, 172.854), 0, (1242, 375))
    # the fourth column of camera i is K t_i; (44.85728 + 339.5242) / 721.5377, less 609.5593 / 721.5377 * 1.6e-5
    assert found.baseline == pytest.approx(0.532711, abs=2e-6)
    cameras = read_rig(path)
    assert cameras.left.size == (1392, 512) and cameras.right.matrix[0, 0] == 903.7596
    # x3 = R3 x0 + T3 and x0 = x2 - T2: the quarter turn takes T2 (0.06, 0, 0) to (0, 0.06, 0)
    np.testing.assert_allclose(cameras.translation, [-0.47, -0.06, 0.01])


def test_kitti_odometry(tmp_path):
    path = written(tmp_path, KITTI_ODOMETRY)
    assert read_calibration(path) == StereoCalibration(700, (42 + 336) / 700, (600, 180))
    with pytest.raises(ValueError, match="holds both cameras; leave other.txt out"):
        read_calibration(path, "other.txt")
    with pytest.raises(ValueError, match="has no line 'K_02:'"):
        read_rig(path)
    with pytest.raises(ValueError, match="P3 must hold 3x4 numbers"):
        read_calibration(written(tmp_path, KITTI_ODOMETRY.replace("-336", "far")))


def test_ros(tmp_path):
    left = ros_pair(tmp_path)
    expected = StereoCalibration(480, 57.6 / 480, (330, 250), size=(640, 480))
    for path, other in ((left, None), (tmp_path / "right.yaml", None), (left, tmp_path / "right.yaml")):
        assert read_calibration(path, other) == expected
    cameras = read_rig(left)
    np.testing.assert_allclose(cameras.translation, [-0.12, 0, 0])
    assert cameras.left.distortion.tolist() == [-0.1, 0.01, 0, 0, 0]
    assert Rectifier(cameras).calibration.baseline == pytest.approx(0.12)


def test_ros_files_with_a_side_twice_in_their_names(tmp_path):
    left = ros_pair(tmp_path)
    pair = [own.rename(tmp_path / f"bright_{own.name}") for own in (left, tmp_path / "right.yaml")]
    assert read_calibration(pair[0]) == read_calibration(pair[1])


def test_ros_message(tmp_path):
    message = (
        "height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: [0, 0, 0, 0, 0]\nK: [5, 0, 3, 0, 5, 2, 0, 0, 1]\n"
    )
    message += "R: [1, 0, 0, 0, 1, 0, 0, 0, 1]\nP: [5, 0, 3, {}, 0, 5, 2, 0, 0, 0, 1, 0]\n---\n"
    written(tmp_path, message.format(-1), "right.yaml")
    assert read_calibration(written(tmp_path, message.format(0), "left.yaml")).baseline == 0.2


def test_ros_says_what_is_missing(tmp_path):
    alone = written(tmp_path, ROS.format(side="left", tx=0.0), "camera.yaml")
    with pytest.raises(ValueError, match="name both files alike"):
        read_calibration(alone)
    left = ros_pair(tmp_path)
    written(tmp_path, ROS.replace("plumb_bob", "equidistant").format(side="left", tx=0.0), "left.yaml")
    with pytest.raises(ValueError, match="distortion_model is 'equidistant'"):
        read_rig(left)
    written(tmp_path, ROS.split("projection_matrix")[0].format(side="left", tx=0.0), "left.yaml")
    with pytest.raises(ValueError, match="left.yaml has no projection_matrix"):
        read_calibration(left)


def test_opencv(tmp_path):
    intrinsics = written(tmp_path, INTRINSICS, "intrinsics.yml")
    extrinsics = written(tmp_path, EXTRINSICS, "extrinsics.yml")
    with pytest.raises(ValueError, match="would stand 83 m apart; .*'unit: 0.001'"):
        read_calibration(extrinsics)
    with pytest.raises(ValueError, match="has no image_width and image_height"):
        read_rig(intrinsics)
    intrinsics.write_text(INTRINSICS + "image_width: 640\nimage_height: 480\nunit: 0.001\n")
    expected = StereoCalibration(520, 0.083, (335, 235), size=(640, 480))
    assert read_calibration(extrinsics) == read_calibration(intrinsics) == expected
    cameras = read_rig(intrinsics)
    np.testing.assert_allclose(cameras.translation, [-0.083, 0, 0])
    assert cameras.right.matrix[0, 2] == 330 and cameras.left.distortion.shape == (5,)
    three = INTRINSICS.replace("1.0e-01, 0., 0., 0.", "1.0e-01, 0.").replace("cols: 5", "cols: 3")
    intrinsics.write_text(three + "image_width: 640\nimage_height: 480\nunit: 0.001\n")
    with pytest.raises(ValueError, match="intrinsics.yml: there are 3 distortion coefficients; there can be 0, 4, 5"):
        read_rig(intrinsics)
    intrinsics.write_text(INTRINSICS + "image_width: 640\nimage_height: 480\nunit: 0.001\n")
    extrinsics.write_text(EXTRINSICS.replace("-83., 0., 0.", "-83., 0."))
    with pytest.raises(ValueError, match="intrinsics.yml: T must hold 3 numbers"):
        read_rig(intrinsics)


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path):
    write_calibration(tmp_path / "calibration.yml", CALIBRATION)
    middlebury, kitti = written(tmp_path, MIDDLEBURY), written(tmp_path, KITTI_ODOMETRY[75:], "p2.txt")
    for path in (middlebury, kitti, ros_pair(tmp_path), tmp_path / "calibration.yml"):
        plain = read_calibration(path)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert read_calibration(path) == plain


def test_ours_come_back_as_they_were(tmp_path):
    write_rig(tmp_path / "rig.yml", rig(), {"epipolar_error": 0.1})
    found, truth = read_rig(tmp_path / "rig.yml"), rig()
    for own, true in ((found.left, truth.left), (found.right, truth.right)):
        np.testing.assert_array_equal(own.matrix, true.matrix)
        np.testing.assert_array_equal(own.distortion, true.distortion)
        assert own.size == true.size
    np.testing.assert_array_equal(found.rotation, truth.rotation)
    np.testing.assert_array_equal(found.translation, truth.translation)
    write_calibration(tmp_path / "calibration.yml", CALIBRATION)
    found = read_calibration(tmp_path / "calibration.yml")
    assert found.baseline == pytest.approx(0.2, rel=1e-12) and replace(found, baseline=0.2, ndisp=128) == CALIBRATION
    with pytest.raises(ValueError, match="of rectified cameras"):
        read_rig(tmp_path / "calibration.yml")
    with pytest.raises(ValueError, match="name it .yml"):
        write_calibration(tmp_path / "calibration.txt", CALIBRATION)


@pytest.mark.parametrize(
    "text", ["", "hello", "%YAML:1.0\n---\nP1: !!opencv-matrix\n  rows: 3\n  data: [1, 2", "P1: 3"]
)
def test_what_is_no_calibration_is_told_by_its_name(tmp_path, text):
    with pytest.raises(ValueError, match=r"calib\.txt"):
        read_calibration(written(tmp_path, text))
    with pytest.raises(FileNotFoundError, match="nothing.yml does not exist"):
        read_calibration(tmp_path / "nothing.yml")
