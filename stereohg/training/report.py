"""What a run tells: a bar on the terminal or lines in a log, history.jsonl, and accelerate's trackers.

Every figure is a mean over the steps since the one before.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from torch import nn

from stereohg.files import replacing
from stereohg.training.config import ReportConfig

HISTORY = "history.jsonl"


class Report:
    """Tells of a run, on the process that does so; on the others it does nothing.

    Args:
        accelerator: with the trackers.
        config: how often.
        folder: of the run, for history.jsonl.
        start: steps done before; what history.jsonl has of later ones, from a run that was killed, is removed.
        steps: of the whole run.
        samples: a step has, on average.
    """

    def __init__(self, accelerator, config: ReportConfig, folder: Path, start: int, steps: int, samples: float):
        self.accelerator, self.config, self.samples = accelerator, config, samples
        self.start, self.steps, self.tells = start, steps, accelerator.is_main_process
        self.history = folder / HISTORY
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            disable=not (self.tells and self.console.is_terminal),
        )
        self._keep(lambda line: start and _step_of(line) <= start)

    def __enter__(self) -> "Report":
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.steps, completed=self.start, figures="")
        self.began = self.since = time.monotonic()
        self.last = self.start
        return self

    def __exit__(self, *error) -> None:
        self.bar.stop()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def due(self, step: int) -> bool:
        every = self.config.every
        return bool(every) and step % every == 0 or step == self.steps

    def pictures_due(self, step: int) -> bool:
        every = self.config.pictures_every
        return bool(every) and step % every == 0 and "tensorboard" in self.config.trackers

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done meanwhile is no part of the samples a second."""
        paused = time.monotonic()
        yield
        self.since += time.monotonic() - paused

    def step(self, step: int) -> None:
        """Moves the bar."""
        self.bar.update(self.task, completed=step)

    def figures(self, step: int, epoch: float, figures: dict[str, float]) -> None:
        """Of training."""
        now = time.monotonic()
        speed = self.samples * (step - self.last) / (now - self.since)
        left = (now - self.began) / (step - self.start) * (self.steps - step)
        self.since, self.last = now, step
        self._record(
            {"step": step, "epoch": round(epoch, 4), **figures, "samples_per_second": round(speed, 3)}, "train"
        )
        shown = {name: f"{figures[name]:.3f}" for name in figures if name not in ("learning_rate", "gradient")}
        told = [*(f"{name} {value}" for name, value in shown.items()), f"{speed:.2f} samples/s", f"{_clock(left)} left"]
        self.bar.update(self.task, figures="  ".join(told))
        if self.tells and self.bar.disable:
            self.say(f"step {step}/{self.steps}  {'  '.join(told)}")

    def validation(self, step: int, figures: dict[str, float]) -> None:
        """Of the network on other data."""
        self._record({"step": step, **{f"validation/{name}": value for name, value in figures.items()}}, "")

    def forget_validation(self, step: int) -> None:
        """Removes from history.jsonl what a run that was killed has told of it, as it will be told again."""
        self._keep(lambda line: _step_of(line) != step or '"validation/' not in line)

    def pictures(self, step: int, pictures: dict[str, np.ndarray]) -> None:
        if self.tells:
            writer = self.accelerator.get_tracker("tensorboard", unwrap=True)
            for name, picture in pictures.items():
                writer.add_image(name, picture, step, dataformats="HWC")

    def graph(self, network: nn.Module, example: tuple) -> None:
        """The network, in evaluation mode, as TensorBoard draws it."""
        if self.tells and self.config.graph and "tensorboard" in self.config.trackers and not self.start:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a tracer warns of every Python number; sizes are fixed here
                self.accelerator.get_tracker("tensorboard", unwrap=True).add_graph(
                    network, example, use_strict_trace=False
                )

    def say(self, message: str) -> None:
        if self.tells:
            self.console.print(message, soft_wrap=True)

    def _keep(self, wanted: Callable[[str], bool]) -> None:
        """Of history.jsonl those lines."""
        if self.tells and self.history.exists():
            lines = self.history.read_text(encoding="utf-8").splitlines(keepends=True)
            with replacing(self.history) as temporary:
                temporary.write_text("".join(filter(wanted, lines)), encoding="utf-8")

    def _record(self, row: dict[str, float], prefix: str) -> None:
        if not self.tells:
            return
        with self.history.open("a") as file:
            file.write(json.dumps(row) + "\n")
        values = {f"{prefix}/{name}".lstrip("/"): value for name, value in row.items() if name != "step"}
        self.accelerator.log(values, row["step"])


def _step_of(line: str) -> int:
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):  # the line that a killed run was writing
        return np.iinfo(np.int64).max


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
