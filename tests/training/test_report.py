"""What a run tells, on the terminal, in history.jsonl and in TensorBoard."""

from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef

from stereohg.training.config import ReportConfig
from stereohg.training.report import Report, _clock
from tests import runs


class Accelerator:
    """The part of it that tells."""

    is_main_process = True

    def __init__(self):
        self.logged, self.trackers = [], [self]

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.logged.append("ended")


def report(folder, start=0, every=2, **attributes):
    accelerator = Accelerator()
    vars(accelerator).update(attributes)
    return Report(accelerator, ReportConfig(every), folder, start, steps=5, samples=4)


@pytest.mark.parametrize("seconds, told", [(0.4, "0:00:00"), (61, "0:01:01"), (3600 * 30 + 59.6, "30:01:00")])
def test_time_left_is_told_as_a_clock(seconds, told):
    assert _clock(seconds) == told


def test_figures_are_due_every_so_many_steps_and_at_the_end(tmp_path):
    assert [step for step in range(1, 6) if report(tmp_path).due(step)] == [2, 4, 5]
    assert [step for step in range(1, 6) if report(tmp_path, every=0).due(step)] == [5]


def test_samples_a_second_by_hand(tmp_path, monkeypatch, capsys):
    """Two steps of 4 samples in 10 seconds, of which 6 went into something else; then 3 steps are left."""
    now = iter([100.0, 101.0, 107.0, 110.0])
    monkeypatch.setattr("stereohg.training.report.time.monotonic", lambda: next(now))
    own = report(tmp_path)
    monkeypatch.setattr(own, "bar", _NoBar())
    with own:
        with own.paused():
            pass
        own.figures(2, 0.5, {"loss": 1.25, "learning_rate": 1e-3})
    told = capsys.readouterr().err
    assert "step 2/5  loss 1.250  2.00 samples/s  0:00:15 left" in told and "learning_rate" not in told
    assert own.accelerator.logged == [
        (2, {"train/epoch": 0.5, "train/loss": 1.25, "train/learning_rate": 1e-3, "train/samples_per_second": 2.0}),
        "ended",
    ]
    assert runs.history(tmp_path) == [{"step": 2, "epoch": 0.5, "loss": 1.25, "learning_rate": 1e-3}]


class _NoBar:
    """rich asks for the time, too."""

    disable = True

    def start(self): ...

    def stop(self): ...

    def add_task(self, *arguments, **options): ...

    def update(self, *arguments, **options): ...


def test_a_run_that_begins_anew_has_no_lines_of_the_one_before(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"step": 0}\n{"step": 1}\n')
    report(tmp_path)
    assert (tmp_path / "history.jsonl").read_text() == ""


def test_validation_is_told_by_its_own_names(tmp_path):
    own = report(tmp_path)
    own.validation(4, {"all.per_pixel.epe": 1.5})
    assert runs.history(tmp_path) == [{"step": 4, "validation/all.per_pixel.epe": 1.5}]
    assert own.accelerator.logged == [(4, {"validation/all.per_pixel.epe": 1.5})]


def test_the_other_processes_tell_nothing(tmp_path, capsys):
    with report(tmp_path, is_main_process=False) as own:
        own.figures(2, 0.5, {"loss": 1.0})
        own.validation(2, {"epe": 1.0})
        own.say("something")
        own.pictures(2, {"left": np.zeros((2, 2, 3), np.uint8)})
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Of a run that was stopped after two steps and resumed."""
    folder = tmp_path_factory.mktemp("events")
    report = ReportConfig(1, trackers=["tensorboard"], pictures_every=2)
    config = replace(runs.VALIDATED, batch_size=1, steps=3, report=report)
    runs.run(replace(config, time_limit=0.0), folder)
    runs.run(config, folder)
    return EventAccumulator(str(folder / "stereohg"), size_guidance={"tensors": 0, "images": 0}).Reload()


def test_tensorboard_has_the_figures(events):
    tags = set(events.Tags()["scalars"])
    assert {f"train/{name}" for name in ("loss", "epe", "bad_3", "learning_rate", "gradient")} <= tags
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("validation/all.per_pixel.epe")] == [2, 3]


def test_tensorboard_has_pictures(events):
    assert sorted(events.Tags()["images"]) == ["error", "left", "prediction"]
    (picture,) = events.Images("prediction")
    assert (picture.step, picture.width, picture.height) == (2, 64, 64)


def test_tensorboard_has_the_graph(events):
    graph = GraphDef.FromString(events.Graph().SerializeToString())
    assert sum("Conv" in node.op or "convolution" in node.op for node in graph.node) > 20


def test_without_trackers_there_is_neither_picture_nor_graph(tmp_path):
    own = report(tmp_path)
    assert not own.pictures_due(500)
    own.graph(None, ())  # would be an error if it looked at the network
