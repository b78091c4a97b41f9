"""All that a training run holds and does beside learning: devices, checkpoints, validation, reports, and its end."""

import logging
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from stereohg.data.samples import some_of
from stereohg.data.workers import end_workers
from stereohg.files import clear_leftovers, replacing
from stereohg.models.inference import in_evaluation, with_channels_last
from stereohg.training.accelerator import make_accelerator
from stereohg.training.batches import Batches, Failure, load
from stereohg.training.checkpoints import Checkpoints, random_state, set_random_state
from stereohg.training.config import LoopConfig, ModelConfig
from stereohg.training.lock import Lock
from stereohg.training.optimisation import (
    Buffers,
    freeze,
    make_average,
    make_optimiser,
    training_mode,
)
from stereohg.training.report import Report
from stereohg.training.schedule import rate_factor
from stereohg.training.settings import found_in, plain, refuse_another_run, validates_otherwise, without_folders
from stereohg.training.stopping import Stopping
from stereohg.training.task import Task
from stereohg.version import __version__

logger = logging.getLogger("stereohg")

NAMED = 8  # samples that a message lists
BEST = "best.safetensors"
WITHOUT_TRUTH = 50  # steps, or an epoch if that is longer, that may pass before the first ground truth


@dataclass
class Progress:
    """Where a run stands; a checkpoint has it.

    Attributes:
        step: steps done.
        bad: of them without a finite gradient, and so without effect.
        bad_in_a_row: the last so many.
        unread: samples in whose place another one stood.
        learns: whether any ground truth has counted.
        unvalidated: whether the validation after the last step is still to come.
        best: of the metric.
        tries: validations since then.
    """

    step: int = 0
    bad: int = 0
    bad_in_a_row: int = 0
    unread: int = 0
    learns: bool = False
    unvalidated: bool = False
    best: float | None = None
    tries: int = 0


class _Forward(nn.Module):
    """The task's losses as a module's forward, which is what data-parallel training and compilation take hold of."""

    def __init__(self, task: Task, network: nn.Module):
        super().__init__()
        self.task, self.network = task, network

    def forward(self, batch: Any, counts: Tensor) -> Tensor:
        return self.task.losses(self.network, batch, counts)


class Run:
    """See ``train``, whose errors are raised here."""

    def __init__(self, task: Task, config: LoopConfig, folder: Path):
        self.stopping = Stopping(config.time_limit)
        self.task, self.config, self.folder = task, config, folder
        self.accelerator = make_accelerator(config, folder)
        self.device, self.rank = self.accelerator.device, self.accelerator.process_index
        self.processes = self.accelerator.num_processes
        if hasattr(config, "model"):  # one of ours
            refuse_own_outputs(config.model, folder)
        if task.samples.problems and not len(task.samples):
            raise ValueError(f"there is nothing to learn from: {some_of(task.samples.problems)}")
        self.plan = Batches(
            len(task.samples),
            config.batch_size,
            config.accumulate,
            self.rank,
            self.processes,
            config.drop_last,
            config.shuffle,
            config.seed,
        )
        self.steps = count_steps(config, self.plan.per_epoch)

        from accelerate.utils import set_seed

        set_seed(config.seed)  # of Python, NumPy and PyTorch
        network = with_channels_last(task.network()) if config.channels_last else task.network()
        if config.sync_batch_norm and self.processes > 1:
            if self.device.type != "cuda":
                raise ValueError("sync_batch_norm needs CUDA; on the CPU take freeze_batch_norm, or none of the two")
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        freeze(network, config.trainable)
        self.network = network.to(self.device)
        self.average = make_average(self.network, config.ema)
        forward = _Forward(task, self.network)
        if config.compile:
            forward.compile(dynamic=False)  # of hgstereo's three sizes inductor (2.13) fails to make one graph
        self.optimiser = make_optimiser(self.network, config.optimiser)

        self.progress = Progress()
        self.checkpoints = Checkpoints(folder / "checkpoints", config.checkpoints.keep)
        self.lock = None
        if self.rank == 0:
            self.lock = Lock(folder)
            self.checkpoints.prepare(self._size_of_checkpoint())
            clear_leftovers(folder)
        self.accelerator.wait_for_everyone()
        self.sums, self.summed = torch.zeros(len(task.measures), device=self.device), 0
        self._resume()
        self.forward, self.optimiser = self.accelerator.prepare(forward, self.optimiser)
        self.buffers = Buffers(self.network)
        self.tries_kernels = torch.backends.cudnn.benchmark
        self.reader: Iterator | None = None
        self.unread = 0  # of this process, since the last step
        self.stops = False

    # --- from the first step to the last ---

    def __enter__(self) -> "Run":
        if self.rank == 0:
            with replacing(self.folder / "settings.yaml") as temporary:
                temporary.write_text(yaml.safe_dump(plain(self.config), sort_keys=False), encoding="utf-8")
        self.accelerator.init_trackers("stereohg", init_kwargs={"tensorboard": {"purge_step": self.progress.step + 1}})
        config = self.config
        start = self.progress.step
        samples = self.plan.samples_per_step
        self.report = Report(self.accelerator, config.report, self.folder, start, self.steps, samples)
        if self.progress.unvalidated:
            self.report.forget_validation(start)
        self.report.__enter__()
        self.stopping.__enter__()
        for problem in self.task.samples.problems:
            self.report.say(f"skipped: {problem}")
        if start:
            self.report.say(f"going on after {start} of {self.steps} steps")
        elif config.report.graph and "tensorboard" in config.report.trackers:
            with in_evaluation(self.network), torch.no_grad():
                self.report.graph(self.network, self.task.example(self.network))
        training_mode(self.network, config)
        return self

    def __exit__(self, kind, error, trace) -> None:
        torch.backends.cudnn.benchmark = self.tries_kernels
        self.stopping.__exit__(kind, error, trace)
        if self.reader is not None:
            end_workers(self.reader)
        self.report.__exit__(kind, error, trace)
        if self.lock is not None:
            self.lock.release()
        if self.processes > 1 and isinstance(error, RuntimeError) and _is_of_connection(error):
            raise ConnectionError(
                f"another process of this run has ended, and so does this one, after {self.progress.step} steps; the "
                "same command goes on from the newest checkpoint"
            ) from error

    def batches(self) -> Iterator[tuple[int, list]]:
        """Each step with this process's parts of its batch, on its device."""
        from accelerate.utils import send_to_device

        start = self.progress.step
        keys = self.plan.keys(start, self.steps)
        cuda = self.device.type == "cuda"
        loader = load(self.task.samples, keys, self.task.collate, self.task.uncounted, self.config.workers, cuda)
        self.reader, parts = iter(loader), []
        for batch in self.reader:
            if isinstance(batch, Failure):
                raise batch.error() from RuntimeError(batch.trace)
            self._tell_unread(batch.skipped)
            parts.append(send_to_device(batch, self.device, non_blocking=True))
            if len(parts) == self.config.accumulate:
                yield start, parts
                start, parts = start + 1, []

    def _tell_unread(self, messages: tuple[str, ...]) -> None:
        self.unread += len(messages)
        for message in messages:
            logger.warning(f"skipped: {message}")

    # --- a step ---

    def begin(self, step: int) -> None:
        """Sets the step's learning rate, and keeps what a bad step would spoil."""
        torch.backends.cudnn.benchmark = True  # crops are all alike: an eighth of a step's time
        self.buffers.keep()
        config = self.config
        self.rate = config.optimiser.learning_rate * rate_factor(config.schedule, step, self.steps, self.plan.per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate

    def over_all(self, counts: Tensor) -> Tensor:
        """The counts of all processes together; on the way they agree on unread samples and on whether to stop.

        Raises:
            ValueError: after some steps there still is no ground truth that counts.
        """
        own = counts.new_tensor([self.unread, self.stopping.is_asked()])
        *_, unread, asks = together = self.accelerator.reduce(torch.cat([counts, own]), "sum")
        self.progress.unread += int(unread)
        self.unread, self.stops = 0, bool(asks)
        counts = together[:-2]
        progress = self.progress
        progress.learns = progress.learns or bool(counts.any())
        if not progress.learns and progress.step + 1 >= min(self.steps, max(self.plan.per_epoch, WITHOUT_TRUTH)):
            raise ValueError(
                f"in {progress.step + 1} steps nothing has ground truth that counts, and so nothing is learnt; see "
                "data.root (and of stereo loss.above and loss.below)"
            )
        return counts

    def gradients(self, last: bool) -> AbstractContextManager:
        """Where the gradients of a part are made; the processes exchange them once, after the last."""
        return nullcontext() if last else self.accelerator.no_sync(self.forward)

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(self.processes * loss)  # of which the gradients are averaged over the processes

    def clip(self) -> Tensor:
        """The norm of the gradient, before it is clipped."""
        limit = self.config.optimiser.clip
        return self.accelerator.clip_grad_norm_(self.network.parameters(), torch.inf if limit is None else limit)

    def update(self) -> None:
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.progress.bad_in_a_row = 0

    def skip(self, step: int, parts: list, measures: Tensor) -> None:
        """Leaves weights and buffers as they were before the step, and names its samples.

        Raises:
            FloatingPointError: so many in a row as the settings allow.
        """
        from accelerate.utils import gather_object

        if self.accelerator.scaler is not None:
            self.optimiser.step()  # does nothing but lower the scale of float16
        self.buffers.restore()
        self.progress.bad += 1
        self.progress.bad_in_a_row += 1
        own = [(name, bool(measures[0].isfinite())) for part in parts for name in part.name]
        names = gather_object(own)
        guilty = [name for name, finite in names if not finite] or [name for name, _ in names]
        listed = ", ".join(guilty[:NAMED]) + (", ..." if len(guilty) > NAMED else "")
        what = "loss" if len(guilty) < len(names) or not measures[0].isfinite() else "gradient"
        message = f"step {step + 1} had no effect: its {what} is not finite; its samples: {listed}"
        self.report.say(message)
        if self.progress.bad_in_a_row >= self.config.bad_steps:
            raise FloatingPointError(
                f"{self.progress.bad_in_a_row} steps in a row had no finite gradient; the last: {message}. Lower the "
                "learning rate, clip the gradient, train in float32, or look at these samples"
            )

    def after(self, step: int, parts: list, measures: Tensor, norm: Tensor) -> bool:
        """What is due after so many steps; whether the run is to stop here."""
        torch.backends.cudnn.benchmark = self.tries_kernels  # of other sizes each would be tried anew
        self.optimiser.zero_grad(set_to_none=True)
        self.progress.step = step
        if norm.isfinite():
            self.sums = self.sums + measures
            self.summed += 1
        self.report.step(step)
        is_told = self.report.due(step)
        if is_told:
            self._tell_figures(step, norm)
        with self.report.paused():
            if self.report.pictures_due(step):
                with in_evaluation(self.network), torch.no_grad():
                    self.report.pictures(step, self.task.pictures(self.network, parts[0]))
            if self._validation_due(step):
                self.progress.unvalidated = True
                self._save(last=False)  # a validation may take long, or fail
                self._validate(step)
            last = self.stops or step == self.steps
            if step == self.steps and not is_told:  # patience has ended it
                self._tell_figures(step, norm)
            every = self.config.checkpoints.every
            if last or every and step % every == 0:
                self._save(last)
        return last

    def _tell_figures(self, step: int, norm: Tensor) -> None:
        sums = self.accelerator.reduce(self.sums, "sum") / max(1, self.summed)
        figures = dict(zip(self.task.measures, sums.tolist(), strict=True))
        if not self.summed:
            figures = {}
        figures["learning_rate"] = self.rate
        if norm.isfinite():  # JSON has no NaN
            figures["gradient"] = norm.item()
        told = {"bad_steps": self.progress.bad, "unread": self.progress.unread}
        figures |= {name: count for name, count in told.items() if count}
        self.report.figures(step, step / self.plan.per_epoch, figures)
        self.sums.zero_()
        self.summed = 0

    # --- validation ---

    def validate_before(self) -> None:
        """Tries what the run begins with, where that is asked for, so that nothing worse becomes the best.

        And what it goes on from, where the validation after that step did not come to its end.
        """
        step = self.progress.step
        if self.task.validates and (self.progress.unvalidated or self.config.validation.before and step == 0):
            self._validate(step)
            if step == self.steps:
                self._save(last=True)

    def _validation_due(self, step: int) -> bool:
        config = self.config.validation
        every = [config.every_steps, config.every_epochs * self.plan.per_epoch]
        return self.task.validates and any(n and (step % n == 0 or step == self.steps) for n in every)

    def _validate(self, step: int) -> None:
        """Keeps the best weights; ends the run where it has been without a better figure for too long."""
        from accelerate.utils import gather_object

        config, progress = self.config.validation, self.progress
        if self.processes > 1:  # running means are each process's own until its next forward
            for buffer in self._best_network().buffers():
                torch.distributed.broadcast(buffer, 0)
        with in_evaluation(self.network), torch.no_grad():
            figures = self.task.validate(self._best_network(), self.rank, self.processes, gather_object)
        if config.metric not in figures:
            raise ValueError(f"validation.metric is {config.metric!r}; known are {', '.join(figures)}")
        value = figures[config.metric]
        self.report.validation(step, figures)
        self.report.say(f"step {step}: {config.metric} {value:.4g}")
        sign = 1 if self.task.best == "lowest" else -1
        progress.tries += 1
        if progress.best is None or sign * value < sign * progress.best:
            progress.best, progress.tries = value, 0
            if self.rank == 0:
                self._save_weights(self.folder / BEST, {"validation": figures})
        progress.unvalidated = False
        if 0 < config.patience <= progress.tries:
            self.report.say(f"step {step}: no better figure in {progress.tries} validations; this is the end")
            self.steps = step

    def _best_network(self) -> nn.Module:
        return self.network if self.average is None else self.average.module

    # --- what stays ---

    def _save_weights(self, path: Path, metrics: dict) -> None:
        made = {"stereohg": __version__, "torch": torch.__version__, "python": platform.python_version()}
        about = {"steps": self.progress.step, "settings": without_folders(plain(self.config)), **made}
        self.task.save(self._best_network(), path, about, metrics)

    def _save(self, last: bool) -> None:
        from accelerate.utils import gather_object

        sums = self.accelerator.reduce(self.sums, "sum")
        random_states = gather_object([random_state()])
        if self.rank:
            return
        scaler = self.accelerator.scaler
        state = {
            "settings": plain(self.config),
            "samples": len(self.task.samples),
            "progress": asdict(self.progress),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "sums": sums.cpu(),
            "summed": self.summed,
            "random": random_states,
        }
        try:
            self.checkpoints.save(self.progress.step, state)
        except OSError as error:
            if last:
                raise
            self.report.say(f"the checkpoint of step {self.progress.step} could not be written ({error}); going on")

    def _resume(self) -> None:
        found = self.checkpoints.newest()
        if found is None:
            return
        state, path = found
        before, now = state["settings"], plain(self.config)
        refuse_another_run(path, before, self.config)
        samples = len(self.task.samples)
        if state.get("samples", samples) != samples:
            raise ValueError(
                f"{path} is of a run over {state['samples']} samples, and data now has {samples}; give the same, or"
                " another output folder"
            )
        if (was := found_in(before, "data.root")) != (root := found_in(now, "data.root")):
            logger.warning(f"data.root was {was} when this run began, and is {root}: the same data in another place?")
        progress = Progress(**state["progress"])
        if progress.step > self.steps:
            raise ValueError(f"{path} has {progress.step} steps behind it, of {self.steps}; give at least as many")
        self.progress = progress
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.summed = state["summed"]
        if self.rank == 0:
            self.sums = state["sums"].to(self.device)
        if self.rank < len(state["random"]):  # there may have been fewer processes
            set_random_state(state["random"][self.rank])
        if validates_otherwise(before, now):
            progress.best, progress.tries = None, 0  # which was another figure
        if 0 < self.config.validation.patience <= progress.tries:
            self.steps = progress.step  # it had come to its end

    def _size_of_checkpoint(self) -> int:
        """Bytes: the weights, the optimiser's two moments, the average."""
        copies = 3 if self.average is None else 4
        return copies * sum(tensor.nbytes for tensor in self.network.state_dict().values())

    def result(self) -> nn.Module | None:
        """The network at the end of the run, and its weights in the folder; None where time ran out before.

        Raises:
            KeyboardInterrupt, SystemExit: what the signal would have done at once that has stopped the run.
        """
        network, progress = self._best_network(), self.progress
        if progress.step < self.steps:
            why = self.stopping.reason or "another process asked"
            self.report.say(f"stopped after {progress.step} of {self.steps} steps: {why}; the same command goes on")
            self.stopping.obey()
            return None
        if self.rank == 0:
            path = self.folder / f"{network.architecture}.safetensors"
            self._save_weights(path, {})
            self.report.say(f"written: {path}")
            if progress.best is not None:
                metric = self.config.validation.metric
                self.report.say(f"the best by {metric}, {progress.best:.4g}: {self.folder / BEST}")
        self.accelerator.wait_for_everyone()  # who goes on from the weights finds them
        self.stopping.obey()  # it may have come in the last step
        return network.eval()


def refuse_own_outputs(model: ModelConfig, folder: Path) -> None:
    """Raises ValueError where a run would write over the weights that it begins with."""
    written = [(folder / name).resolve() for name in (BEST, f"{model.name}.safetensors")]
    if model.weights is not None and Path(model.weights).is_file() and Path(model.weights).resolve() in written:
        raise ValueError(f"{model.weights} is what the run begins with, and would be overwritten; give another folder")


def _is_of_connection(error: RuntimeError) -> bool:
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()


def count_steps(config: LoopConfig, per_epoch: int) -> int:
    """Steps of the whole run.

    Raises:
        ValueError: neither steps nor epochs are given, or both.
    """
    if (config.steps is None) == (config.epochs is None):
        raise ValueError(
            f"steps is {config.steps} and epochs {config.epochs}; give the one or the other (of a recipe with epochs,"
            " so many steps: --epochs null --steps 20)"
        )
    return config.steps if config.steps is not None else config.epochs * per_epoch
