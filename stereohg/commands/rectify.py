"""``stereohg rectify``: pictures and videos of two calibrated cameras onto common rows."""

from pathlib import Path

from stereohg.calibration.formats import read_rig
from stereohg.calibration.formats.opencv import write_calibration
from stereohg.calibration.rectify import Rectifier
from stereohg.commands.outputs import check_not_taken_for_pictures, check_outputs
from stereohg.commands.progress import progress_bar
from stereohg.commands.telling import make_console, tell_some
from stereohg.data.pairs import Pair, find_pairs
from stereohg.data.preprocess import as_rgb
from stereohg.data.videos import VIDEO_SUFFIXES, TwoVideos
from stereohg.files import read_image, write_png
from stereohg.pair_checks import check_pictures
from stereohg.video_rectification import CODECS, LOSSLESS, rectify_videos


def rectify(calibration: Path, left: str, right: str, output: Path = Path("rectified"), alpha: float = 0.0) -> int:
    """Rectifies pictures, folders of them, or two videos, and writes the calibration of the result.

    Writes left/NAME and right/NAME, pictures as .png, videos of the given kind (.avi and .mkv without loss; .mkv for
    kinds that are only read), and calibration.yml, with which `stereohg predict OUT/left OUT/right --calibration
    OUT/calibration.yml --depth` gives metres. Videos end with the shorter one, or before a damaged frame.

    Args:
        calibration: file of `stereohg calibrate`; OpenCV's intrinsics.yml with extrinsics.yml beside it; KITTI's
            calib_cam_to_cam.txt; ROS's left.yaml with right.yaml beside it.
        left: the left picture, folder, pattern or video.
        right: the right one.
        output: the folder.
        alpha: 0 shows only what the cameras saw, 1 all of it with black around it.

    Returns:
        The exit status: 1 when any pair failed or has no partner.
    """
    rectifier = Rectifier(read_rig(calibration), alpha)
    own = output / "calibration.yml"
    console = make_console(soft_wrap=True)
    suffix = Path(left).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        targets = _targets(output, f"{Path(left).stem}{suffix if suffix in CODECS else LOSSLESS}")
        check_outputs([*targets, own], [left, right, calibration])
        source = TwoVideos(Path(left), Path(right))
        count, problems = _videos(rectifier, source, targets), source.problems
        told = f"{count} frames"
    else:
        pairs, problems = find_pairs(left, right)
        targets = [path for pair in pairs for path in _targets(output, f"{pair.name}.png")]
        pictures = [path for pair in pairs for path in (pair.left, pair.right)]
        check_outputs([*targets, own], [calibration, *pictures])
        check_not_taken_for_pictures(targets, left, pictures)
        done, total = [], len(pairs) + len(problems)
        with progress_bar() as progress:
            for pair in progress.track(pairs, description="rectifying"):
                try:
                    _pictures(rectifier, pair, output)
                    done.append(pair.name)
                except (ValueError, OSError) as error:
                    problems.append(f"{pair.name}: {error}")
        for note in _doubts(output, done[:1]):
            console.print(f"{note}. Are these the calibrated cameras' pictures, left and right, not yet rectified?")
        told = f"{len(done)} of {total} pairs"
        count = len(done)
    tell_some(console, "failed", problems)
    told = f"{told}: {output}"
    if count:
        write_calibration(own, rectifier.calibration)
        told += f"; its calibration: {own}"
    console.print(told)
    return 1 if problems else 0


def _pictures(rectifier: Rectifier, pair: Pair, output: Path) -> None:
    pictures = rectifier(read_image(pair.left), read_image(pair.right))
    for target, picture in zip(_targets(output, f"{pair.name}.png"), pictures, strict=True):
        write_png(target, picture)


def _doubts(output: Path, names: list[str]) -> list[str]:
    """What speaks against the pairs being rectified now."""
    pairs = ([as_rgb(path) for path in _targets(output, f"{name}.png")] for name in names)
    return [f"{name}: {note}" for name, pair in zip(names, pairs, strict=True) for note in check_pictures(*pair)]


def _targets(output: Path, name: str) -> tuple[Path, Path]:
    return output / "left" / name, output / "right" / name


def _videos(rectifier: Rectifier, source: TwoVideos, targets: tuple[Path, Path]) -> int:
    with progress_bar() as progress:
        task = progress.add_task("rectifying", total=source.count)
        return rectify_videos(rectifier, source, targets, lambda: progress.advance(task))
