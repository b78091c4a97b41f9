"""What the benchmarks' servers take: disparities of their test sets, in their layouts, in one archive.

KITTI takes 16-bit PNGs of round(256 d), in which 0 would mean unknown, so that a disparity below 1/512 pixel becomes 1;
2012 wants them at the top of the archive and 2015 in ``disp_0``. ETH3D and Middlebury take PFMs and the seconds that
each pair took, of training and test pairs alike.

The number of pairs, and KITTI's names, are checked before the first prediction, each map before it is written, and the
archive appears when all of it is well, or not at all. The same disparities and seconds make the same bytes.
"""

import logging
import re
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from stereohg.calibration.formats import read_calibration
from stereohg.data.registry import create_dataset
from stereohg.data.stereo import StereoFiles
from stereohg.files import PNG_LIMIT, replacing, write_disparity
from stereohg.models.search import searched_range
from stereohg.prediction import PairWarning, Predictor

logger = logging.getLogger("stereohg")

BenchmarkName = Literal["kitti2012", "kitti2015", "eth3d", "middleburyQ", "middleburyH", "middleburyF"]
METHOD = re.compile(r"[A-Za-z0-9_-]+")
READABLE = 0o644  # an entry's rights, which are none unless said


@dataclass(frozen=True)
class Benchmark:
    """What one server wants.

    Attributes:
        data: the set, a name in ``stereohg.data.registry``.
        pairs: by split, how many the published set has.
        map: path of a disparity in the archive, out of split, pair and method; its extension is the format.
        seconds: path and text of the file that says how long it took; None where there is none.
        numbered: whether the pairs are 000000_10, 000001_10 and on.
    """

    data: str
    pairs: dict[str, int]
    map: str
    seconds: tuple[str, str] | None = None
    numbered: bool = False


def _middlebury(resolution: str) -> Benchmark:
    return Benchmark(
        "middlebury",
        {f"training{resolution}": 15, f"test{resolution}": 15},
        "{split}/{pair}/disp0{method}.pfm",
        ("{split}/{pair}/time{method}.txt", "{seconds:.3f}\n"),
    )


BENCHMARKS: dict[str, Benchmark] = {
    "kitti2012": Benchmark("kitti2012", {"testing": 195}, "{pair}.png", numbered=True),
    "kitti2015": Benchmark("kitti2015", {"testing": 200}, "disp_0/{pair}.png", numbered=True),
    "eth3d": Benchmark(
        "eth3d",
        {"training": 27, "test": 20},
        "low_res_two_view/{pair}.pfm",
        ("low_res_two_view/{pair}.txt", "runtime {seconds:.3f}\n"),
    ),
    **{f"middlebury{resolution}": _middlebury(resolution) for resolution in "QHF"},
}


def write_submission(
    benchmark: BenchmarkName,
    root: str | Path,
    predictor: Predictor,
    output: str | Path,
    *,
    method: str = "stereohg",
    incomplete: bool = False,
    on_pair: Callable[[str], None] | None = None,
) -> list[str]:
    """Predicts a benchmark's pairs, and writes the archive to upload.

    Args:
        benchmark: one of ``BENCHMARKS``.
        root: folder of the set.
        predictor: of the network.
        output: the archive, a .zip.
        method: its name, which is in Middlebury's file names.
        incomplete: also where pairs of the published set are missing, for a try; a server would turn it down.
        on_pair: called with the name of each pair that is done.

    Returns:
        The paths in the archive.

    Raises:
        FileNotFoundError: there is nothing of the set.
        ValueError: pairs are missing or foreign, a disparity cannot be stored, or a name is not one.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f"there is no benchmark {benchmark!r}; known are {', '.join(BENCHMARKS)}")
    wanted, output = BENCHMARKS[benchmark], Path(output)
    if output.suffix.lower() != ".zip":
        raise ValueError(f"{output} would hold an archive; name it .zip")
    if not METHOD.fullmatch(method):
        raise ValueError(f"method is {method!r}; it is part of file names: letters, digits, - and _")
    pairs = list(_listed(wanted, root, incomplete))
    for _, files in pairs:
        _warn_of_range(files, searched_range(predictor.model))

    written = []
    with replacing(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for split, files in pairs:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PairWarning)  # told here, with the pair's name
                answer = predictor(files.left, files.right, check=False)
            values = answer.values
            names = {"split": split, "pair": files.name, "method": method, "seconds": time.perf_counter() - start}
            for note in answer.warnings:
                logger.warning(f"{files.name}: {note}")
            entries = {wanted.map.format(**names): _stored(values, wanted, files.name)}
            if wanted.seconds is not None:
                path, text = wanted.seconds
                entries[path.format(**names)] = text.format(**names).encode()
            for path, content in entries.items():
                entry = zipfile.ZipInfo(path)  # without the time of day, so that equal answers make equal archives
                entry.external_attr = READABLE << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
            written += entries
            if on_pair is not None:
                on_pair(files.name)
    return written


def _listed(wanted: Benchmark, root: str | Path, incomplete: bool) -> Iterator[tuple[str, StereoFiles]]:
    """Split and files of all pairs, once they are those of the published set."""
    for split, count in wanted.pairs.items():
        files = create_dataset(wanted.data, root, split).files
        names, lacking = {own.name for own in files}, ""
        if wanted.numbered:
            published = {f"{number:06d}_10" for number in range(count)}
            foreign, missing = sorted(names - published), sorted(published - names)
            if foreign:
                raise ValueError(f"{root}: {foreign[0]} is no pair of {split}, which has 000000_10 to {max(published)}")
            lacking = f" and lacks {missing[0]}" if missing else ""
        if len(names) > count or (len(names) < count and not incomplete):
            raise ValueError(
                f"{root} has {len(names)} pairs of {split}{lacking}; the server wants the {count} of the published set "
                "(--incomplete, in Python incomplete=True, tries with fewer)"
            )
        yield from ((split, own) for own in files)


def _warn_of_range(files: StereoFiles, searched: float) -> None:
    """Of disparities that the set says there are and the network cannot answer with."""
    camera = None if files.calibration is None else read_calibration(files.calibration)
    if camera is not None and camera.ndisp is not None and camera.ndisp > searched:
        logger.warning(
            f"{files.name} has disparities of up to {camera.ndisp} px, and {searched:.0f} px are searched; see"
            " --max_disp"
        )


def _stored(values: np.ndarray, wanted: Benchmark, name: str) -> bytes:
    """The file of one disparity map (H,W), dense, checked."""
    suffix = Path(wanted.map).suffix
    low, high = values.min(), values.max()  # NaN when any is
    limit = PNG_LIMIT if suffix == ".png" else np.inf
    if not 0 <= low <= high < limit:
        raise ValueError(
            f"{name}: the disparity reaches from {low:g} to {high:g} pixels; {wanted.data} takes from 0 to below "
            f"{limit:g}, and nothing was written"
        )
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"map{suffix}"
        write_disparity(path, values)
        return path.read_bytes()
