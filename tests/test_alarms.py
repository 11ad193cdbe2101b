"""What alarms do: they are kept and told; a fatal one stops a run, or takes it back to before it and on another way."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganzoo as package
from ganzoo.errors import GanzooError
from ganzoo.training.run import RunDirectory
from tests.test_health import alarms, assert_same_weights, ticks, train


@pytest.fixture
def trigger(install, monkeypatch):
    """A plugin that finds fault with step 60 as often as it is told to, and kills the process where it is told to,
    once there was an alarm."""
    path = install(
        "trigger",
        """
        import os, signal
        from ganzoo import Alarm, hookimpl
        from ganzoo.training.run import RunDirectory

        @hookimpl
        def ganzoo_tick(run, tick):
            before = RunDirectory(run.directory).read_alarms()
            if before and tick.step == int(os.environ.get("KILL_AT", 0)):
                os.kill(os.getpid(), signal.SIGKILL)
            if tick.step == 60 and len(before) < int(os.environ["ALARMS"]):
                return Alarm("broken", "It is broken.", "Mend it.", since=45, fatal=True)
        """,
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parent), str(Path(__file__).parent.parent)]))
    monkeypatch.setenv("ALARMS", "1")


ROLLBACK = {"checkpoint_every": 20, "on_collapse": "rollback"}


def test_a_rollback_goes_to_before_the_fault_and_takes_other_noise(trigger, workplace, capsys):
    run = train("fc-mnist", 100, "run", **ROLLBACK)
    out = capsys.readouterr().out
    assert "Alarm at step 60 (broken): It is broken. Mend it." in out
    assert "Rolled back to step 40, to go on with other noise: It is broken." in out
    assert out.count("in run\n") == 2  # progress began anew
    (alarm,) = alarms(run)
    assert (alarm["step"], alarm["since"], alarm["rollbacks"], alarm["fatal"]) == (60, 45, 0, True)
    assert [line["step"] for line in run.metrics()] == list(range(10, 101, 10))
    assert RunDirectory(run.directory).record["state"] == "finished"

    calm = train("fc-mnist", 100, "calm", {"train.on_collapse": "warn"}, checkpoint_every=20)
    assert alarms(calm) == alarms(run)
    assert ticks(calm)[:4] == ticks(run)[:4]
    assert ticks(calm)[4]["loss/generator"] != ticks(run)[4]["loss/generator"]

    events = EventAccumulator("run").Reload()
    assert [event.step for event in events.Scalars("loss/generator")] == list(range(10, 101, 10))
    assert [event.step for event in events.Tensors("alarms/broken/text_summary")] == [60]


@pytest.mark.parametrize("step", [50, 70])  # before and after the first checkpoint that follows the rollback
def test_a_killed_rollback_ends_as_one_that_was_not(step, trigger, workplace, monkeypatch):
    whole = train("fc-mnist", 100, "whole", **ROLLBACK)
    call = f"from tests.test_health import train; train('fc-mnist', 100, 'killed', **{ROLLBACK})"
    monkeypatch.setenv("KILL_AT", str(step))
    killed = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    monkeypatch.delenv("KILL_AT")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "Rolled back to step 40" in killed.stdout
    resumed = package.resume("killed")
    assert_same_weights(resumed, whole)
    assert alarms(resumed) == alarms(whole)
    assert ticks(resumed) == ticks(whole)


def test_it_stops_where_it_cannot_roll_back_any_more(trigger, ganzoo, workplace, monkeypatch):
    with pytest.raises(GanzooError, match="No checkpoint of step 45 or before is left to roll back to"):
        train("fc-mnist", 100, "late", checkpoint_every=50, on_collapse="rollback")

    monkeypatch.setenv("ALARMS", "9")
    with pytest.raises(GanzooError, match=r"It is broken\. Mend it\. It was rolled back 3 times already\.") as stopped:
        train("fc-mnist", 100, "run", **ROLLBACK)
    assert "ganzoo resume run --on-collapse warn" in str(stopped.value)
    assert [(alarm["step"], alarm["rollbacks"]) for alarm in alarms("run")] == [(60, n) for n in range(4)]
    assert RunDirectory(Path("run")).record["state"] == "failed"
    assert package.load("run").step == 40
    assert ganzoo("resume", "run", "--on-collapse", "warn").code == 0
    assert package.load("run").step == 100


def test_a_loss_that_is_not_finite_is_an_alarm_that_names_the_weights(ganzoo, workplace):
    settings = ["--set", "data.split=test", "--set", "optimizer.name=sgd", "--set", "optimizer.lr=100"]
    result = ganzoo("run", "fc-mnist", "--steps", 50, "--batch-size", 16, "--out", "run", *settings)
    assert result.code == 1
    (alarm,) = alarms("run")
    assert (alarm["alarm"], alarm["fatal"]) == ("non-finite", True)
    pattern = r"loss/\w+ is (inf|-inf|nan) at step (\d+); at step 50 these weights are not finite: (\S+), .*"
    found = re.fullmatch(pattern, alarm["message"])
    assert found
    assert alarm["since"] == int(found[2]) - 1
    assert found[3].startswith(("generator.", "discriminator."))
    assert alarm["message"] in result.err
    assert alarm["remedy"] in result.err


@pytest.mark.parametrize(
    ("hook", "answer", "blame"),
    [
        ("ganzoo_samples", '{"step": 3.0}', "cannot be called 'step'"),
        ("ganzoo_samples", '{"alarm": 1.0}', "cannot be called 'alarm'"),
        ("ganzoo_samples", '{"x": float("nan")}', "'x' that it returned is nan"),
        ("ganzoo_samples", "5", "must return name -> number"),
        ("ganzoo_tick", '"no"', "must return an Alarm"),
        ("ganzoo_tick", 'Alarm("a", "b", since=None)', "since must be of type int"),
    ],
)
def test_an_observer_that_answers_nonsense_is_left_out_and_harms_nobody(
    install, workplace, capsys, hook, answer, blame
):
    source = f"from ganzoo import Alarm, hookimpl\n\n@hookimpl\ndef {hook}(run):\n    return {answer}\n"
    install("odd", source)
    run = train("fc-mnist", 30, "run", {"train.sample_every": 1})
    assert f"failed in {hook} and is left out" in (err := capsys.readouterr().err)
    assert blame in err
    assert [line["step"] for line in run.metrics()] == [10, 20, 30]
    assert not alarms(run)


def test_a_best_checkpoint_that_is_gone_is_not_the_best_any_more(install, trigger, workplace, monkeypatch):
    """Step 20 was the best, then 50 was, so 20 went; a rollback to 40 must not think that it is still there."""
    monkeypatch.setenv("ALARMS", "1")
    install(
        "curve",
        """
        from ganzoo import Metric, Score, hookimpl

        class Curve(Metric):
            values = iter([9.0, 5.0, 6.0, 7.0, 1.0, 8.0, 6.0, 6.5, 3.0, 4.0, 8.0, 8.0, 8.0])
            def measure(self, fake, real):
                return {"curve": Score(next(Curve.values), "lower")}

        @hookimpl
        def ganzoo_metrics():
            return {"curve": "curve:Curve"}
        """,
    )
    settings = {"train.metrics": ["curve"], "train.evaluate_samples": 20, "train.keep": 2}
    options = {"checkpoint_every": 10, "on_collapse": "rollback", "evaluate_every": 10}
    run = train("fc-mnist", 100, "run", settings, **options)
    assert len(alarms(run)) == 1
    there = {int(path.name.removeprefix("step-")) for path in Path("run/checkpoints").iterdir()}
    assert package.load("run", checkpoint="best").step in there
