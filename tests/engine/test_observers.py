"""Observers: what they are told and when; one that fails is named once and cannot disturb the training."""

import pytest
import torch

import ganzoo as package
from ganzoo import Alarm, GanzooError, Observer, RunInfo, Tick, hookimpl
from ganzoo.recipes import PartChoice
from ganzoo.runs.directory import RunDirectory

METHODS = ["on_tick", "on_samples", "on_alarm", "on_checkpoint", "on_end"]
RECORDED: list[tuple] = []
"""What the observers of this module were told: (number of the observer, what, details)."""


class Recorder(Observer):
    """Records what it is told. It raises an alarm at step 30, the first time."""

    number = 0

    def __init__(self, run: RunInfo) -> None:
        Recorder.number += 1
        self.number = Recorder.number
        steps = [line["step"] for line in RunDirectory(run.directory).read_metrics()]
        self.record("start", run.start_step, steps, run)

    def record(self, *what):
        RECORDED.append((self.number, *what))

    def on_tick(self, tick):
        self.record("tick", tick.step, tick.ends_epoch, tick.scalars)
        if tick.step == 30 and self.number == 1:
            return Alarm("trouble", "There is trouble.", last_healthy_step=25, fatal=True)
        return None

    def on_samples(self, step, images, samples):
        self.record("samples", step, images, samples)
        return {"seen": float(step)}

    def on_alarm(self, step, alarm):
        self.record("alarm", step, alarm)

    def on_checkpoint(self, step, path):
        assert (path / "SHA256SUMS").is_file()
        self.record("checkpoint", step, path)

    def on_end(self, state, reason):
        self.record("end", state, reason)


@hookimpl
def ganzoo_observer(run):
    return Recorder(run)


@pytest.fixture
def recorder(install):
    """The observer of this module, in a plugin."""
    install("recorder", "from tests.engine.test_observers import ganzoo_observer")
    RECORDED.clear()
    Recorder.number = 0


def train(out="run", steps=40, **options):
    settings = {"data.examples": 640, "train.log_every": 10, "train.evaluate_every": 0, "train.sample_every": 100}
    options = {"batch_size": 32, "checkpoint_every": 20, **options}
    return package.train("fc-ring8", steps=steps, out=out, device="cpu", settings=settings, **options)


def told(number, *kinds):
    """What one observer was told, without the details."""
    return [(what, at) for n, what, at, *_ in RECORDED if n == number and what in (kinds or (what,))]


def test_an_observer_is_told_everything_in_order(recorder, workplace):
    run = train(on_collapse="warn")
    assert told(1) == [
        ("start", 0),
        ("samples", 0),
        ("tick", 10),
        ("tick", 20),
        ("checkpoint", 20),
        ("tick", 30),
        ("alarm", 30),
        ("samples", 40),
        ("tick", 40),
        ("checkpoint", 40),
        ("end", "finished"),
    ]
    details = {(what, at): rest for _, what, at, *rest in RECORDED}
    images, samples = details["samples", 40]
    assert samples.keys() == {"real", "fake"}
    assert all(value.shape[1:] == (2,) and value.dtype == torch.float32 for value in samples.values())
    assert images["fake"].shape == (1, 3, 256, 256)  # a scatter plot
    assert details["tick", 20][0] is True  # 640 examples in batches of 32 are an epoch of 20 steps
    assert details["tick", 30][0] is False
    scalars = details["tick", 40][1]
    assert {"loss/generator", "loss/discriminator", "gradient/generator", "D(x)"} <= scalars.keys()
    assert scalars == {key: run.metrics()[-1][key] for key in scalars}
    (alarm,) = details["alarm", 30]
    assert (alarm.kind, alarm.last_healthy_step) == ("trouble", 25)
    assert details["checkpoint", 20] == [run.directory / "checkpoints/step-00000020"]


def test_numbers_that_an_observer_returns_join_the_next_tick(recorder, workplace):
    lines = {line["step"]: line for line in train(on_collapse="warn").metrics()}
    assert lines[40]["seen"] == 40.0
    assert "seen" not in lines[10]  # those from before the first step are dropped


def test_an_observer_gets_a_description_of_the_run(recorder, workplace):
    run = train(steps=5)
    info = RECORDED[0][-1]
    assert isinstance(info, RunInfo)
    assert (info.directory, info.device, info.examples, info.start_step) == (run.directory, "cpu", 640, 0)
    assert (info.batch_size, info.steps_per_epoch, info.total_steps) == (32, 20, 5)
    assert info.recipe == run.recipe
    assert info.recipe.data == PartChoice("ring8", run.recipe.data.options)
    assert info.parameters == {
        player: sum(p.numel() for p in run.model.parameters_of(player)) for player in ("discriminator", "generator")
    }


def test_a_resume_makes_an_observer_for_the_new_session(recorder, workplace):
    train(steps=20)
    package.resume("run", steps=40, on_collapse="warn")
    assert told(1, "start", "end") == [("start", 0), ("end", "finished")]
    assert told(2) == [
        ("start", 20),
        ("tick", 30),
        ("samples", 40),
        ("tick", 40),
        ("checkpoint", 40),
        ("end", "finished"),
    ]


def test_a_rollback_ends_the_observer_and_makes_a_new_one_on_the_rewound_directory(recorder, workplace):
    train(on_collapse="rollback")
    assert told(1)[-3:] == [("tick", 30), ("alarm", 30), ("end", "rolled back")]
    reason = next(rest[0] for n, what, at, *rest in RECORDED if (n, what, at) == (1, "end", "rolled back"))
    assert reason == "to step 20, to continue with other noise: There is trouble."
    assert told(2)[0] == ("start", 20)
    assert told(2)[1:3] == [("tick", 30), ("samples", 40)]
    assert told(2)[-1] == ("end", "finished")
    starts = [rest[0] for _, what, _, *rest in RECORDED if what == "start"]
    assert starts == [[], [10, 20]]  # step 30 is gone when the new observer starts


def test_an_observer_is_told_of_a_failure(recorder, workplace):
    with pytest.raises(GanzooError, match="There is trouble"):
        train(on_collapse="stop")
    assert told(1)[-3:] == [("alarm", 30), ("checkpoint", 30), ("end", "failed")]
    assert RECORDED[-1][-1] == "There is trouble."


# --- observers that fail ---------------------------------------------------------------------------------------------

SOURCE = """
from ganzoo import Alarm, Observer, hookimpl

ended = []

class Clumsy(Observer):
    def __init__(self):
        {construct}
    def {method}(self, *arguments):
        {body}
    {end}

@hookimpl
def ganzoo_observer(run):
    return {made}
"""


def clumsy(install, *, construct="pass", method="unused", body="pass", made="Clumsy()", end=None):
    end = end or ("" if method == "on_end" else "def on_end(self, state, reason): ended.append(state)")
    install("clumsy", SOURCE.format(construct=construct, method=method, body=body, made=made, end=end))


def warnings(text):
    return [line for line in text.splitlines() if line.startswith("Warning: the plugin clumsy (of clumsy 1.0)")]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", ["OSError('the server is gone')", "SystemExit('the server is gone')"])
def test_an_observer_that_raises_in_a_method_is_left_out_from_then_on(
    recorder, install, workplace, capsys, method, error
):
    clumsy(install, method=method, body=f"raise {error}")
    run = train(on_collapse="warn")
    assert run.step == 40
    (warning,) = warnings(capsys.readouterr().err)
    assert f"failed in {method} and is left out of this run: " in warning
    assert "the server is gone" in warning
    import clumsy as module

    assert module.ended == ([] if method == "on_end" else ["finished"])  # it may still close what it opened
    assert len(told(1)) == 11  # others are told everything
    assert run.metrics()[-1]["step"] == 40


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"construct": "raise RuntimeError('no room')"}, "RuntimeError: no room"),
        ({"made": "1 / 0"}, "ZeroDivisionError"),
        ({"made": "__import__('sys').exit('bye')"}, "SystemExit: bye"),
        ({"made": "'an observer'"}, "it must return a ganzoo.Observer or None, not 'an observer'"),
        ({"made": "Clumsy"}, "it must return a ganzoo.Observer or None, not <class"),
        ({"made": "object()"}, "it must return a ganzoo.Observer or None, not <object"),
    ],
)
def test_an_observer_that_cannot_be_made_is_left_out(recorder, install, workplace, capsys, source, reason):
    clumsy(install, **source)
    assert train(on_collapse="warn").step == 40
    (warning,) = warnings(capsys.readouterr().err)
    assert "failed in ganzoo_observer and is left out of this run: " in warning
    assert reason in warning
    assert len(told(1)) == 11


@pytest.mark.parametrize(
    ("method", "answer", "reason"),
    [
        ("on_tick", "'no'", "it must return an Alarm, a list of alarms, or None, not 'no'"),
        ("on_tick", "[Alarm('a', 'b'), 3]", "it must return an Alarm, a list of alarms, or None"),
        ("on_tick", "Alarm('a', 'b', fatal=1)", "an alarm's fatal must be of type bool, not 1"),
        ("on_samples", "[('x', 1.0)]", "it must return name -> number, or None"),
        ("on_samples", "{'x': 'many'}", "ValueError"),
        ("on_samples", "{'x': float('inf')}", "the number 'x' that it returned is inf"),
        ("on_samples", "{'epoch': 1.0}", "a number cannot be called 'epoch'"),
    ],
)
def test_an_observer_that_answers_something_else_is_left_out(install, workplace, capsys, method, answer, reason):
    clumsy(install, method=method, body=f"return {answer}")
    run = train()
    (warning,) = warnings(capsys.readouterr().err)
    assert f"failed in {method} and is left out of this run: " in warning
    assert reason in warning
    assert not RunDirectory(run.directory).read_alarms()
    assert "x" not in run.metrics()[-1]


def test_an_observer_that_was_left_out_is_made_again_after_a_rollback(recorder, install, workplace, capsys):
    clumsy(install, method="on_tick", body="raise OSError('the server is gone')")
    train(on_collapse="rollback")
    assert len(warnings(capsys.readouterr().err)) == 2  # once per session
    import clumsy as module

    assert module.ended == ["rolled back", "finished"]


def test_a_plugin_may_return_no_observer(install, workplace, capsys):
    clumsy(install, made="None")
    assert train(steps=10).step == 10
    assert not warnings(capsys.readouterr().err)


def test_the_base_class_ignores_everything():
    observer = Observer()
    tick = Tick(step=1, epoch=0.1, ends_epoch=False, seconds=1.0, examples_per_second=1.0, scalars={})
    answers = [observer.on_tick(tick), observer.on_samples(1, {}, {}), observer.on_alarm(1, Alarm("a", "b"))]
    assert answers == [None, None, None]
    assert all(callable(getattr(observer, name)) for name in METHODS)
