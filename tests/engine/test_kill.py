"""SIGKILL at any moment loses only the steps since the last checkpoint, and ``resume`` just works."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.runs import checkpoint
from tests.conftest import TINY

KILLS = 20
STEPS = 6000
SAVING = ["--checkpoint-every", "25", "--set", "train.log_every=25"]  # about half the time is spent saving


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ganzoo", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def everything(folder: Path) -> list[str]:
    """Return what a run directory holds, except the event files, which are named by time and process."""
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return sorted(path for path in paths if not path.startswith("events.out.tfevents."))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_run_that_was_killed_twenty_times_ends_like_an_undisturbed_one(workplace):
    chance = random.Random(7)
    folder = Path("killed")
    kills, reached = 0, 0
    while kills < KILLS:
        new = not (folder / "recipe.toml").exists()
        length = ["--epochs", str(STEPS // 625)] if new else []  # 10,000 digits in batches of 16 are 625 steps
        process = (
            start("run", "fc-mnist", *TINY, *SAVING, *length, "--out", "killed") if new else start("resume", "killed")
        )
        if not new and chance.random() < 0.2:
            time.sleep(chance.uniform(0, 3))  # at any moment during startup
        else:
            assert process.stdout.readline(), process.stderr.read()  # it is about to train
            time.sleep(chance.uniform(0, 1))  # the first checkpoint comes after about 0.4 seconds
        process.kill()
        _, err = process.communicate()
        assert "Traceback" not in err
        assert "Error" not in err, err
        kills += process.returncode == -9
        if process.returncode == 0:  # faster than the kill
            pytest.fail("the run ended before it was killed 20 times; raise STEPS")
        saved = [checkpoint.load(path).step for path in checkpoint.saved(folder / "checkpoints")]  # each is valid
        assert max(saved, default=0) >= reached
        reached = max(saved, default=0)
    assert reached > 0

    process = start("resume", "killed", "--epochs", str(STEPS // 625))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    undisturbed = ganzoo.train(
        "fc-mnist",
        epochs=STEPS // 625,
        batch_size=16,
        device="cpu",
        checkpoint_every=25,
        out="undisturbed",
        settings={"data.split": "test", "train.log_every": 25},
    )
    killed = ganzoo.load("killed")
    assert killed.step == undisturbed.step
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(killed.model.state_dict()[name], value), name
    assert everything(folder) == everything(Path("undisturbed"))
    timed = ("seconds", "examples_per_second")
    ours, theirs = (
        [{k: v for k, v in line.items() if k not in timed} for line in r.metrics()] for r in (killed, undisturbed)
    )
    assert ours == theirs
