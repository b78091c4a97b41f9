"""Videos: every frame's disparity is that of the single pair, a stopped run goes on, and one pair is in memory."""

import json
import signal
import subprocess
import sys
import time
import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from stereohg.cli import main
from stereohg.data.synthetic import SyntheticStereo
from stereohg.data.videos import SideBySide, TwoVideos, VideoFile, VideoWriter
from stereohg.disparity import Disparity
from stereohg.files import read_disparity
from stereohg.models.weights import load_model, save_model
from stereohg.prediction import Predictor
from stereohg.video import frame_path, predict_frames, write_colour_video
from stereohg.visual import colour_disparity
from tests.videos import damage_frame, write_video

HEIGHT, WIDTH, RATE, COUNT = 48, 96, 12.5, 4


@pytest.fixture(scope="module")
def scenes():
    scenes = SyntheticStereo(HEIGHT, WIDTH, max_disp=24, asymmetry=0)
    return [scenes[index] for index in range(COUNT)]


@pytest.fixture
def videos(tmp_path, scenes):
    left = write_video(tmp_path / "left.avi", [scene.left for scene in scenes])
    right = write_video(tmp_path / "right.avi", [scene.right for scene in scenes])
    return left, right


def decoded(path):
    capture, pictures = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        pictures.append(frame[1][..., ::-1])
    return pictures, capture.get(cv2.CAP_PROP_FPS)


def test_each_frame_is_the_single_pair(videos, tmp_path):
    left, right = videos
    assert main(["video", str(left), str(right), "-o", f"{tmp_path}/out", "--no_check"]) == 0
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [*(f"{number:06d}.png" for number in range(COUNT)), "video.json"]
    predictor = Predictor()
    for number, pair in enumerate(zip(decoded(left)[0], decoded(right)[0], strict=True)):
        single = predictor(*pair, check=False)
        stored, valid = read_disparity(frame_path(tmp_path / "out", number, "png"))
        assert valid.all() and np.abs(stored - single.values).max() <= 1 / 512 + 1e-6
    assert json.loads((tmp_path / "out" / "video.json").read_text())["rate"] == RATE


def test_side_by_side_to_a_colour_video_of_one_range(tmp_path, scenes):
    both = write_video(tmp_path / "both.avi", [np.hstack([scene.left, scene.right]) for scene in scenes])
    out = tmp_path / "out.mp4"
    assert main(["video", str(both), "-o", str(out), "--no_check", "--keep_frames"]) == 0
    pictures, rate = decoded(out)
    assert len(pictures) == COUNT and rate == RATE
    maps = [read_disparity(frame_path(tmp_path / "out.mp4.frames", number, "png"))[0] for number in range(COUNT)]
    low, high = np.percentile(maps, (0.5, 99.5))
    for picture, disparity in zip(pictures, maps, strict=True):
        expected = colour_disparity(disparity, None, low, high)
        assert np.abs(picture.astype(float) - expected).mean() < 12  # what the codec loses
    ends = write_colour_video(tmp_path / "again.avi", tmp_path / "out.mp4.frames", "png", COUNT, RATE)
    assert ends == pytest.approx((low, high), abs=0.1)
    assert main(["video", str(both), "-o", str(out), "--no_check"]) == 0
    assert not (tmp_path / "out.mp4.frames").exists()


def test_folders_of_a_camera(tmp_path, scenes, capsys):
    for number, scene in enumerate(scenes[:2]):
        for side in ("left", "right"):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(getattr(scene, side)).save(tmp_path / side / f"{number:04d}.png")
    (tmp_path / "left" / "0000.png").write_bytes(b"no picture")
    arguments = ["video", f"{tmp_path}/left", f"{tmp_path}/right", "-o", f"{tmp_path}/out.avi", "--no_check"]
    assert main(arguments) == 1
    assert "does not say how many frames a second it has; give --rate" in capsys.readouterr().err
    assert main([*arguments, "--rate", "10"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "frame 0:" in told and "left/0000.png" in told and "1 of 2 frames" in told
    pictures, rate = decoded(tmp_path / "out.avi")
    assert rate == 10 and pictures[0].max() < 5 and pictures[1].max() > 100
    frames = tmp_path / "out.avi.frames"
    assert f"{frames} stays, so that the same command tries again what failed" in told
    assert sorted(path.name for path in frames.iterdir()) == ["000001.png", "video.json"]


def test_frames_of_other_weights_or_pictures_are_not_kept(videos, tmp_path, scenes, capsys):
    left, right = videos
    network = load_model("hgstereo_s", max_disp=32)
    save_model(network, tmp_path / "own.safetensors")
    command = ["video", str(left), str(right), "-o", f"{tmp_path}/out", "--no_check"]
    command += ["--model", f"{tmp_path}/own.safetensors"]
    assert main(command) == main(command) == 0
    network.match.weight.data *= 2
    save_model(network, tmp_path / "own.safetensors")
    assert main(command) == 1
    assert "frames of another run, which differs in weights" in capsys.readouterr().err
    network.match.weight.data /= 2
    save_model(network, tmp_path / "own.safetensors")
    assert main(command) == 0
    write_video(left, [scene.right for scene in scenes])
    assert main(command) == 1
    assert "frames of another run, which differs in source" in capsys.readouterr().err


def test_another_rate_needs_no_other_disparities(tmp_path, scenes):
    folder = write_video(tmp_path / "both.avi", [np.hstack([scene.left, scene.right]) for scene in scenes])
    for rate, kept in ((10.0, 0), (20.0, COUNT)):
        source = SideBySide(folder)
        source.rate = rate
        done = predict_frames(answer, source, tmp_path / "out", {})
        assert done.kept == kept and json.loads((tmp_path / "out" / "video.json").read_text())["rate"] == rate


def test_a_killed_run_goes_on(videos, tmp_path, capsys):
    left, right = videos
    command = ["video", str(left), str(right), "-o", f"{tmp_path}/out.mp4", "--no_check"]
    slowly = (
        "import sys, time; from stereohg.cli import main; from stereohg.prediction import Predictor\n"
        "run = Predictor.__call__\n"
        "def slow(*given, **options): time.sleep(0.5); return run(*given, **options)\n"
        "Predictor.__call__ = slow; main(sys.argv[1:])"
    )
    process = subprocess.Popen([sys.executable, "-c", slowly, *command], stderr=subprocess.DEVNULL)
    first = frame_path(tmp_path / "out.mp4.frames", 0, "png")
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out.mp4").exists() and len(list(first.parent.glob("[0-9]*.png"))) < COUNT
    first_written = first.stat().st_mtime_ns
    (first.parent / ".0123456789abcdef.png").touch()  # as a killed writer leaves it

    assert main([*command, "--scale", "0.5"]) == 1
    assert "frames of another run, which differs in scale" in capsys.readouterr().err
    assert main([*command, "--keep_frames"]) == 0
    assert first.stat().st_mtime_ns == first_written
    assert sorted(path.name for path in first.parent.iterdir())[0] == "000000.png"
    assert len(decoded(tmp_path / "out.mp4")[0]) == COUNT


class Counting:
    """A source whose pictures are counted as long as they live."""

    rate, count, problems = 10.0, 20, []
    alive = most = reads = 0

    def __iter__(self):
        for _ in range(self.count):
            yield self.read

    def read(self):
        self.reads += 1
        return self.picture(), self.picture()

    def picture(self):
        picture = np.zeros((4, 8, 3), np.uint8)
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(picture, self.gone)
        return picture

    def gone(self):
        self.alive -= 1

    def describe(self):
        return {}


def answer(left, right, **options):
    return Disparity(np.ones((4, 8), np.float32), np.ones((4, 8), np.float32), np.ones((4, 8), bool), ("1.5 rows",))


def test_one_pair_is_in_memory_and_warnings_are_counted(tmp_path):
    source = Counting()
    done = predict_frames(answer, source, tmp_path, {})
    assert source.most == 2 and source.reads == 20
    assert done.predicted == 20 and dict(done.notes) == {"# rows": 20} and done.first == {"# rows": "frame 0: 1.5 rows"}
    frame_path(tmp_path, 7, "png").unlink()
    done = predict_frames(answer, source, tmp_path, {})
    assert source.reads == 21 and (done.predicted, done.kept) == (1, 19)


def test_different_rates_and_lengths_are_named(videos, tmp_path, scenes, capsys):
    left, right = videos
    quick = write_video(tmp_path / "quick.avi", [scene.right for scene in scenes], rate=25)
    with pytest.raises(ValueError, match=r"left.avi has 12.5 frames a second and .*quick.avi 25"):
        TwoVideos(left, quick)
    short = write_video(tmp_path / "short.avi", [scene.right for scene in scenes[:2]])
    source = TwoVideos(left, short)
    assert source.count == 2 and len(list(source)) == 2
    assert source.problems == [f"{left} has 4 frames and {short} 2; what is over is left out"]


def test_a_damaged_frame_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 64, 3), np.uint8)
    whole = write_video(tmp_path / "whole.avi", list(noise))
    damaged = damage_frame(write_video(tmp_path / "damaged.avi", list(noise)), 2)
    done = predict_frames(answer, SideBySide(damaged), tmp_path / "one", {})
    assert done.problems == [f"frame 2: {damaged}: frame 2 of 6 cannot be read"] and done.predicted == 5
    done = predict_frames(answer, TwoVideos(whole, damaged), tmp_path / "two", {})
    assert done.predicted == 2 and "stopped behind frame 2" in done.problems[1]


class Longer(VideoFile):
    """One whose head states more frames than it has, as when its sound is longer."""

    extra = 0

    def __init__(self, path, problems):
        super().__init__(path, problems)
        self.count += self.extra


@pytest.mark.parametrize("extra, told", [(12, []), (13, ["ends 13 frames before it should"])])
def test_the_end_is_where_the_pictures_end(videos, monkeypatch, extra, told):
    """At 12.5 frames a second, sound of 12 frames is less than a second, and 13 are more."""
    monkeypatch.setattr("stereohg.data.videos.VideoFile", Longer)
    monkeypatch.setattr(Longer, "extra", extra)
    source = SideBySide(videos[0])
    assert source.count == COUNT + extra and len([read() for read in source]) == COUNT
    assert len(source.problems) == len(told) and all(map(str.__contains__, source.problems, told))


def test_what_is_no_video_is_named(tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    assert main(["video", f"{tmp_path}/text.mp4", "-o", f"{tmp_path}/out"]) == 1
    assert "text.mp4 is no whole video" in capsys.readouterr().err
    assert main(["video", f"{tmp_path}/none.mp4", "-o", f"{tmp_path}/out"]) == 1
    assert "none.mp4: no such video" in capsys.readouterr().err
    assert main(["video", f"{tmp_path}", "-o", f"{tmp_path}/out"]) == 1
    assert "folder of one camera's pictures" in capsys.readouterr().err
    assert main(["video", f"{tmp_path}/text.mp4", "-o", f"{tmp_path}/out.txt"]) == 1
    assert main(["predict", "left.mp4", "right.mp4"]) == 1
    assert "left.mp4 is a video; use stereohg video" in capsys.readouterr().err


def test_a_run_without_a_frame_leaves_nothing_in_the_way(videos, tmp_path, capsys):
    command = ["video", *map(str, videos), "-o", f"{tmp_path}/out.avi", "--no_check"]
    assert main([*command, "--max_disp", "0"]) == 1
    assert "max_disp is 0" in capsys.readouterr().err and not list(tmp_path.glob("out*"))
    failed = predict_frames(None, TwoVideos(*videos), tmp_path / "out", {})
    assert len(failed.problems) == COUNT and not list(tmp_path.glob("out*"))
    (tmp_path / "out.avi.frames").mkdir()
    (tmp_path / "out.avi.frames" / "video.json").write_text("{}")  # of a run that was killed before the first was whole
    (tmp_path / "out.avi.frames" / ".0123456789abcdef.png").touch()
    assert main([*command, "--max_disp", "16"]) == 0


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "000000.png").touch()
    with pytest.raises(ValueError, match=r"has other files in it, and no video.json"):
        predict_frames(answer, Counting(), tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["000000.png"]


def test_odd_sizes_keep_every_pixel(tmp_path):
    done = Disparity(np.ones((5, 7), np.float32), np.ones((5, 7), np.float32), np.ones((5, 7), bool))
    done.save(frame_path(tmp_path, 0, "pfm"))
    write_colour_video(tmp_path / "odd.avi", tmp_path, "pfm", 1, 10)
    assert decoded(tmp_path / "odd.avi")[0][0].shape == (6, 8, 3)
    with pytest.raises(ValueError, match="a video of 7x5 pixels would lose a column or row"):
        VideoWriter(tmp_path / "cut.avi", "MJPG", 10, (5, 7))
    with pytest.raises(ValueError, match="has no frame"):
        write_colour_video(tmp_path / "none.avi", tmp_path, "png", 1, 10)
    assert not (tmp_path / "none.avi").exists()
