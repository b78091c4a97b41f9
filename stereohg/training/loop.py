"""The training loop, of any task: read it, change it. What it calls upon is in ``run.py``."""

from pathlib import Path

from torch import nn

from stereohg.training.config import LoopConfig
from stereohg.training.run import Run
from stereohg.training.task import Task


def train(task: Task, config: LoopConfig, folder: str | Path) -> nn.Module | None:
    """Trains to the end, from the newest checkpoint in the folder if there is one.

    The folder gets checkpoints/, history.jsonl, settings.yaml, best.safetensors by validation, and in the end
    NAME.safetensors. A run that is killed at any moment and started again comes to the same weights, on the CPU bit
    for bit. Alone, or one of the processes of torchrun or ``accelerate launch``, whose group stays for other runs.

    Returns:
        The network (the averaged one, where there is one) in evaluation mode, or None when the time limit was over
        before the end; the checkpoint is written then.

    Raises:
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM was received; the step was finished, the checkpoint is written.
        ValueError: settings that cannot be, or a checkpoint of another run.
        OSError: the folder cannot take the checkpoints.
        FloatingPointError: no step has had a finite gradient for too long.
        ModuleNotFoundError: accelerate is not installed.
    """
    run = Run(task, config, Path(folder))
    with run:
        run.validate_before()
        for step, parts in run.batches():
            run.begin(step)
            counts = run.over_all(sum(task.counts(part) for part in parts))
            measures = 0.0
            for part in parts:
                with run.gradients(last=part is parts[-1]):
                    own = run.forward(part, counts)
                    run.backward(own[0])
                measures = measures + own.detach()
            norm = run.clip()
            if norm.isfinite():
                run.update()
            else:
                run.skip(step, parts, measures)
            if run.after(step + 1, parts, measures, norm):
                break
    return run.result()
