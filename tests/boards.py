"""Pictures of boards through known cameras: the truth that a calibration has to find again."""

import cv2
import numpy as np

from stereohg.calibration.boards import Charuco, Chessboard
from stereohg.calibration.cameras import Camera, StereoRig

SIZE = (480, 360)
FINER = 2  # pixels drawn for each along a side


def rig() -> StereoRig:
    """Two cameras that differ in everything, 12 cm apart, the right one turned by 3 degrees."""
    left = Camera(np.array([[400.0, 0, 238], [0, 402, 183], [0, 0, 1]]), np.array([-0.12, 0.05, 1e-3, -5e-4, 0]), SIZE)
    right = Camera(np.array([[410.0, 0, 244], [0, 408, 177], [0, 0, 1]]), np.array([-0.1, 0.03, 0, 1e-3, 0]), SIZE)
    rotation = cv2.Rodrigues(np.array([0.01, 0.05, -0.008]))[0]
    return StereoRig(left, right, rotation, np.array([-0.12, 0.002, 0.003]))


def poses(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotation (3,3) and place of the board's middle (3,), metres: tilted each in another way."""
    random = np.random.default_rng(0)
    turns = random.uniform(-0.55, 0.55, (count, 3)) * [1, 1, 0.5]
    places = random.uniform([-0.05, -0.08, 0.5], [0.15, 0.08, 0.75], (count, 3))
    return [(cv2.Rodrigues(turn)[0], place) for turn, place in zip(turns, places, strict=True)]


class Camcorder:
    """Draws a board as both cameras of a rig see it."""

    def __init__(self, rig: StereoRig, board: Chessboard | Charuco, pixels_per_square: int = 60):
        self.rig, self.texture = rig, _texture(board, pixels_per_square)
        self.metre = pixels_per_square / board.square
        height, width = self.texture.shape
        self.middle = np.array([width / 2, height / 2]) / self.metre
        y, x = np.mgrid[: FINER * SIZE[1], : FINER * SIZE[0]]
        pixels = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) / FINER - 0.5
        self.rays = [
            cv2.undistortPoints(pixels, camera.matrix, camera.distortion)[:, 0] for camera in (rig.left, rig.right)
        ]

    def __call__(self, turn: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Grey pictures (H,W) uint8."""
        corner = place - turn[:, :2] @ self.middle
        left = np.c_[turn[:, :2], corner]
        right = np.c_[self.rig.rotation @ turn[:, :2], self.rig.rotation @ corner + self.rig.translation]
        return tuple(self._seen(rays, to) for rays, to in zip(self.rays, (left, right), strict=True))

    def _seen(self, rays: np.ndarray, board_to_camera: np.ndarray) -> np.ndarray:
        on_board = np.c_[rays, np.ones(len(rays))] @ np.linalg.inv(board_to_camera).T
        where = (self.metre * on_board[:, :2] / on_board[:, 2:] - 0.5).astype(np.float32)
        where = where.reshape(FINER * SIZE[1], FINER * SIZE[0], 2)
        drawn = cv2.remap(self.texture, where, None, cv2.INTER_LINEAR, borderValue=160)
        return cv2.resize(drawn, SIZE, interpolation=cv2.INTER_AREA)


def _texture(board: Chessboard | Charuco, pixels: int) -> np.ndarray:
    if isinstance(board, Charuco):
        return board._board.generateImage((board.columns * pixels, board.rows * pixels))
    y, x = np.mgrid[: board.rows + 1, : board.columns + 1]
    squares = np.where((x + y) % 2, 235, 20).astype(np.uint8)
    return cv2.copyMakeBorder(np.kron(squares, np.ones((pixels, pixels), np.uint8)), *[pixels] * 4, 0, value=235)
