"""Calibration boards, and their corners in pictures.

Shapes: grey picture (H,W) uint8, corners (N,2) float32 pixels, ids (N,) numbers of the board's corners, points (N,3)
float32 metres on the board.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import cv2
import numpy as np

Pattern = Literal["chessboard", "charuco"]

MAX_SQUARE = 1.0  # metre; what is larger was meant in millimetres
SEARCH = 0.3  # of the distance between corners: how far around one its place is refined
STEPS = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
SIDES = ("left", "right")


class BoardNotFound(ValueError):
    """The board is not to be seen in a picture; says in which, and what was seen of it."""


@dataclass(frozen=True, eq=False)
class View:
    """The board in one pair: which of its corners, and where they are in each picture."""

    ids: np.ndarray
    left: np.ndarray
    right: np.ndarray


class Board(Protocol):
    points: np.ndarray  # all corners, metres

    def find(self, left: np.ndarray, right: np.ndarray) -> View:
        """The corners that both grey pictures show; BoardNotFound where they do not."""


def make_board(
    size: str, square: float, pattern: Pattern, marker: float | None, dictionary: str, legacy: bool = False
) -> Board:
    """The board that is so described; see the classes.

    Raises:
        ValueError: something is not understood, or no such board.
    """
    numbers = re.fullmatch(r"(\d+)x(\d+)", size.strip().lower())
    if numbers is None or min(map(int, numbers.groups())) < 3:
        raise ValueError(f"board is {size!r}; it must be such as 9x6, with 3 or more both ways")
    if not 0 < square <= MAX_SQUARE:
        raise ValueError(f"square is {square:g}; it is in metres, 25 mm being 0.025, and at most {MAX_SQUARE:g}")
    columns, rows = map(int, numbers.groups())
    if pattern == "chessboard":
        return Chessboard(columns, rows, square)
    if marker is None or not 0 < marker < square:
        raise ValueError(f"marker is {marker}; a ChArUco board's markers are smaller than its squares, in metres")
    board = Charuco(columns, rows, square, marker, dictionary, legacy)
    board.make()
    return board


@dataclass(frozen=True)
class Chessboard:
    """A plain chessboard of ``columns`` x ``rows`` inner corners, all of which must be seen; ``square`` in metres."""

    columns: int
    rows: int
    square: float

    @cached_property
    def points(self) -> np.ndarray:
        y, x = np.divmod(np.arange(self.columns * self.rows), self.columns)
        return (self.square * np.stack([x, y, 0 * x], axis=1)).astype(np.float32)

    def find(self, left: np.ndarray, right: np.ndarray) -> View:
        found = []
        for side, grey in zip(SIDES, (left, right), strict=True):
            corners = self._corners(grey)
            if corners is None:
                raise BoardNotFound(f"no board of {self.columns}x{self.rows} inner corners in the {side} picture")
            found.append(corners)
        first, second = found
        return View(np.arange(len(first)), first, self._turned_as(first, second))

    def _corners(self, grey: np.ndarray) -> np.ndarray | None:
        size = (self.columns, self.rows)
        flags = cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_NORMALIZE_IMAGE
        found, corners = cv2.findChessboardCornersSB(grey, size, flags=flags)
        if not found:  # boards without a white border, mostly
            found, corners = cv2.findChessboardCorners(grey, size)
            if not found:
                return None
            grid = corners.reshape(self.rows, self.columns, 2)
            steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1)]
            window = max(1, round(SEARCH * min(steps)))
            corners = cv2.cornerSubPix(grey, corners, (window, window), (-1, -1), STEPS)
        return corners.reshape(-1, 2)

    def _turned_as(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The right corners counted from the same end as the left ones: a grid looks the same when it is turned."""
        grid = right.reshape(self.rows, self.columns, 2)
        turns = range(4) if self.columns == self.rows else (0, 2)
        orders = [np.rot90(grid, turn).reshape(-1, 2) for turn in turns]
        return min(orders, key=lambda own: np.square((own - own.mean(0)) - (left - left.mean(0))).sum())


@dataclass(frozen=True)
class Charuco:
    """A chessboard of ``columns`` x ``rows`` squares with ArUco markers in the white ones; a part of it is enough.

    ``square`` and ``marker`` are sides in metres; ``dictionary`` is such as 4X4_50; ``legacy`` is the layout of OpenCV
    before 4.6, which has a white square at the top left where the rows are even.
    """

    columns: int
    rows: int
    square: float
    marker: float
    dictionary: str = "4X4_50"
    legacy: bool = False

    def make(self) -> None:
        """Raises ValueError where OpenCV has no such dictionary, or too few markers in it."""
        _ = self._board

    @cached_property
    def _board(self) -> "cv2.aruco.CharucoBoard":
        name = self.dictionary.upper().removeprefix("DICT_")
        number = getattr(cv2.aruco, f"DICT_{name}", None)
        if number is None:
            known = sorted(key.removeprefix("DICT_") for key in dir(cv2.aruco) if key.startswith("DICT_"))
            raise ValueError(f"dictionary is {self.dictionary!r}; OpenCV has {', '.join(known)}")
        markers = cv2.aruco.getPredefinedDictionary(number)
        needed, there = self.columns * self.rows // 2, len(markers.bytesList)
        if needed > there:
            raise ValueError(
                f"a board of {self.columns}x{self.rows} has {needed} markers, {self.dictionary} only {there}"
            )
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, markers)
        board.setLegacyPattern(self.legacy)
        return board

    @cached_property
    def points(self) -> np.ndarray:
        return np.asarray(self._board.getChessboardCorners(), np.float32)

    def find(self, left: np.ndarray, right: np.ndarray) -> View:
        found = []
        detector = cv2.aruco.CharucoDetector(self._board)
        for side, grey in zip(SIDES, (left, right), strict=True):
            corners, ids, _, markers = detector.detectBoard(grey)
            if ids is None or not len(ids):
                seen = 0 if markers is None else len(markers)
                raise BoardNotFound(f"no corner of the ChArUco board in the {side} picture ({seen} of its markers)")
            found.append(dict(zip(ids.ravel().tolist(), corners.reshape(-1, 2), strict=True)))
        first, second = found
        ids = sorted(first.keys() & second.keys())
        if not ids:
            raise BoardNotFound("no corner of the ChArUco board is in both pictures")
        return View(np.array(ids), *(np.array([own[key] for key in ids], np.float32) for own in found))
