"""A batch in micro-batches (train.accumulate) is the same batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ganzoo as package
from ganzoo.api import adapt
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.state import TrainingState

SMALL = {"data.split": "test", "train.log_every": 1, "train.sample_count": 2}


def losses(run):
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name.startswith(("loss/", "D("))} for line in lines]


def test_it_gives_the_same_losses(workplace):
    settings = {**SMALL, "optimizer.lr": 1e-3}
    whole, parts = (
        package.train("fc-mnist", steps=20, batch_size=12, device="cpu", out=out, settings={**settings, **more})
        for out, more in (("whole", {}), ("parts", {"train.accumulate": 3}))
    )
    for one, other in zip(losses(whole), losses(parts), strict=True):
        assert other == pytest.approx(one, abs=1e-4)


def test_lazy_penalties_scores_and_turns_without_losses_take_part(workplace):
    settings = {**SMALL, "train.accumulate": 2, "penalties.r1.every": 2}
    options = {"penalties": ["r1"], "augmentations": ["ada"], "steps": 4, "batch_size": 8, "device": "cpu"}
    run = package.train("dcgan-mnist", out="run", settings=settings, **options)
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    assert ["loss/r1" in line for line in lines] == [False, True, False, True]
    assert "augmentation/ada" in lines[0]


def test_noise_that_is_no_latent_is_not_repeated():
    """A pool of images draws its places for each micro-batch anew."""
    zoo = package.Zoo()
    recipe = adapt(zoo.find("cyclegan-mnist"), batch_size=4, accumulate=2, device="cpu", evaluate_every=0)
    state = TrainingState(build(zoo, recipe))
    for step, real in zip(range(1, 11), state.stream.batches(0), strict=False):
        state.train_step(step, real, ScalarBuffer())
        if step == 1:
            assert state.loss.pool.taken.sum() > 2  # two new places for each of the two, unless they meet
    assert state.loss.pool.taken.sum() > 20  # 10 steps with the same two places for both halves fill no more


def test_a_resume_is_exact(workplace):
    settings = {**SMALL, "train.accumulate": 2}
    full = package.train("fc-mnist", steps=4, batch_size=8, device="cpu", out="full", settings=settings)
    package.train("fc-mnist", steps=2, batch_size=8, device="cpu", out="half", settings=settings)
    half = package.resume("half", steps=4)
    mine, theirs = full.model.state_dict(), half.model.state_dict()
    assert all(bool((value == theirs[name]).all()) for name, value in mine.items())


MEMORY = """
import pathlib, sys, ganzoo
settings = {"train.accumulate": int(sys.argv[1]), "train.sample_count": 2}
ganzoo.train("dcgan-emoji", steps=1, batch_size=256, device="cpu", evaluate_every=0, settings=settings)
(peak,) = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak.split()[1])  # not ru_maxrss, which includes that of the process that started this one
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_it_takes_less_memory(workplace):
    peaks = []
    for count in ("1", "8"):
        done = subprocess.run([sys.executable, "-c", MEMORY, count], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) // 1024)  # MiB
    assert peaks[1] < peaks[0] - 200, peaks


def test_a_batch_that_cannot_be_cut_is_refused(ganzoo):
    result = ganzoo("run", "fc-mnist", "--batch-size", 10, "--accumulate", 4, "--out", "run")
    assert result.code == 2
    assert "train.batch_size = 10 cannot be shared by 4 micro-batches (train.accumulate)" in result.err
