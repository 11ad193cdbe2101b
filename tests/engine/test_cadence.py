"""Ticks average full intervals, wherever epochs, checkpoints and stops lie. Pictures are far enough apart."""

import math
import signal
from pathlib import Path

import pytest

import ganzoo as package
from ganzoo.errors import Interrupted
from ganzoo.runs.directory import RunDirectory
from ganzoo.training.cadence import Cadence
from ganzoo.training.settings import TrainSettings
from ganzoo.training.state import TrainingState

SMALL = {"data.examples": 128, "train.log_every": 10, "train.sample_min_steps": 25, "train.sample_count": 8}
SMALL |= {"train.evaluate_every": 0, "train.metrics": ["fd-raw"]}
"""An epoch has 4 steps."""


def train(out, steps=60, **changes):
    settings = {**SMALL, **changes}
    return package.train("fc-ring8", steps=steps, batch_size=32, device="cpu", out=out, settings=settings)


def lines(run):
    """The ticks without the times."""
    return [{k: v for k, v in line.items() if k not in ("seconds", "examples_per_second")} for line in run.metrics()]


def test_a_tick_is_the_mean_over_a_full_interval(workplace):
    each, coarse = train("each", **{"train.log_every": 1}), train("coarse")
    assert [line["step"] for line in coarse.metrics()] == [10, 20, 30, 40, 50, 60]
    for line in coarse.metrics():
        within = [one for one in each.metrics() if line["step"] - 10 < one["step"] <= line["step"]]
        assert len(within) == 10
        for name in ("loss/generator", "loss/discriminator", "D(x)"):
            assert line[name] == pytest.approx(math.fsum(one[name] for one in within) / 10, rel=1e-12)
        assert line["gradient/generator"] == within[-1]["gradient/generator"]


def test_checkpoints_and_evaluations_do_not_cut_an_interval(workplace):
    plain, cut = train("plain"), train("cut", **{"train.checkpoint_every": 7, "train.evaluate_every": 13})
    found = lines(cut)
    measured = {line["step"]: line.pop("metric/fd-raw", None) for line in found}
    assert found == lines(plain)
    assert [step for step, value in measured.items() if value] == [20, 30, 40, 60]  # after 13, 26, 39, 52 and 60
    assert [record["step"] for record in cut.evaluations() if record["metric"] == "fd-raw"] == [13, 26, 39, 52, 60]


@pytest.mark.parametrize("step", [13, 20, 31])
def test_a_stop_does_not_cut_an_interval(workplace, monkeypatch, step):
    undisturbed, train_step = train("undisturbed"), TrainingState.train_step

    def stopped(self, number, *arguments, **options):
        if number == step:
            signal.raise_signal(signal.SIGTERM)
        train_step(self, number, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "train_step", stopped)
        with pytest.raises(Interrupted):
            train("run")
    assert RunDirectory(Path("run")).status["step"] == step
    assert lines(package.resume("run")) == lines(undisturbed)


def test_a_small_dataset_that_is_trained_for_long_writes_little(workplace, capsys):
    run = train("run", steps=300)
    steps = sorted(set(RunDirectory(run.directory).picture_steps()))
    assert steps == [0, 30, 60, 90, 120, 140, 170, 200, 230, 260, 280, 300]
    assert sum("health/diversity" in line for line in run.metrics()) == 11
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch [")]
    assert len(printed) == len(run.metrics()) == 30
    assert printed[0].startswith("Epoch [2/75]  step 10  loss discriminator")


def cadence(per_epoch, total, **settings):
    return Cadence(TrainSettings(**settings), per_epoch, total)


@pytest.mark.parametrize(
    ("settings", "per_epoch", "expected"),
    [
        ({}, 1875, [1900, 3800, 5000]),  # after one and two epochs of MNIST, and at the end
        ({"sample_every": 2}, 937, [1900, 3800, 5000]),
        ({"sample_min_steps": 2000}, 937, [2900, 5000]),  # three epochs are more than 2,000 steps
        ({"log_every": 3000}, 10, [3000, 5000]),  # pictures come with ticks
        ({}, 1, list(range(500, 5001, 500))),
        ({"sample_min_steps": 1, "log_every": 1000}, 1, [1000, 2000, 3000, 4000, 5000]),
        ({}, 10**6, [5000]),
    ],
)
def test_pictures_come_with_the_first_tick_after_their_period(settings, per_epoch, expected):
    due = cadence(per_epoch, 5000, **settings)
    assert [step for step in range(1, 5001) if due.pictures(step)] == expected


def test_nothing_is_due_between_the_steps_that_next_due_names():
    due = cadence(7, 1000, log_every=30, checkpoint_every=70, evaluate_every=110, sample_min_steps=50)
    named, step = [], 0
    while step < 1000:
        named.append(step := due.next_due(step))
    for step in range(1, 1001):
        something = due.tick(step) or due.pictures(step) or due.evaluation(step) or due.checkpoint(step)
        assert something == (step in named), step
    assert cadence(7, 1000).evaluation(1000) is False  # there are none
