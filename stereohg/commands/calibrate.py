"""``stereohg calibrate``: two cameras, from pairs of pictures of a board."""

from pathlib import Path

import cv2
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from stereohg.calibration.boards import Board, Chessboard, Pattern, View, make_board
from stereohg.calibration.calibrate import Calibration
from stereohg.calibration.calibrate import calibrate as run
from stereohg.calibration.formats.opencv import check_name, write_rig
from stereohg.commands.outputs import check_not_taken_for_pictures, open_folder
from stereohg.commands.telling import make_console
from stereohg.data.pairs import Pair, find_pairs
from stereohg.files import read_image, write_png


def calibrate(
    left: str,
    right: str,
    board: str,
    square: float,
    output: Path = Path("calibration.yml"),
    pattern: Pattern = "chessboard",
    marker: float | None = None,
    dictionary: str = "4X4_50",
    legacy: bool = False,
    max_error: float = 1.0,
    coefficients: int = 5,
    figures: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Calibrates two cameras from pairs of pictures of a chessboard or ChArUco board.

    Prints the reprojection error of each camera and of both, the epipolar error, and those of each pair; says which
    pairs were left out and why. `stereohg rectify` takes the file.

    Args:
        left: folder of the left camera's pictures, or a pattern such as 'pictures/left*.jpg'.
        right: of the right camera's; pairs have the same name (or the same text for each *).
        board: of a chessboard the inner corners, such as 9x6; of a ChArUco board the squares.
        square: side of a square in metres (25 mm is 0.025).
        output: the calibration, .yml.
        pattern: chessboard or charuco.
        marker: side of a ChArUco marker in metres.
        dictionary: of the ChArUco markers.
        legacy: the ChArUco board has the layout of OpenCV before 4.6.
        max_error: leave out pairs with a larger reprojection error, pixels.
        coefficients: of distortion, 5, or 8 for wide lenses (not fisheyes).
        figures: folder for the pairs with the corners that were found.
        overwrite: replace what is there.
    """
    check_name(output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} is there already; give another name, or --overwrite")
    described = make_board(board, square, pattern, marker, dictionary, legacy)
    pairs, problems = find_pairs(left, right)
    if figures is not None:
        drawn = [figures / f"{pair.name}_corners.png" for pair in pairs]
        check_not_taken_for_pictures(drawn, left, [path for pair in pairs for path in (pair.left, pair.right)])
    open_folder(output.parent)
    views, left_out, size = {}, {}, None
    for pair in track(pairs, "finding corners", console=make_console(stderr=True)):
        try:
            pictures = _read(pair, size)
            size = pictures[0].shape[1::-1]
            views[pair.name] = view = described.find(*(cv2.cvtColor(own, cv2.COLOR_RGB2GRAY) for own in pictures))
        except (ValueError, OSError) as error:
            left_out[pair.name] = str(error)
            continue
        if figures is not None:
            write_png(figures / f"{pair.name}_corners.png", _drawn(pictures, view, described))

    console = make_console(soft_wrap=True)
    for problem in problems:
        console.print(f"left out: {problem}", style="yellow")
    for name, reason in left_out.items():
        console.print(f"left out: {name}: {reason}", style="yellow")
    result = run(views, described, size, max_error, coefficients)
    for name, reason in result.left_out.items():
        console.print(f"left out: {name}: {reason}", style="yellow")
    _tell(result, console)
    facts = {"reprojection_error": result.stereo, "epipolar_error": result.errors.epipolar, "pairs": len(result.pairs)}
    write_rig(output, result.rig, facts)
    console.print(f"written: {output}")


def _read(pair: Pair, size: tuple[int, int] | None) -> list[np.ndarray]:
    pictures = [read_image(path) for path in (pair.left, pair.right)]
    size = size or pictures[0].shape[1::-1]
    for path, picture in zip((pair.left, pair.right), pictures, strict=True):
        if picture.shape[1::-1] != size:
            width, height = picture.shape[1::-1]
            raise ValueError(
                f"{path} is {width}x{height}, and the first picture {size[0]}x{size[1]}; all must be alike"
            )
    return [picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8) for picture in pictures]


def _drawn(pictures: list[np.ndarray], view: View, board: Board) -> np.ndarray:
    """Both pictures side by side with the corners on them."""
    for picture, corners in zip(pictures, (view.left, view.right), strict=True):
        if isinstance(board, Chessboard):
            cv2.drawChessboardCorners(picture, (board.columns, board.rows), corners[:, None], True)
        else:
            cv2.aruco.drawDetectedCornersCharuco(
                picture, corners[:, None], view.ids[:, None].astype(np.int32), (255, 0, 0)
            )
    return np.hstack(pictures)


def _tell(result: Calibration, console: Console) -> None:
    table = Table("pair", "left", "right", "epipolar", "rows", box=SIMPLE, title="errors in pixels")
    for name, errors in result.pairs.items():
        table.add_row(name, *(f"{value:.2f}" for value in vars(errors).values()))
    console.print(table)
    for side, camera, error, deviation in zip(
        ("left", "right"), (result.rig.left, result.rig.right), result.mono, result.focal_deviation, strict=True
    ):
        console.print(
            f"{side}: focal length {camera.matrix[0, 0]:.1f} px (deviation {deviation:.1f}), "
            f"reprojection error by itself {error:.3f} px"
        )
    console.print(f"both, {len(result.pairs)} pairs: reprojection error {result.stereo:.3f} px (root mean square)")
    console.print(
        f"epipolar error {result.errors.epipolar:.3f} px, rows after rectification {result.errors.rows:.3f} px"
    )
    console.print(f"distance of the cameras: {np.linalg.norm(result.rig.translation):.5f} m")
    for note in result.notes:
        console.print(f"note: {note}", style="yellow")
