"""The chessboard sequence of Debian's opencv-doc, as a user calibrates it; skipped where the package is not installed.

The package does not say how large the squares are: 25 mm is taken, and all lengths are relative to it.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from stereohg.calibration.boards import BoardNotFound, Chessboard
from stereohg.calibration.formats import read_calibration
from stereohg.cli import main
from stereohg.files import read_image

DATA = Path("/usr/share/doc/opencv-doc/examples/data")
BOARD = Chessboard(9, 6, 0.025)

pytestmark = pytest.mark.skipif(not (DATA / "right14.jpg").is_file(), reason="Debian's opencv-doc is not installed")


@pytest.fixture(scope="module")
def rectified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rectified")
    sides = [str(DATA / f"{side}[01][0-9].jpg") for side in ("left", "right")]
    calibration = str(folder / "calibration.yml")
    assert main(["calibrate", *sides, "--board", "9x6", "--square", "0.025", "-o", calibration]) == 0
    assert main(["rectify", calibration, *sides, "-o", str(folder / "out")]) == 0
    return folder


def test_errors_of_the_calibration(rectified):
    storage = cv2.FileStorage(str(rectified / "calibration.yml"), cv2.FILE_STORAGE_READ)
    assert storage.getNode("pairs").real() == 13
    assert storage.getNode("reprojection_error").real() < 0.4
    assert storage.getNode("epipolar_error").real() < 0.25


def test_rows_agree_and_the_board_is_as_large_as_it_is(rectified):
    calibration = read_calibration(rectified / "out" / "calibration.yml")
    rows, sides = [], []
    for path in sorted((rectified / "out" / "left").iterdir()):
        greys = [read_image(file)[..., 0] for file in (path, rectified / "out" / "right" / path.name)]
        try:
            view = BOARD.find(*greys)
        except BoardNotFound:  # cut off at the border
            continue
        rows.append(np.abs(view.left - view.right)[:, 1].mean())
        corners = np.c_[view.left, (view.left - view.right)[:, 0]].astype(np.float64)
        grid = cv2.perspectiveTransform(corners[None], calibration.Q).reshape(BOARD.rows, BOARD.columns, 3)
        sides += [np.linalg.norm(np.diff(grid, axis=axis), axis=2).ravel() for axis in (0, 1)]
    sides = np.concatenate(sides)
    print(
        f"{len(rows)} boards: rows {np.mean(rows):.3f} px (worst {max(rows):.3f}), sides {1000 * sides.mean():.3f} mm"
    )
    print(f"sides: mean error {sides.mean() / 0.025 - 1:.2%}, root mean square {np.std(sides / 0.025):.2%}")
    assert len(rows) >= 10
    assert max(rows) < 0.5
    assert sides.mean() == pytest.approx(0.025, rel=0.005)
    assert np.abs(sides / 0.025 - 1).mean() < 0.02
