"""Calibration of a stereo rig from pairs of pictures of a board, after Zhang (PAMI 2000), on OpenCV.

Each camera is calibrated by itself, which gives the start for both together (``cv2.stereoCalibrate``). The worst pair
is left out, and all is done again, until no pair is worse than the limit.

Errors are in pixels of the given pictures: reprojection errors are root mean squares, as OpenCV gives them; epipolar
error is the mean distance of a corner from the line that the other picture's corner gives, and the row error the mean
difference of rows after rectification.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from stereohg.calibration.boards import Board, View
from stereohg.calibration.cameras import Camera, Size, StereoRig, check_side_by_side
from stereohg.calibration.rectify import Rectifier

MIN_PAIRS = 5  # three fix the unknowns; with these an outlier shows
GOOD_PAIRS = 10
MIN_CORNERS = 8
GOOD_FOCAL = 0.01  # standard deviation of the focal length, relative
STEPS = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-9)
COEFFICIENTS = {5: 0, 8: cv2.CALIB_RATIONAL_MODEL}


@dataclass(frozen=True)
class Errors:
    """Of one pair, or the whole: reprojection in each picture, epipolar, and row after rectification, pixels."""

    left: float
    right: float
    epipolar: float
    rows: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """What ``calibrate`` found.

    Attributes:
        rig: the cameras.
        mono: reprojection error of each camera calibrated by itself, pixels.
        stereo: reprojection error of both together, pixels.
        focal_deviation: standard deviations of both cameras' focal lengths (calibrated each by itself), pixels.
        errors: the mean of the pairs' errors.
        pairs: the errors of each pair that counts, by name.
        left_out: why the others do not, by name.
        notes: what makes the result doubtful, in words.
    """

    rig: StereoRig
    mono: tuple[float, float]
    stereo: float
    focal_deviation: tuple[float, float]
    errors: Errors
    pairs: dict[str, Errors]
    left_out: dict[str, str]
    notes: tuple[str, ...]


def calibrate(
    views: Mapping[str, View], board: Board, size: Size, max_error: float = 1.0, coefficients: int = 5
) -> Calibration:
    """The rig that took these views.

    Args:
        views: by name of the pair.
        board: of which they are.
        size: (width, height) of all pictures.
        max_error: a pair with a larger reprojection error in either picture is left out, pixels.
        coefficients: of distortion: 5, or 8 for wide lenses (OpenCV's rational model).

    Raises:
        ValueError: too few views are usable, or what they show cannot be of a left and a right camera.
    """
    if coefficients not in COEFFICIENTS:
        raise ValueError(f"coefficients is {coefficients}; distortion has 5, or 8 of the rational model")
    if not max_error > 0:
        raise ValueError(f"max_error is {max_error}; it must be positive, in pixels")
    left_out = {name: reason for name, view in views.items() if (reason := _unusable(view, board))}
    while True:
        kept = {name: view for name, view in views.items() if name not in left_out}
        if len(kept) < MIN_PAIRS:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            raise ValueError(
                f"{len(kept)} pairs can be used, and {MIN_PAIRS} at least are needed (better {GOOD_PAIRS} to 20, the "
                "board tilted in each another way, all over the picture)"
                + (f"; left out: {reasons}" if reasons else "")
            )
        result = _solve(kept, board, size, coefficients)
        worst = max(result.pairs, key=lambda name: max(result.pairs[name].left, result.pairs[name].right))
        error = max(result.pairs[worst].left, result.pairs[worst].right)
        if error <= max_error:
            return Calibration(**{**vars(result), "left_out": left_out, "notes": _notes(result)})
        left_out[worst] = f"its corners lie {error:.2f} px from where they should (limit {max_error:g} px)"


def _solve(views: Mapping[str, View], board: Board, size: Size, coefficients: int) -> Calibration:
    flags = COEFFICIENTS[coefficients]
    points = [board.points[view.ids] for view in views.values()]
    corners = [[getattr(view, side) for view in views.values()] for side in ("left", "right")]
    try:
        mono = [cv2.calibrateCameraExtended(points, own, size, None, None, flags=flags) for own in corners]
        start = [matrix for own in mono for matrix in own[1:3]]
        stereo, *cameras, rotation, translation, _, fundamental, _, _, errors = cv2.stereoCalibrateExtended(
            points,
            *corners,
            *start,
            size,
            np.eye(3),
            np.zeros((3, 1)),
            flags=flags | cv2.CALIB_USE_INTRINSIC_GUESS,
            criteria=STEPS,
        )
    except cv2.error as error:
        raise ValueError(f"OpenCV finds no cameras that would see the boards so ({error.err})") from error
    if not all(np.isfinite(matrix).all() for matrix in (*cameras, rotation, translation)):
        raise ValueError("no cameras are found that would see the boards so; tilt the board in other ways")
    check_side_by_side(*(-rotation.T @ translation)[:2, 0])
    left, right = (
        Camera(cameras[i], cameras[i + 1].ravel()[:coefficients].copy(), tuple(map(int, size))) for i in (0, 2)
    )
    rig = StereoRig(left, right, rotation, translation.ravel())
    rectifier = Rectifier(rig)
    pairs = {
        name: Errors(*map(float, own), _epipolar_error(view, rig, fundamental), _row_error(view, rectifier))
        for (name, view), own in zip(views.items(), errors, strict=True)
    }
    return Calibration(
        rig=rig,
        mono=(mono[0][0], mono[1][0]),
        stereo=stereo,
        focal_deviation=tuple(float(own[5][0, 0]) for own in mono),
        errors=Errors(*np.mean([list(vars(own).values()) for own in pairs.values()], axis=0).tolist()),
        pairs=pairs,
        left_out={},
        notes=(),
    )


def _unusable(view: View, board: Board) -> str | None:
    if len(view.ids) < MIN_CORNERS:
        return f"{len(view.ids)} corners are in both pictures, and {MIN_CORNERS} at least are needed"
    spread = np.linalg.svd(board.points[view.ids] - board.points[view.ids].mean(0), compute_uv=False)
    return "its corners lie on one line" if spread[1] < 1e-3 * spread[0] else None


def _epipolar_error(view: View, rig: StereoRig, fundamental: np.ndarray) -> float:
    """``fundamental`` (3,3) is of the pictures without their distortion, as ``cv2.stereoCalibrate`` has it."""
    left, right = (
        np.c_[
            cv2.undistortPoints(corners[:, None], camera.matrix, camera.distortion, P=camera.matrix)[:, 0],
            np.ones(len(corners)),
        ]
        for corners, camera in ((view.left, rig.left), (view.right, rig.right))
    )
    return float(np.mean([_distance(right, left @ fundamental.T).mean(), _distance(left, right @ fundamental).mean()]))


def _distance(points: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Of homogeneous points (N,3) from lines (N,3)."""
    return np.abs((points * lines).sum(1)) / np.linalg.norm(lines[:, :2], axis=1)


def _row_error(view: View, rectifier: Rectifier) -> float:
    left, right = rectifier.points(view.left, view.right)
    return float(np.abs(left - right)[:, 1].mean())


def _notes(result: Calibration) -> tuple[str, ...]:
    notes = []
    if len(result.pairs) < GOOD_PAIRS:
        notes.append(f"{len(result.pairs)} pairs are few; {GOOD_PAIRS} to 20 are usual")
    for side, camera, deviation in zip(
        ("left", "right"), (result.rig.left, result.rig.right), result.focal_deviation, strict=True
    ):
        focal = camera.matrix[0, 0]
        if not deviation <= GOOD_FOCAL * focal:
            notes.append(
                f"the {side} camera's focal length is only known to {deviation:.1f} of {focal:.0f} px; take pictures "
                "with the board tilted, up to 45 degrees, and near"
            )
    return tuple(notes)
