"""Archives for the benchmarks, out of the small official trees and a stand-in network whose answers are known."""

import warnings
import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from stereohg.commands.submit import submit
from stereohg.files import read_disparity, read_pfm
from stereohg.prediction import Predictor
from stereohg.submission import BENCHMARKS, write_submission
from tests import trees
from tests.test_evaluation import Answers


def write(benchmark, root, answer=5.5, **options):
    output = root / "out" / "answers.zip"
    options = {"incomplete": True, **options}
    return write_submission(benchmark, root, Predictor(Answers(answer)), output, **options), output


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert all(entry.external_attr >> 16 & 0o444 == 0o444 for entry in opened.infolist())  # else unzip locks them
        opened.extractall(folder)
        return opened.namelist()


@pytest.mark.parametrize("year, name", [(2012, "000003_10.png"), (2015, "disp_0/000003_10.png")])
def test_kitti_is_16_bit_png_where_its_server_looks(tmp_path, year, name):
    written, archive = write(f"kitti{year}", trees.kitti(tmp_path, year), 5.5)
    assert written == unpacked(archive, tmp_path / "unpacked") == [name]
    with Image.open(tmp_path / "unpacked" / name) as image:
        stored = np.asarray(image)
        assert image.mode.startswith("I") and image.size == (96, 48)
    assert (stored == 5.5 * 256).all()


@pytest.mark.parametrize("answer, stored", [(0.0, 1), (0.001, 1), (1 / 256, 1), (2.6 / 256, 3), (255.996, 65535)])
def test_kitti_rounds_and_never_says_unknown(tmp_path, answer, stored):
    _, archive = write("kitti2015", trees.kitti(tmp_path, 2015), answer)
    with zipfile.ZipFile(archive) as opened, Image.open(BytesIO(opened.read("disp_0/000003_10.png"))) as image:
        assert np.unique(np.asarray(image)).tolist() == [stored]


def test_eth3d_is_pfm_and_seconds_of_training_and_test(tmp_path):
    written, archive = write("eth3d", trees.eth3d(tmp_path))
    assert written == unpacked(archive, tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "low_res_two_view"
    names = [f"{scene}.{kind}" for scene in ("delivery_area_1l", "lakeside_1l") for kind in ("pfm", "txt")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (read_pfm(folder / "lakeside_1l.pfm") == 5.5).all()
    word, seconds = (folder / "lakeside_1l.txt").read_text().split()
    assert word == "runtime" and float(seconds) >= 0


def test_middlebury_names_the_method(tmp_path):
    written, archive = write("middleburyQ", trees.middlebury(tmp_path), method="ours")
    assert written == unpacked(archive, tmp_path / "unpacked")
    scenes = ("trainingQ/Adirondack", "trainingQ/Motorcycle", "testQ/Australia")
    assert written == [f"{scene}/{name}" for scene in scenes for name in ("disp0ours.pfm", "timeours.txt")]
    disparity, valid = read_disparity(tmp_path / "unpacked" / "testQ" / "Australia" / "disp0ours.pfm")
    assert (disparity == 5.5).all() and valid.all()
    assert float((tmp_path / "unpacked" / "testQ" / "Australia" / "timeours.txt").read_text()) >= 0


def test_disparities_beyond_the_range_are_told(tmp_path, caplog):
    root = trees.middlebury(tmp_path)
    calibration = root / "trainingQ/Adirondack/calib.txt"
    calibration.write_text(calibration.read_text().replace("ndisp=70", "ndisp=64"))
    write("middleburyQ", root)
    told = [record.getMessage() for record in caplog.records]
    rest = "has disparities of up to 70 px, and 64 px are searched; see --max_disp"
    assert told == [f"{scene} {rest}" for scene in ("Motorcycle", "Australia")]


def test_warnings_have_the_pairs_name(tmp_path, caplog):
    class AtTheEnd(Answers):
        def forward_with_similarities(self, left, right, *seen):
            disparities, similarities = super().forward_with_similarities(left, right, *seen)
            similarities[-1][:, -1] += 100
            return disparities, similarities

    root = trees.kitti(tmp_path, 2015)
    with warnings.catch_warnings(action="error"):
        write_submission("kitti2015", root, Predictor(AtTheEnd(5.5)), tmp_path / "answers.zip", incomplete=True)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("000003_10: ") and "sit at the end of the range" in told


def test_equal_answers_make_equal_archives(tmp_path):
    root = trees.kitti(tmp_path, 2015)
    first = write("kitti2015", root)[1].read_bytes()
    assert write("kitti2015", root)[1].read_bytes() == first


def test_what_is_missing_is_told_before_the_first_prediction(tmp_path):
    root, network = trees.kitti(tmp_path, 2015), Answers()
    with pytest.raises(ValueError, match="has 1 pairs of testing and lacks 000000_10; the server wants the 200"):
        write_submission("kitti2015", root, Predictor(network), tmp_path / "a.zip")
    with pytest.raises(ValueError, match="has 1 pairs of training; the server wants the 27"):
        write_submission("eth3d", trees.eth3d(tmp_path / "eth3d"), Predictor(network), tmp_path / "a.zip")
    assert not network.fed and not (tmp_path / "a.zip").exists()


def test_a_complete_set_needs_no_leave(tmp_path, monkeypatch):
    root = trees.kitti(tmp_path, 2012)
    testing = root / "testing"
    for folder in ("colored_0", "colored_1"):
        (testing / folder / "000003_10.png").rename(testing / folder / "000000_10.png")
    monkeypatch.setitem(BENCHMARKS, "kitti2012", replace(BENCHMARKS["kitti2012"], pairs={"testing": 1}))
    assert write("kitti2012", root, incomplete=False)[0] == ["000000_10.png"]


def test_more_pairs_than_there_are(tmp_path, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "eth3d", replace(BENCHMARKS["eth3d"], pairs={"test": 0}))
    with pytest.raises(ValueError, match="has 1 pairs of test; the server wants the 0"):
        write("eth3d", trees.eth3d(tmp_path))


def test_pairs_that_the_server_does_not_know(tmp_path):
    root = trees.kitti(tmp_path, 2012)
    trees.save_pair(*(root / "testing" / folder / "000195_10.png" for folder in ("colored_0", "colored_1")))
    with pytest.raises(ValueError, match="000195_10 is no pair of testing, which has 000000_10 to 000194_10"):
        write("kitti2012", root)


@pytest.mark.parametrize("answer", [-0.5, 256.0, float("nan"), float("inf")])
def test_what_cannot_be_stored_leaves_the_old_archive(tmp_path, answer):
    root = trees.kitti(tmp_path, 2015)
    _, archive = write("kitti2015", root)
    before = archive.read_bytes()
    with pytest.raises(ValueError, match="000003_10: the disparity reaches from .* nothing was written"):
        write("kitti2015", root, answer)
    assert archive.read_bytes() == before and [path.name for path in archive.parent.iterdir()] == ["answers.zip"]


def test_names_that_cannot_be(tmp_path):
    predictor = Predictor(Answers())
    with pytest.raises(ValueError, match="no benchmark 'kitti'; known are kitti2012"):
        write_submission("kitti", tmp_path, predictor, tmp_path / "a.zip")
    with pytest.raises(ValueError, match="a.tar would hold an archive; name it .zip"):
        write_submission("kitti2015", tmp_path, predictor, tmp_path / "a.tar")
    with pytest.raises(ValueError, match="method is 'a/b'"):
        write_submission("middleburyQ", tmp_path, predictor, tmp_path / "a.zip", method="a/b")
    with pytest.raises(FileNotFoundError, match="nothing of Kitti2015"):
        write_submission("kitti2015", tmp_path, predictor, tmp_path / "a.zip")


def test_the_command(tmp_path, capsys):
    root = trees.kitti(tmp_path, 2015)
    submit("kitti2015", root, tmp_path / "a.zip", max_disp=32, incomplete=True)
    assert unpacked(tmp_path / "a.zip", tmp_path / "unpacked") == ["disp_0/000003_10.png"]
    disparity, valid = read_disparity(tmp_path / "unpacked" / "disp_0" / "000003_10.png")
    assert valid.all() and np.median(np.abs(disparity - trees.disparity())) < 1
    assert "1 files: " in capsys.readouterr().out
