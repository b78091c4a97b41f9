"""The program, as a user types it."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from stereohg.cli import COMMANDS, main
from stereohg.data.motorcycle import motorcycle
from stereohg.data.synthetic import SyntheticStereo
from stereohg.disparity import Disparity
from stereohg.files import read_disparity, read_pfm
from stereohg.models.quantities import quantities
from stereohg.models.weights import load_model, read_card
from stereohg.prediction import Predictor


@pytest.fixture
def folders(tmp_path):
    scenes = SyntheticStereo(height=64, width=128, max_disp=32, asymmetry=0)
    for index in (0, 1):
        for side in ("left", "right"):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(getattr(scenes[index], side)).save(tmp_path / side / f"{index}.png")
    return tmp_path


def test_one_pair_to_one_file(folders, capsys):
    status = main(["predict", f"{folders}/left/0.png", f"{folders}/right/0.png", "-o", f"{folders}/out/0.pfm"])
    assert status == 0
    assert read_pfm(folders / "out" / "0.pfm").shape == (64, 128)
    assert "1 of 1 predicted" in capsys.readouterr().err


def test_two_folders(folders):
    options = ["-o", f"{folders}/out", "--format", "png", "--colour"]
    assert main(["predict", f"{folders}/left", f"{folders}/right", *options]) == 0
    assert sorted(p.name for p in (folders / "out").iterdir()) == ["0.png", "0_colour.png", "1.png", "1_colour.png"]
    assert read_disparity(folders / "out" / "0.png")[1].mean() > 0.99


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        "predict left/0.png right/0.png -o left --format png",
        "predict left right -o right/ --format png --flip",
        "predict left/0.png right/0.png -o left/0.png",
        "predict left/0.png right/0.png -o same.png",
        "compare left/0.png right/0.png -o right/../left/0.png",
        "video left/0.mp4 right/0.mp4 -o left/0.mp4",
    ],
)
def test_no_input_is_overwritten(folders, monkeypatch, capsys, command):
    monkeypatch.chdir(folders)
    os.link("left/0.png", "same.png")
    before = contents(folders)
    assert main(command.split()) == 1
    assert "is read, and would be overwritten; choose another output" in " ".join(capsys.readouterr().err.split())
    assert contents(folders) == before


def test_no_output_is_written_twice(folders, capsys):
    for side in ("left", "right"):
        (folders / side / "1.png").rename(folders / side / "0_colour.png")
    options = ["-o", f"{folders}/out", "--colour", "--format", "png"]
    assert main(["predict", f"{folders}/left", f"{folders}/right", *options]) == 1
    assert "0_colour.png would be written twice" in "".join(capsys.readouterr().err)
    assert not (folders / "out").exists()


def test_pictures_are_not_written_among_those_that_are_read(folders, capsys):
    before = contents(folders)
    options = ["-o", f"{folders}/left", "--colour"]
    assert main(["predict", f"{folders}/left", f"{folders}/right", *options]) == 1
    assert "0_colour.png would lie among the pictures that are read" in " ".join(capsys.readouterr().err.split())
    assert contents(folders) == before


@pytest.mark.parametrize("option", ["--max_disp=-1", "--scale=0", "--max_memory=much"])
def test_options_are_tried_before_any_pair(folders, capsys, option):
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out", option]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and option[2:].split("=")[0] in told and not (folders / "out").exists()


def test_what_is_there_is_not_predicted_again(folders, capsys):
    command = ["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out", "--colour"]
    assert main(command) == 0
    (folders / "out" / "1_colour.png").unlink()
    (folders / "out" / "0.pfm").write_bytes(b"kept")
    assert main([*command, "--skip_existing"]) == 0
    told = capsys.readouterr().err
    assert "1 of 2 pairs have their files already" in told and "1 of 1 predicted" in told
    assert (folders / "out" / "0.pfm").read_bytes() == b"kept" and (folders / "out" / "1_colour.png").exists()


def test_an_interrupted_run_says_how_it_goes_on(folders, monkeypatch, capsys):
    calls = []

    def interrupted(self, *pictures, **options):
        calls.append(pictures)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return Disparity(np.ones((64, 128), np.float32), np.ones((64, 128), np.float32), np.ones((64, 128), bool))

    monkeypatch.setattr(Predictor, "__call__", interrupted)
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out"]) == 130
    assert "of 2; the same with --skip_existing goes on" in capsys.readouterr().err
    assert [path.name for path in (folders / "out").iterdir()] == ["0.pfm"]


def test_what_is_not_valid_is_not_told_as_if_it_were_there(folders, capsys):
    pair = [f"{folders}/left/0.png", f"{folders}/right/0.png"]
    assert main(["predict", *pair, "-o", f"{folders}/out/0.npy", "--min_confidence", "1"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "0: no pixel is valid" in told and " none " in told and " 0 % " in told


def test_a_bad_pair_is_named_and_the_others_go_on(folders, capsys):
    (folders / "left" / "0.png").write_bytes(b"no picture")
    (folders / "right" / "2.png").touch()
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out"]) == 1
    assert [p.name for p in (folders / "out").iterdir()] == ["1.pfm"]
    told = "".join(capsys.readouterr().err.split())  # lines end anywhere, as long as the folder's name is
    assert "0.png" in told and "2.png:noleftpicture" in told and "1of3predicted" in told


def test_the_others_go_on_whatever_happened(folders, monkeypatch, capsys):
    run, calls = Predictor.__call__, []

    def fail_at_first(self, left, right, **options):
        calls.append(left)
        if len(calls) == 1:
            raise RuntimeError("not enough memory")
        return run(self, left, right, **options)

    monkeypatch.setattr(Predictor, "__call__", fail_at_first)
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out"]) == 1
    assert [p.name for p in (folders / "out").iterdir()] == ["1.pfm"]
    assert "0: RuntimeError: not enough memory" in capsys.readouterr().err


def test_odd_names_are_kept(folders, capsys):
    for side in ("left", "right"):
        (folders / side / "0.png").rename(folders / side / "a[b]c.png")
    (folders / "out.v2").mkdir()
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", f"{folders}/out.v2"]) == 0
    assert "a[b]c" in capsys.readouterr().err
    assert sorted(p.name for p in (folders / "out.v2").iterdir()) == ["1.pfm", "a[b]c.pfm"]


def test_warnings_carry_the_pairs_name(folders, capsys):
    shutil.copytree(folders / "left", folders / "same")
    main(["predict", f"{folders}/left", f"{folders}/same", "-o", f"{folders}/out"])
    assert "0: left and right are the same picture" in " ".join(capsys.readouterr().err.split())
    assert main(["predict", f"{folders}/left", f"{folders}/same", "-o", f"{folders}/none", "--strict"]) == 1
    assert not list(folders.glob("none/*"))


def test_errors_are_one_line(folders, capsys):
    assert main(["predict", "nope.png", "neither.png"]) == 1
    assert capsys.readouterr().err.strip() == "stereohg predict: nope.png: no such picture or folder"
    assert main(["predict", f"{folders}/left", f"{folders}/right", "-o", "one.pfm"]) == 1
    assert "give a folder" in capsys.readouterr().err
    assert main(["predict", "nope.png", "neither.png", "--min_confidence", "2"]) == 1
    assert "the least confidence is 2.0; it must lie in [0,1]" in " ".join(capsys.readouterr().err.split())
    assert main(["predict", f"{folders}/left/0.png", f"{folders}/right/0.png", "-o", "one.jpg"]) == 1
    assert "one.jpg is neither a folder that exists nor a file" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_demo_compares_and_says_where_each_file_is(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for ending in (".pfm", ".png", "_colour.png", "_figure.png", ".ply"):
        name = f"motorcycle{ending}"
        assert name in told and (tmp_path / name).stat().st_size > 1000
    left, _, truth, known = motorcycle()
    assert left.shape == (500, 741, 3) and (~known).sum() == 27226
    error = np.abs(read_pfm(tmp_path / "motorcycle.pfm") - truth)[known]
    assert np.mean(error > 3) < 0.11 and error.mean() < 2
    assert "7.4 %" in told.split("StereoSGBM")[1]  # as measured with OpenCV alone


def test_data_are_checked(folders, capsys):
    assert main(["data", "check", str(folders)]) == 0
    assert "pairs: 2 pairs" in capsys.readouterr().out
    assert main(["data", "check", str(folders / "left")]) == 1
    assert "wrong: " in capsys.readouterr().out


def test_models_are_listed(capsys):
    assert main(["models"]) == 0
    assert "gwcnet_gc" in capsys.readouterr().out


def test_models_tell_what_they_cost(capsys):
    assert main(["models", "--verbose", "--size", "256x512", "--max_disp", "192"]) == 0
    told = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line.strip()}
    assert rows["psmnet"][1:4] == ["5.22", "M", "1"] and 325 < float(rows["psmnet"][4]) < 340
    assert 300 < int(rows["psmnet"][5]) < 1000 and rows["psmnet"][6] == "MB"
    bundled = load_model("hgstereo_s")
    own = quantities("hgstereo_s", 256, 512, 192, bundled.scale)
    assert rows["hgstereo_s"][3:5] == [f"{bundled.scale:g}", f"{own.flop / 1e9:.1f}"]
    data, metrics = next(iter(read_card("hgstereo_s")["metrics"].items()))
    assert f"hgstereo_s, bundled weights, {data}: epe {metrics['epe']:g} px" in told


@pytest.mark.parametrize("size", ["256", "0x512", "256x512x3", "axb"])
def test_sizes_of_models_are_checked(size, capsys):
    assert main(["models", "--verbose", "--size", size]) == 1
    assert f"size is {size!r}; it must be height x width" in capsys.readouterr().err
