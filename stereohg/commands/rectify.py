"""``stereohg rectify``: pictures and videos of two calibrated cameras onto common rows."""

from pathlib import Path

import cv2
from rich.console import Console

from stereohg.calibration.formats import read_rig
from stereohg.calibration.formats.opencv import write_calibration
from stereohg.calibration.rectify import Rectifier
from stereohg.calibration.videos import VIDEO_SUFFIXES, opened, rectify_videos
from stereohg.commands.outputs import check_outputs
from stereohg.commands.progress import progress_bar
from stereohg.data.files import read_image, write_png
from stereohg.data.pairs import Pair, find_pairs


def rectify(calibration: Path, left: str, right: str, output: Path = Path("rectified"), alpha: float = 0.0) -> int:
    """Rectifies pictures, folders of them, or two videos, and writes the calibration of the result.

    Writes left/NAME and right/NAME, pictures as .png, videos of the given kind (.avi and .mkv without loss), and
    calibration.yml, with which `stereohg predict OUT/left OUT/right --calibration OUT/calibration.yml --depth` gives
    metres.

    Args:
        calibration: file of `stereohg calibrate`; OpenCV's intrinsics.yml with extrinsics.yml beside it; KITTI's
            calib_cam_to_cam.txt; ROS's left.yaml with right.yaml beside it.
        left: the left picture, folder, pattern or video.
        right: the right one.
        output: the folder.
        alpha: 0 shows only what the cameras saw, 1 all of it with black around it.

    Returns:
        The exit status: 1 when any pair failed.
    """
    rectifier = Rectifier(read_rig(calibration), alpha)
    own = output / "calibration.yml"
    console = Console(markup=False, highlight=False, soft_wrap=True)  # a file's name may look like markup
    if Path(left).suffix.lower() in VIDEO_SUFFIXES:
        targets = _targets(output, f"{Path(left).stem}{Path(left).suffix.lower()}")
        check_outputs([*targets, own], [left, right, calibration])
        count, problems = _videos(rectifier, Path(left), Path(right), targets), []
        told = f"{count} frames"
    else:
        pairs, problems = find_pairs(left, right)
        targets = [path for pair in pairs for path in _targets(output, f"{pair.name}.png")]
        check_outputs([*targets, own], [calibration, *(path for pair in pairs for path in (pair.left, pair.right))])
        with progress_bar() as progress:
            for pair in progress.track(pairs, description="rectifying"):
                try:
                    _pictures(rectifier, pair, output)
                except (ValueError, OSError) as error:
                    problems.append(f"{pair.name}: {error}")
        told = f"{len(pairs)} pairs, {len(problems)} problems"
    write_calibration(own, rectifier.calibration)
    for problem in problems:
        console.print(f"failed: {problem}", style="bold red")
    console.print(f"{told}: {output}; its calibration: {own}")
    return 1 if problems else 0


def _pictures(rectifier: Rectifier, pair: Pair, output: Path) -> None:
    pictures = rectifier(read_image(pair.left), read_image(pair.right))
    for target, picture in zip(_targets(output, f"{pair.name}.png"), pictures, strict=True):
        write_png(target, picture)


def _targets(output: Path, name: str) -> tuple[Path, Path]:
    return output / "left" / name, output / "right" / name


def _videos(rectifier: Rectifier, left: Path, right: Path, targets: tuple[Path, Path]) -> int:
    with opened(left) as reader:
        total = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    with progress_bar() as progress:
        task = progress.add_task("rectifying", total=total if total > 0 else None)
        return rectify_videos(rectifier, (left, right), targets, lambda: progress.advance(task))
