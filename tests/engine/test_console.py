"""A run does not depend on who listens: dead pipes, closed and full consoles, narrow encodings, a closed terminal."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from ganzoo import console
from ganzoo.errors import warn
from ganzoo.runs import records
from tests.conftest import TINY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes and signals")

RUN = [*TINY, "--steps", "60", "--checkpoint-every", "30", "--set", "train.log_every=10", "--out", "run"]


def shell(line: str) -> tuple[list[int], str]:
    """Run a line of bash; return the exit codes of its pipe, and what it wrote to standard error."""
    script = f'ganzoo() {{ "{sys.executable}" -m ganzoo "$@"; }}\n{line}\necho "${{PIPESTATUS[@]}}" >codes'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    return [int(code) for code in Path("codes").read_text().split()], done.stderr


@pytest.mark.parametrize("ears", ["2>&1 | true", "2>&1 | head -n 1", "| true", ">&- 2>&-", "> /dev/full"])
def test_a_run_ends_well_whoever_listens(workplace, ears):
    (code, *_), err = shell(f"ganzoo run fc-mnist {' '.join(RUN)} {ears}")
    assert code == 0
    assert not err
    assert json.loads(Path("run/run.json").read_text())["state"] == "finished"
    assert (Path("run/checkpoints/step-00000060")).is_dir()


def test_the_same_in_python_and_observers_are_not_blamed(workplace):
    script = """
        import ganzoo, os, sys
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        ends = os.pipe()
        os.close(ends[0])
        os.dup2(ends[1], 1)
        settings = {"data.split": "test", "train.log_every": 10}
        ganzoo.train("fc-mnist", steps=60, batch_size=16, out="run", device="cpu", settings=settings)
        print("the script goes on")
    """
    script = "\n".join(line.strip() for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(Path("run/run.json").read_text())["state"] == "finished"


def test_a_terminal_that_disappears_does_not_end_a_run(workplace):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ganzoo", "run", "fc-mnist", *TINY, "--steps", "1500", "--out", "run"]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert os.read(ours, 10)  # it trains, with a bar
    os.close(ours)
    assert process.wait(timeout=100) == 0
    assert json.loads(Path("run/run.json").read_text())["state"] == "finished"


def test_output_that_cannot_be_written_is_an_error_where_it_is_the_result(workplace):
    codes, err = shell("ganzoo list --json > /dev/full")
    assert (codes, err) == ([1], "Error: The output could not be written: No space left on device.\n")
    codes, err = shell("ganzoo list --json | true")
    assert (codes, err) == ([0, 0], "")


def test_a_closed_terminal_saves(workplace):
    command = [sys.executable, "-m", "ganzoo", "run", "fc-mnist", *TINY, "--steps", "1000000", "--out", "run"]
    heed = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # what nohup starts ignores it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP
    assert "Interrupted by SIGHUP at step" in err
    status = json.loads(Path("run/run.json").read_text())
    assert status["state"] == "interrupted"
    assert Path(f"run/checkpoints/step-{status['step']:08d}").is_dir()


def test_a_narrow_console_shows_what_it_can(monkeypatch):
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="latin-1"))
    with console.steady():
        print("Gödel, \u2026")
    assert raw.getvalue() == "Gödel, \\u2026\n".encode("latin-1")


def test_a_warning_never_raises(monkeypatch):
    closed = TextIOWrapper(BytesIO())
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        warn("this is lost")


ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202e"
TOML = json.dumps(ESCAPES)[1:-1]
STRANGE = f"""
[strange]
title = "Nice{TOML}"
summary = "Two\\nlines{TOML}"
data = {{ name = "mnist", split = "test{TOML}" }}
model = "fc"
loss = "hinge{TOML}"
paper = {{ title = "{TOML}" }}
"""


def test_escapes_of_strangers_do_not_reach_the_terminal(ganzoo, install, workplace):
    Path("strange.toml").write_text(STRANGE, encoding="utf-8")
    Path("evidence").mkdir()
    Path("evidence/strange.toml").write_text(f'result = "{TOML}"\n', encoding="utf-8")
    Path("worse.toml").write_text(f'["strange{TOML}"]\n', encoding="utf-8")
    source = "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {!r}"
    install("stranger", source.format(str(Path("strange.toml").resolve())))
    install("worse", source.format(str(Path("worse.toml").resolve())))
    for arguments in (
        ["show", "strange.toml"],
        ["show", "strange"],
        ["run", "strange.toml"],
        ["list"],
        ["show", "worse.toml"],
    ):
        result = ganzoo(*arguments)
        for character in set(ESCAPES) - set("0]2[J;3owned1m"):
            assert character not in result.out + result.err, arguments
    shown = ganzoo("show", "strange.toml").out
    assert "Nice\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\r\\u202e" in shown
    assert "Two\nlines" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "model.width=0x" + "f" * 5000],
        ["--set", "model.width=" + "9" * 5000],
        ["--set", "model.width=" + "[" * 5000 + "]" * 5000],
        ["--set", "model.width=" + "[" * 50 + "]" * 50],
        ["--set", "model." + ".".join("a" * 5000) + "=1"],
        ["--set", "model.width=99999999999999999999"],
        ["--set", "train.seed=99999999999999999999"],
        ["--seed", "9" * 5000],
        ["--seed", "99999999999999999999"],
        ["--steps", "99999999999999999999"],
        ["--epochs", "9" * 400],
        ["--batch-size", "99999999999999999999"],
        ["--set", "optimizer.lr=1e999"],
        ["--data", "x" * 5000],
    ],
)
def test_numbers_and_nesting_without_end_are_mistakes_of_the_user(ganzoo, workplace, arguments):
    result = ganzoo("run", "fc-mnist", *TINY, *arguments, "--out", "run")
    assert result.code == 2, result.err
    assert "bug" not in result.err
    assert not Path("run").exists()


def test_a_number_that_training_measured_twice_is_read_once(tmp_path):
    first = {
        "metric": "fd",
        "value": 1.0,
        "checkpoint": "training",
        "step": 10,
        "n": 100,
        "measured": "1",
        "seconds": 1.0,
    }
    again = {**first, "measured": "2", "seconds": 2.0}
    others = [{**first, "step": 20}, {**first, "n": 200}, {**first, "metric": "kd"}]
    asked = {**first, "checkpoint": "last"}
    records.append(tmp_path, [first, *others, again, asked, asked])
    assert records.read(tmp_path) == [*others, again, asked, asked]
