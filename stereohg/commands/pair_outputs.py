"""What ``stereohg predict`` writes of a pair: all files of it, or none."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from stereohg.commands.metric_outputs import MetricOutputs
from stereohg.data.pairs import Pair
from stereohg.disparity import Disparity
from stereohg.files import read_disparity, write_png
from stereohg.viewer import write_page
from stereohg.visual import colour_disparity


class Job(NamedTuple):
    """A pair, where its disparities go, and where its page does, if there is to be one."""

    pair: Pair
    target: Path
    page: Path | None


@dataclass(frozen=True)
class PairOutputs:
    """The disparities, what is made of them in metres, and in colours if wanted."""

    in_metres: MetricOutputs
    colour: bool

    def paths(self, job: Job) -> list[Path]:
        beside = [*self.in_metres.paths(job.target), *([_coloured(job.target)] if self.colour else [])]
        return [job.target, *beside, *([] if job.page is None else [job.page])]

    def write(self, job: Job, result: Disparity) -> None:
        picture = job.pair.right if result.side == "right" else job.pair.left
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=job.target.parent, prefix=".") as folder:
            staged = Path(folder) / job.target.name
            result.save(staged)
            self.in_metres.write(result, picture, staged)
            if self.colour:
                write_png(_coloured(staged), colour_disparity(result.values, result.valid))
            if job.page is not None:
                self._write_page(job, picture, staged, result)
            for path in staged.parent.iterdir():
                os.replace(path, job.target.with_name(path.name))

    def _write_page(self, job: Job, picture: Path, staged: Path, result: Disparity) -> None:
        """The page shows what the file holds, which a 16-bit PNG has rounded."""
        values, valid = read_disparity(staged)
        calibration = self.in_metres.of(values.shape)
        if calibration is not None and result.side == "right":
            calibration = replace(calibration, centre=calibration.centre_of_right)
        confidence, title = result.confidence, job.pair.name
        write_page(job.page, picture, values, valid, confidence=confidence, calibration=calibration, title=title)


def _coloured(target: Path) -> Path:
    return target.with_name(f"{target.stem}_colour.png")
