"""Boards drawn through known cameras: the cameras are found again, and pictures and videos come out on equal rows."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from stereohg.calibration.boards import BoardNotFound, Charuco, Chessboard, make_board
from stereohg.calibration.calibrate import calibrate
from stereohg.calibration.cameras import StereoRig
from stereohg.calibration.formats import read_calibration, read_rig
from stereohg.calibration.formats.opencv import write_rig
from stereohg.calibration.rectify import Rectifier
from stereohg.cli import main
from stereohg.data.videos import VideoFile
from stereohg.files import read_image
from tests.boards import SIZE, Camcorder, poses, rig
from tests.videos import damage_frame, write_video

CHESSBOARD = Chessboard(7, 5, 0.03)
CHARUCO = Charuco(8, 6, 0.03, 0.022)


@pytest.fixture(scope="module")
def pictures():
    camcorder = Camcorder(rig(), CHESSBOARD)
    return {f"{i:02}": camcorder(*pose) for i, pose in enumerate(poses(12))}


@pytest.fixture(scope="module")
def views(pictures):
    return {name: CHESSBOARD.find(*pair) for name, pair in pictures.items()}


def save(folder, pictures):
    for name, pair in pictures.items():
        for side, picture in zip(("left", "right"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / side / f"{name}.png")


def check_rig(found: StereoRig):
    truth = rig()
    for own, true in ((found.left, truth.left), (found.right, truth.right)):
        np.testing.assert_allclose(own.matrix, true.matrix, atol=4)  # 1 % of the focal length
    turn = cv2.Rodrigues(found.rotation @ truth.rotation.T)[0]
    assert np.linalg.norm(turn) < 0.01
    assert np.linalg.norm(found.translation) == pytest.approx(np.linalg.norm(truth.translation), rel=0.005)


def test_chessboard_gives_the_cameras_again(views):
    result = calibrate(views, CHESSBOARD, SIZE)
    assert not result.left_out and len(result.pairs) == 12
    check_rig(result.rig)
    assert max(*result.mono, result.stereo) < 0.15
    assert result.errors.epipolar < 0.2 and result.errors.rows < 0.2


def test_charuco_gives_the_cameras_again_from_parts_of_the_board():
    camcorder = Camcorder(rig(), CHARUCO)
    views = {}
    for i, pose in enumerate(poses(10)):
        left, right = camcorder(*pose)
        left[:, : 20 * (i % 5)] = 0  # a part is hidden
        views[str(i)] = CHARUCO.find(left, right)
    assert min(len(view.ids) for view in views.values()) < len(CHARUCO.points)
    check_rig(calibrate(views, CHARUCO, SIZE).rig)


def test_corners_are_where_the_cameras_see_them(pictures, views):
    cameras = rig()
    for (turn, place), view in zip(poses(12), views.values(), strict=True):
        points = (CHESSBOARD.points - CHESSBOARD.points.mean(0)) @ turn.T + place
        moves = (np.eye(3), np.zeros(3)), (cameras.rotation, cameras.translation)
        for camera, (rotation, translation), found in zip(
            (cameras.left, cameras.right), moves, (view.left, view.right), strict=True
        ):
            seen = cv2.projectPoints(points, rotation, translation, camera.matrix, camera.distortion)[0][:, 0]
            distance = np.linalg.norm(found - seen, axis=1).mean()
            turned = np.linalg.norm(found[::-1] - seen, axis=1).mean()  # a board has no first end
            assert min(distance, turned) < 0.2


def test_right_corners_are_counted_from_the_same_end(views):
    for view in views.values():
        assert np.array_equal(CHESSBOARD._turned_as(view.left, view.right[::-1]), view.right)
    square = Chessboard(3, 3, 1.0)
    corners = square.points[:, :2]
    quarter = np.rot90(corners.reshape(3, 3, 2)).reshape(-1, 2)
    np.testing.assert_array_equal(square._turned_as(corners, quarter + 7), corners + 7)


def test_a_bad_pair_is_left_out_and_named(views):
    bad = dict(views)
    shifted = bad["03"].right.copy()
    shifted[::2, 1] += 6
    bad["03"] = type(bad["03"])(bad["03"].ids, bad["03"].left, shifted)
    result = calibrate(bad, CHESSBOARD, SIZE)
    assert list(result.left_out) == ["03"] and "px from where they should (limit 1 px)" in result.left_out["03"]
    check_rig(result.rig)


def test_too_few_pairs_are_refused(views):
    with pytest.raises(ValueError, match="4 pairs can be used, and 5 at least are needed"):
        calibrate(dict(list(views.items())[:4]), CHESSBOARD, SIZE)
    result = calibrate(dict(list(views.items())[:6]), CHESSBOARD, SIZE)
    assert any("6 pairs are few" in note for note in result.notes)


def test_exchanged_cameras_are_told(views):
    swapped = {name: type(view)(view.ids, view.right, view.left) for name, view in views.items()}
    with pytest.raises(ValueError, match="exchange left and right"):
        calibrate(swapped, CHESSBOARD, SIZE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": "9"}, "board is '9'"),
        ({"size": "2x6"}, "3 or more both ways"),
        ({"square": 25}, "25 mm being 0.025"),
        ({"pattern": "charuco"}, "marker is None"),
    ],
)
def test_boards_that_are_none(options, told):
    settings = {"size": "9x6", "square": 0.025, "pattern": "chessboard", "marker": None, "dictionary": "4X4_50"}
    with pytest.raises(ValueError, match=told):
        make_board(**{**settings, **options})


def test_charuco_says_what_dictionary_it_lacks():
    with pytest.raises(ValueError, match="OpenCV has .*4X4_50"):
        make_board("5x7", 0.03, "charuco", 0.02, "9X9_1")  # before any picture is read
    with pytest.raises(ValueError, match="has 100 markers, 4X4_50 only 50"):
        Charuco(20, 10, 0.03, 0.02).points  # noqa: B018


def test_no_board_is_told_with_the_side(pictures):
    left, right = pictures["00"]
    with pytest.raises(BoardNotFound, match="inner corners in the right picture"):
        CHESSBOARD.find(left, np.zeros_like(right))
    with pytest.raises(BoardNotFound, match="in the left picture"):
        CHARUCO.find(left, right)


# --- rectification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 1])
def test_corners_found_again_in_rectified_pictures_are_on_equal_rows_and_their_squares_as_large(pictures, alpha):
    rectifier = Rectifier(rig(), alpha)
    found = 0
    for pair in pictures.values():
        try:
            view = CHESSBOARD.find(*rectifier(*pair))
        except BoardNotFound:  # cut off at the border
            continue
        found += 1
        assert np.abs(view.left - view.right)[:, 1].mean() < 0.2
        disparity = (view.left - view.right)[:, 0]
        points = cv2.perspectiveTransform(np.c_[view.left, disparity][None].astype(np.float64), rectifier.calibration.Q)
        sides = np.linalg.norm(np.diff(points.reshape(5, 7, 3), axis=1), axis=2)
        assert sides.mean() == pytest.approx(0.03, rel=0.02)
    assert found >= 8


def test_points_go_where_pictures_go(pictures, views):
    rectifier = Rectifier(rig())
    again = CHESSBOARD.find(*rectifier(*pictures["02"]))
    left, right = rectifier.points(views["02"].left, views["02"].right)
    assert np.abs(left - again.left).mean() < 0.2 and np.abs(right - again.right).mean() < 0.2


def test_rectifier_refuses_other_pictures_and_cameras():
    with pytest.raises(ValueError, match="left picture is 4x3, and the calibration is of 480x360 pictures"):
        Rectifier(rig())(np.zeros((3, 4, 3), np.uint8), np.zeros((360, 480, 3), np.uint8))
    with pytest.raises(ValueError, match="alpha is 2"):
        Rectifier(rig(), 2)
    given = rig()
    with pytest.raises(ValueError, match="exchange left and right"):
        Rectifier(StereoRig(given.left, given.right, given.rotation, -given.translation))
    with pytest.raises(ValueError, match="one above the other"):
        Rectifier(StereoRig(given.left, given.right, given.rotation, np.array([0, -0.1, 0])))


# --- commands -------------------------------------------------------------------------------------------------------


def test_from_boards_to_metres(tmp_path, pictures, capsys):
    save(tmp_path, {**pictures, "99": (pictures["00"][0], np.zeros_like(pictures["00"][1]))})
    sides = [str(tmp_path / side) for side in ("left", "right")]
    file, out = str(tmp_path / "calibration.yml"), str(tmp_path / "out")
    board = ["--board", "7x5", "--square", "0.03"]
    assert main(["calibrate", *sides, *board, "-o", file, "--figures", str(tmp_path / "corners")]) == 0
    told = capsys.readouterr().out
    assert "left out: 99: no board of 7x5 inner corners in the right picture" in told
    assert "12 pairs: reprojection error 0." in told and "epipolar error 0." in told
    assert len(list((tmp_path / "corners").iterdir())) == 12
    assert main(["calibrate", *sides, *board, "-o", file]) == 1
    assert "is there already; give another name, or --overwrite" in " ".join(capsys.readouterr().err.split())
    check_rig(read_rig(file))
    with pytest.raises(ValueError, match="not rectified .*stereohg rectify"):
        read_calibration(file)

    assert main(["rectify", file, *sides, "-o", out]) == 0
    assert len(list((tmp_path / "out" / "left").iterdir())) == len(list((tmp_path / "out" / "right").iterdir())) == 13
    calibration = read_calibration(tmp_path / "out" / "calibration.yml")
    assert calibration.size == SIZE and calibration.baseline == pytest.approx(0.12, rel=0.01)
    assert "not yet rectified?" not in capsys.readouterr().out
    assert main(["rectify", file, *sides[::-1], "-o", str(tmp_path / "exchanged")]) == 0
    assert "not yet rectified?" in capsys.readouterr().out
    for side in sides:
        Image.new("RGB", (64, 48)).save(f"{side}/00.png")
    small = [f"{side}/00.png" for side in sides]
    assert main(["rectify", file, *small, "-o", str(tmp_path / "none")]) == 1
    assert "0 of 1 pairs" in capsys.readouterr().out and not (tmp_path / "none" / "calibration.yml").exists()


def test_what_is_written_does_not_lie_among_what_is_read(tmp_path, pictures, capsys):
    save(tmp_path, dict(list(pictures.items())[:2]))
    sides = [str(tmp_path / side) for side in ("left", "right")]
    write_rig(tmp_path / "rig.yml", rig())
    before = sorted(tmp_path.rglob("*"))
    board = ["--board", "7x5", "--square", "0.03", "-o", str(tmp_path / "c.yml"), "--figures", sides[0]]
    patterns = [f"{side}/*.png" for side in sides]
    assert main(["calibrate", *sides, *board]) == main(["calibrate", *patterns, *board]) == 1
    assert capsys.readouterr().err.count("taken for one of them") == 2
    for side in sides:
        for name in ("00", "01"):
            Image.open(f"{side}/{name}.png").save(f"{side}/{name}.bmp")
            Path(f"{side}/{name}.png").unlink()
    assert main(["rectify", str(tmp_path / "rig.yml"), *sides, "-o", str(tmp_path)]) == 1
    assert "taken for one of them" in capsys.readouterr().err
    assert len(sorted(tmp_path.rglob("*"))) == len(before)


def test_calibrate_says_in_one_line_what_is_wrong(tmp_path, pictures, capsys):
    save(tmp_path, dict(list(pictures.items())[:3]))
    sides = [str(tmp_path / side) for side in ("left", "right")]
    file = tmp_path / "calibration.yml"
    assert main(["calibrate", *sides, "--board", "7x5", "--square", "0.03", "-o", str(file)]) == 1
    assert "3 pairs can be used" in capsys.readouterr().err
    nowhere = ["calibrate", "nothing", "nothing", "--board", "7x5", "--square", "0.03", "-o", "calibration.json"]
    assert main(nowhere) == 1  # told before any picture is read
    assert "calibration.json would hold YAML; name it .yml" in " ".join(capsys.readouterr().err.split())
    assert not file.exists()


def test_rectified_16_bit_pictures_keep_their_bits(tmp_path):
    write_rig(tmp_path / "rig.yml", rig())
    picture = np.tile(np.linspace(0, 65535, SIZE[0]).astype(np.uint16), (SIZE[1], 1))
    for side in ("left", "right"):
        cv2.imwrite(str(tmp_path / f"{side}.png"), picture)
    arguments = [str(tmp_path / name) for name in ("rig.yml", "left.png", "right.png")]
    assert main(["rectify", *arguments, "-o", str(tmp_path / "out")]) == 0
    made = read_image(tmp_path / "out" / "left" / "left.png")
    assert made.dtype == np.uint16 and made.shape == (SIZE[1], SIZE[0], 3) and made.max() > 60000


def test_rectified_pictures_replace_no_others(tmp_path, pictures, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(tmp_path, {"00": pictures["00"]})
    write_rig(tmp_path / "calibration.yml", rig())
    write_rig(tmp_path / "rig.yml", rig())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for file, left in (("rig.yml", "left"), ("calibration.yml", "left"), ("rig.yml", "left/00.avi")):
        assert main(["rectify", file, left, left.replace("left", "right"), "-o", "."]) == 1
        assert "is read, and would be overwritten" in " ".join(capsys.readouterr().err.split())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_videos_are_rectified_frame_by_frame(tmp_path, pictures, capsys):
    write_rig(tmp_path / "rig.yml", rig())
    pairs = list(pictures.values())[:4]
    write_video(tmp_path / "left.avi", [left for left, _ in pairs], rate=10, codec="FFV1")
    write_video(tmp_path / "right.avi", [right for _, right in pairs[:3]], rate=10, codec="FFV1")
    arguments = [str(tmp_path / name) for name in ("rig.yml", "left.avi", "right.avi")]
    assert main(["rectify", *arguments, "-o", str(tmp_path / "out")]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "left.avi has 4 frames" in told and "right.avi 3; what is over is left out" in told and "3 frames:" in told
    readers = [cv2.VideoCapture(str(tmp_path / "out" / side / "left.avi")) for side in ("left", "right")]
    rectifier = Rectifier(rig())
    for pair in pairs[:3]:
        for reader, expected in zip(readers, rectifier(*pair), strict=True):
            there, frame = reader.read()
            # the colour space of videos rounds
            assert there and np.abs(frame[..., 0].astype(int) - expected).max() <= 3
    assert not readers[0].read()[0] and readers[0].get(cv2.CAP_PROP_FPS) == 10


def test_rectified_videos_end_at_a_damaged_frame(tmp_path, pictures, capsys):
    write_rig(tmp_path / "rig.yml", rig())
    for side in (0, 1):
        write_video(tmp_path / f"{side}.avi", [pair[side] for pair in list(pictures.values())[:4]])
    damage_frame(tmp_path / "1.avi", 2)
    arguments = [str(tmp_path / name) for name in ("rig.yml", "0.avi", "1.avi")]
    assert main(["rectify", *arguments, "-o", str(tmp_path / "out")]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "1.avi: frame 2 of 4 cannot be read" in told and "stopped behind frame 2" in told and "2 frames:" in told
    assert VideoFile(tmp_path / "out" / "right" / "0.avi", []).count == 2


def test_no_half_written_video_stays(tmp_path, pictures, capsys):
    write_rig(tmp_path / "rig.yml", rig())
    left, right = pictures["00"]
    write_video(tmp_path / "left.avi", [left], rate=10, codec="FFV1")
    write_video(tmp_path / "right.avi", [right], rate=20, codec="FFV1")
    (tmp_path / "broken.avi").write_bytes(b"no video")
    for other, told in (
        ("right.avi", "frames do not belong together"),
        ("broken.avi", "no whole video that OpenCV can"),
    ):
        arguments = [str(tmp_path / name) for name in ("rig.yml", "left.avi", other)]
        assert main(["rectify", *arguments, "-o", str(tmp_path / "out")]) == 1
        assert told in capsys.readouterr().err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
