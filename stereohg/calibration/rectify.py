"""Rectification: both pictures as two cameras would have taken them that look the same way along equal rows.

Shapes: image (H,W,3) uint8 or uint16 RGB, points (N,2) pixels x, y.
"""

import cv2
import numpy as np

from stereohg.calibration.cameras import StereoCalibration, StereoRig, check_side_by_side


class Rectifier:
    """Takes pairs of a rig to rectified pairs.

    Args:
        rig: the cameras.
        alpha: 0 shows only what the cameras saw, 1 all of it with black around it; between them, a part.

    Attributes:
        calibration: of the rectified pictures.
    """

    def __init__(self, rig: StereoRig, alpha: float = 0.0):
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}; it must lie in [0,1]")
        if rig.left.size != rig.right.size:
            raise ValueError(f"the pictures are {rig.left.size} and {rig.right.size}; both cameras need one size")
        cameras = [matrix for camera in (rig.left, rig.right) for matrix in (camera.matrix, camera.distortion)]
        centre_of_right = -rig.rotation.T @ rig.translation
        check_side_by_side(*centre_of_right[:2])
        left_turn, right_turn, left_projection, right_projection, *_ = cv2.stereoRectify(
            *cameras,
            rig.left.size,
            rig.rotation,
            rig.translation.reshape(3, 1),
            flags=cv2.CALIB_ZERO_DISPARITY,
            alpha=alpha,
        )
        self.calibration = StereoCalibration.from_projections(left_projection, right_projection, rig.left.size)
        self._cameras = (rig.left, left_turn, left_projection), (rig.right, right_turn, right_projection)
        self._maps = [
            cv2.initUndistortRectifyMap(
                camera.matrix, camera.distortion, turn, projection[:, :3], camera.size, cv2.CV_32FC1
            )
            for camera, turn, projection in self._cameras
        ]

    def __call__(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rectified pair, of the same size and type.

        Raises:
            ValueError: a picture is not of the cameras' size.
        """
        for name, picture in (("left", left), ("right", right)):
            if picture.shape[1::-1] != self.calibration.size:
                width, height = self.calibration.size
                raise ValueError(
                    f"the {name} picture is {picture.shape[1]}x{picture.shape[0]}, and the calibration is"
                    f" of {width}x{height} pictures; calibrate with pictures of this size"
                )
        return tuple(
            cv2.remap(picture, *maps, cv2.INTER_LINEAR) for picture, maps in zip((left, right), self._maps, strict=True)
        )

    def points(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points (N,2) of the given pictures lie in the rectified ones."""
        return tuple(
            cv2.undistortPoints(
                np.asarray(points, np.float64)[:, None], camera.matrix, camera.distortion, R=turn, P=projection
            )[:, 0]
            for points, (camera, turn, projection) in zip((left, right), self._cameras, strict=True)
        )
