"""Learning rates as a function of the step, so that there is no state that a stopped run could lose."""

import math

from stereohg.training.config import ScheduleConfig


def rate_factor(schedule: ScheduleConfig, step: int, steps: int, per_epoch: int) -> float:
    """What the peak learning rate is multiplied by.

    Args:
        schedule: which.
        step: counted from 0.
        steps: of the whole run.
        per_epoch: steps of an epoch.
    """
    warm = min(1.0, (step + 1) / schedule.warmup) if schedule.warmup else 1.0
    if schedule.name == "milestones":
        return warm * schedule.factor ** sum(step // per_epoch >= epoch for epoch in schedule.milestones)
    if schedule.name == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule.name == "one_cycle":
        top = max(1.0, schedule.rise * steps)
        return warm * min((step + 1) / top, (steps - step) / max(1.0, steps - top), 1.0)
    return warm
