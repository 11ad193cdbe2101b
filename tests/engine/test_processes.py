"""The processes of a run: a launcher may start one, and scripts that loaders would run again are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY


@pytest.mark.parametrize("variables", [{"RANK": "0", "WORLD_SIZE": "1"}, {"WORLD_SIZE": "8"}, {"RANK": "0"}])
def test_one_process_trains(ganzoo, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 1, "--out", "run").code == 0


SCRIPT = """
import ganzoo

def train():
    settings = {"data.split": "test", "train.cache_on_device": "never", "train.num_workers": 1}
    ganzoo.train("fc-mnist", steps=2, batch_size=16, device="cpu", settings=settings)

"""


def run(script: str) -> subprocess.CompletedProcess:
    Path("script.py").write_text(script)
    return subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)


def test_loaders_of_an_unguarded_script_are_refused_before_anything_is_made(workplace):
    done = run(SCRIPT + "train()\n")
    assert "UsageError: Each loader process (train.num_workers) would run" in done.stderr
    assert "if __name__ == '__main__'" in done.stderr
    assert done.stderr.count("Traceback") == 1
    assert not Path("runs").exists()


def test_a_guarded_script_trains_once(workplace):
    done = run(SCRIPT + "if __name__ == '__main__':\n    train()\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(Path("runs/fc-mnist").iterdir())) == 1


def test_a_script_whose_guard_does_not_work_ends_in_its_loaders(workplace):
    """It cannot be seen in its code, but in the loader process."""
    done = run(SCRIPT + "print(__name__)\ntrain()\n")
    assert "ganzoo: a loader process runs the script again. Put the code" in done.stderr
    assert "A loader process was killed or ended unexpectedly" in done.stderr
    assert len(list(Path("runs/fc-mnist").iterdir())) == 1
