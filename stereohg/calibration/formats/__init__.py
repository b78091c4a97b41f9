"""Calibration files of OpenCV (and ours), KITTI, Middlebury (and ETH3D), and ROS; told apart by what is in them."""

from pathlib import Path

from stereohg.calibration.cameras import StereoCalibration, StereoRig
from stereohg.calibration.formats import kitti, middlebury, opencv, ros
from stereohg.calibration.formats.text import naming, read_text
from stereohg.files import FilePath

FORMATS = (opencv, ros, middlebury, kitti)
OF_ONE_FILE = (middlebury, kitti)


def read_calibration(path: FilePath, other: FilePath | None = None) -> StereoCalibration:
    """The rectified cameras of a calibration file.

    ========== ======================================== =====================================================
    OpenCV     stereo_calib's extrinsics.yml            P1, P2; metres, or ``unit`` metres where it says so
    ours       calibration.yml of ``stereohg rectify``  the same, in one file with the pictures' size
    KITTI      calib_cam_to_cam.txt, calib.txt          P_rect_02 and P_rect_03, or P2 and P3: the colour cameras
    Middlebury calib.txt, also ETH3D's                  cam0, cam1, doffs, baseline in millimetres
    ROS        camera_info of both cameras              projection_matrix (P); metres
    ========== ======================================== =====================================================

    Args:
        path: of the file; of ROS the left camera's.
        other: the second file, where there are two: ROS's right camera. None is the file beside it with "right" in its
            name for "left" (or "extrinsics" for "intrinsics", and back).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of these, something is missing or no number, the cameras are not rectified, or ``other``
            was given for a format of one file; the message names the file and the key.
    """
    return _format(path, other).read_calibration(Path(path), other)


def read_rig(path: FilePath, other: FilePath | None = None) -> StereoRig:
    """The cameras as they are, for ``Rectifier``: our calibration.yml, OpenCV's two files, KITTI's raw, or ROS's.

    Args:
        path: of the file.
        other: see ``read_calibration``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as for ``read_calibration``, or the format has rectified cameras alone.
    """
    with naming(path):
        return _format(path, other).read_rig(Path(path), other)


def _format(path: FilePath, other: FilePath | None):
    text = read_text(path)
    for known in FORMATS:
        if known.recognises(text):
            if other is not None and known in OF_ONE_FILE:
                raise ValueError(f"{path} holds both cameras; leave {other} out")
            return known
    raise ValueError(
        f"{path} is no calibration that is known: OpenCV's YAML or XML, KITTI's calib_cam_to_cam.txt or calib.txt, "
        "Middlebury's calib.txt, or ROS's camera_info YAML"
    )
