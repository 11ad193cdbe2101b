"""What alarms do: they are recorded and reported; a fatal one stops a run, or rolls it back to continue with other
noise."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganzoo as package
from ganzoo import GanzooError
from ganzoo.runs.directory import RunDirectory

DIGITS = {"data.split": "test", "train.log_every": 10}
RING = {"train.evaluate_every": 0, "data.examples": 3200}
ROLLBACK = {"checkpoint_every": 20, "on_collapse": "rollback"}


def train(recipe, steps, out, settings=None, **options):
    """Train briefly: on the 10,000 test digits in batches of 16, or on 3,200 points in batches of 64."""
    size, quick = (16, DIGITS) if recipe == "fc-mnist" else (64, RING)
    settings = {**quick, **(settings or {})}
    return package.train(recipe, steps=steps, out=out, batch_size=size, device="cpu", settings=settings, **options)


def alarms(run):
    """Return the alarms in the metrics.jsonl of a run, or of a run directory."""
    return RunDirectory(Path(getattr(run, "directory", run))).read_alarms()


def ticks(run):
    return [{k: v for k, v in line.items() if k not in ("seconds", "examples_per_second")} for line in run.metrics()]


def assert_same_weights(one, other):
    first, second = one.model.state_dict(), other.model.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture
def trigger(install, monkeypatch):
    """A plugin that raises an alarm at step 60, up to ALARMS times, and kills the process at step KILL_AT once there
    was an alarm."""
    path = install(
        "trigger",
        """
        import os, signal
        from ganzoo import Alarm, Observer, hookimpl
        from ganzoo.runs.directory import RunDirectory

        class Trigger(Observer):
            def __init__(self, run):
                self.directory = RunDirectory(run.directory)

            def on_tick(self, tick):
                before = self.directory.read_alarms()
                if before and tick.step == int(os.environ.get("KILL_AT", 0)):
                    os.kill(os.getpid(), signal.SIGKILL)
                if tick.step == 60 and len(before) < int(os.environ["ALARMS"]):
                    return Alarm("broken", "It is broken.", "Fix it.", last_healthy_step=45, fatal=True)

        @hookimpl
        def ganzoo_observer(run):
            return Trigger(run)
        """,
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parent), str(Path(__file__).parents[2])]))
    monkeypatch.setenv("ALARMS", "1")


def test_a_rollback_returns_to_a_healthy_step_and_continues_with_other_noise(trigger, workplace, capsys):
    run = train("fc-mnist", 100, "run", **ROLLBACK)
    out = capsys.readouterr().out
    assert "Alarm at step 60 (broken): It is broken. Fix it." in out
    assert "Rolled back to step 40, to continue with other noise: It is broken." in out
    assert out.count("in run\n") == 2  # the session after the rollback prints its own headline
    (alarm,) = alarms(run)
    assert (alarm["step"], alarm["last_healthy_step"], alarm["rollbacks"], alarm["fatal"]) == (60, 45, 0, True)
    assert [line["step"] for line in run.metrics()] == list(range(10, 101, 10))
    assert RunDirectory(run.directory).status["state"] == "finished"

    calm = train("fc-mnist", 100, "calm", {"train.on_collapse": "warn"}, checkpoint_every=20)
    assert alarms(calm) == alarms(run)
    assert ticks(calm)[:4] == ticks(run)[:4]
    assert ticks(calm)[4]["loss/generator"] != ticks(run)[4]["loss/generator"]

    events = EventAccumulator("run").Reload()
    assert [event.step for event in events.Scalars("loss/generator")] == list(range(10, 101, 10))
    assert [event.step for event in events.Tensors("alarms/broken/text_summary")] == [60]


@pytest.mark.parametrize("step", [50, 70])  # before and after the first checkpoint that follows the rollback
def test_a_run_killed_after_a_rollback_resumes_to_the_same_result(step, trigger, workplace, monkeypatch):
    uninterrupted = train("fc-mnist", 100, "uninterrupted", **ROLLBACK)
    call = f"from tests.engine.test_alarms import train; train('fc-mnist', 100, 'killed', **{ROLLBACK})"
    monkeypatch.setenv("KILL_AT", str(step))
    killed = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    monkeypatch.delenv("KILL_AT")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "Rolled back to step 40" in killed.stdout
    resumed = package.resume("killed")
    assert_same_weights(resumed, uninterrupted)
    assert alarms(resumed) == alarms(uninterrupted)
    assert ticks(resumed) == ticks(uninterrupted)


def test_a_run_stops_if_it_cannot_roll_back(trigger, ganzoo, workplace, monkeypatch):
    with pytest.raises(GanzooError, match="No checkpoint from step 45 or earlier is left to roll back to"):
        train("fc-mnist", 100, "late", checkpoint_every=50, on_collapse="rollback")

    monkeypatch.setenv("ALARMS", "9")
    with pytest.raises(
        GanzooError, match=r"broken\. Fix it\. The run has already been rolled back 3 times\."
    ) as stopped:
        train("fc-mnist", 100, "run", **ROLLBACK)
    assert "ganzoo resume run --on-collapse warn" in str(stopped.value)
    assert [(alarm["step"], alarm["rollbacks"]) for alarm in alarms("run")] == [(60, n) for n in range(4)]
    assert RunDirectory(Path("run")).status["state"] == "failed"
    assert package.load("run").step == 40
    assert ganzoo("resume", "run", "--on-collapse", "warn").code == 0
    assert package.load("run").step == 100


def test_a_loss_that_is_not_finite_raises_an_alarm_that_names_the_weights(ganzoo, workplace):
    settings = ["--set", "data.split=test", "--set", "optimizer.name=sgd", "--set", "optimizer.lr=100"]
    result = ganzoo("run", "fc-mnist", "--steps", 50, "--batch-size", 16, "--out", "run", *settings)
    assert result.code == 1
    (alarm,) = alarms("run")
    assert (alarm["alarm"], alarm["fatal"]) == ("non-finite", True)
    pattern = r"loss/\w+ is (inf|-inf|nan) at step (\d+); at step 50 these weights are not finite: (\S+), .*"
    found = re.fullmatch(pattern, alarm["message"])
    assert found
    assert alarm["last_healthy_step"] == int(found[2]) - 1
    assert found[3].startswith(("generator.", "discriminator."))
    assert alarm["message"] in result.err
    assert alarm["remedy"] in result.err


@pytest.mark.parametrize(
    ("method", "answer", "reason"),
    [
        ("on_samples", '{"step": 3.0}', "cannot be called 'step'"),
        ("on_samples", '{"alarm": 1.0}', "cannot be called 'alarm'"),
        ("on_samples", '{"x": float("nan")}', "'x' that it returned is nan"),
        ("on_samples", "5", "must return name -> number"),
        ("on_tick", '"no"', "must return an Alarm"),
        ("on_tick", 'Alarm("a", "b", last_healthy_step=None)', "last_healthy_step must be of type int"),
    ],
)
def test_an_observer_with_an_invalid_answer_is_left_out_and_training_continues(
    install, workplace, capsys, method, answer, reason
):
    install(
        "odd",
        f"""
        from ganzoo import Alarm, Observer, hookimpl

        class Odd(Observer):
            def {method}(self, *arguments):
                return {answer}

        @hookimpl
        def ganzoo_observer(run):
            return Odd()
        """,
    )
    run = train("fc-mnist", 30, "run", {"train.sample_every": 1})
    assert f"failed in {method} and is left out" in (err := capsys.readouterr().err)
    assert reason in err
    assert [line["step"] for line in run.metrics()] == [10, 20, 30]
    assert not alarms(run)


def test_a_best_checkpoint_that_was_removed_is_no_longer_the_best(install, trigger, workplace):
    """Step 20 was the best until step 50 was better, so 20 was removed. After a rollback to 40, it must not be taken
    for the best."""
    install(
        "curve",
        """
        from ganzoo import Metric, Score, hookimpl

        class Curve(Metric):
            values = iter([9.0, 5.0, 6.0, 7.0, 1.0, 8.0, 6.0, 6.5, 3.0, 4.0, 8.0, 8.0, 8.0])

            def measure(self, fake, real):
                return {"curve": Score(next(Curve.values), "lower")}

        @hookimpl
        def ganzoo_parts():
            return {"metrics": {"curve": "curve:Curve"}}
        """,
    )
    settings = {"train.metrics": ["curve"], "train.evaluate_samples": 20, "train.keep": 2}
    options = {"checkpoint_every": 10, "on_collapse": "rollback", "evaluate_every": 10}
    run = train("fc-mnist", 100, "run", settings, **options)
    assert len(alarms(run)) == 1
    saved = {int(path.name.removeprefix("step-")) for path in Path("run/checkpoints").iterdir()}
    assert package.load("run", checkpoint="best").step in saved
