"""Each command that ganzoo prints is run as it is printed, in the situation in which it is printed. The folders have
spaces in their names."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
import torch

import ganzoo as package
from ganzoo.export.formats import _reason
from ganzoo.runs import checkpoint
from ganzoo.training.state import TrainingState
from tests.conftest import TINY
from tests.engine.test_resume import picture

RUN = ["run", "fc-mnist", *TINY, "--steps", 4, "--out", "my run"]
PLACEHOLDERS = {"N": "1", "VALUE": "0.5", "SETTING=VALUE": "model.latent_dim=8"}
EXTRA = {"run": ["--steps", "2"], "evaluate": ["-n", "200", "--metrics", "prdc"]}
"""What makes a command fast. It is added to the printed ones."""


def printed(text: str) -> list[str]:
    """Return the commands in a text: each is on a line of its own, or ends one."""
    return re.findall(r"(?:^|: |  )(ganzoo [a-z]+ [^\n]+?)\.?$", text, re.M)


@pytest.fixture
def follow(ganzoo):
    """Run the only command that a text prints, with these words in place of its placeholders."""

    def run(text: str, *extra: object, code: int = 0, **words: str):
        (line,) = printed(text)
        return run.line(line, *extra, code=code, **words)

    def line(command: str, *extra: object, code: int = 0, **words: str):
        _, name, *arguments = shlex.split(command)
        known = PLACEHOLDERS | words
        arguments = [re.sub(r"\b(N|VALUE|FOLDER|OTHER|DIR)$", lambda m: known[m[1]], a) for a in arguments]
        result = ganzoo(name, *arguments, *EXTRA.get(name, []), *extra)
        assert result.code == code, (command, result)
        return result

    run.line = line
    return run


@pytest.fixture
def run(ganzoo, workplace) -> Path:
    """A run of 4 steps in the folder ``my run``."""
    assert ganzoo(*RUN).code == 0
    return Path("my run")


def test_after_a_run(ganzoo, workplace, follow):
    commands = printed(ganzoo(*RUN).out)
    assert [command.split()[1] for command in commands] == ["sample", "evaluate", "resume"]
    for command in commands:
        follow.line(command)
    assert Path("grid.png").is_file()
    assert package.load("my run").step == 625  # --epochs 1


def test_after_a_run_whose_samples_are_no_pictures(ganzoo, workplace, follow, install):
    install(
        "waves",
        """
        import torch
        from ganzoo import TensorDataset, hookimpl

        class Waves(TensorDataset):
            metrics, opens = ("prdc",), ()

            def __init__(self):
                super().__init__({"wave": torch.randn(400, 5)})

        @hookimpl
        def ganzoo_parts():
            return {"datasets": {"waves": "waves:Waves"}}
        """,
    )
    result = ganzoo("run", "fc-mnist", "--data", "waves", "--batch-size", 100, "--steps", 4, "--out", "my run")
    assert result.code == 0, result.err
    for command in printed(result.out):
        follow.line(command)
    assert Path("samples.npz").is_file()


@pytest.mark.parametrize("step", [1, 3])
def test_after_an_interruption(ganzoo, workplace, follow, monkeypatch, step):
    train_step = TrainingState.train_step

    def stopped(self, number, *arguments, **options):
        if number == step:
            signal.raise_signal(signal.SIGTERM)
        train_step(self, number, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "train_step", stopped)
        result = ganzoo(*RUN)
    assert result.code == 128 + signal.SIGTERM
    follow(result.err)
    assert package.load("my run").step == 4


def test_after_an_alarm(ganzoo, workplace, follow, install):
    install(
        "alarming",
        """
        from ganzoo import Alarm, Observer, hookimpl

        class Alarming(Observer):
            def on_tick(self, tick):
                return Alarm("trouble", "Trouble.", fatal=True) if tick.step == 2 else None

        @hookimpl
        def ganzoo_observer(run):
            return Alarming()
        """,
    )
    result = ganzoo(*RUN, "--on-collapse", "stop", "--set", "train.log_every=2")
    assert result.code == 1
    follow(result.err)
    assert package.load("my run").step == 4


def test_where_a_run_is_already(ganzoo, run, follow):
    assert "at step 4" in follow(ganzoo(*RUN).err).err


def test_without_a_checkpoint(ganzoo, run, follow):
    shutil.rmtree(run / "checkpoints")
    status = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**status, "saved": None, "state": "running"}))
    texts = [ganzoo("sample", run).err, ganzoo("run", "fc-mnist", *TINY, "--init", run, "--out", "x").err]
    assert printed(texts[0]) == printed(texts[1]) == ["ganzoo resume 'my run'"]
    follow(texts[0])


def test_when_checkpoints_are_lost(ganzoo, run, follow):
    shutil.rmtree(run / "checkpoints")
    follow(ganzoo("resume", run, "--steps", 8).err)
    assert len(list(Path("runs/fc-mnist").iterdir())) == 1


def test_when_the_weights_to_start_from_are_lost(ganzoo, run, follow):
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 4, "--init", run, "--out", "my second").code == 0
    shutil.rmtree("my second/checkpoints")
    status = json.loads(Path("my second/run.json").read_text())
    Path("my second/run.json").write_text(json.dumps({**status, "saved": None, "state": "running"}))
    assert "Initialized" in follow(ganzoo("resume", "my second").err).err


def test_for_a_setting_that_cannot_change(ganzoo, run, follow):
    result = ganzoo("resume", run, "--set", "train.ema=0.5")
    assert result.code == 2
    assert "Initialized" in follow(result.err).err


def test_when_the_data_were_moved(ganzoo, workplace, follow, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    for number in range(8):
        picture(Path(f"my pictures/{number}.png"), number)
    extra = ["--set", "data.size=16", "--batch-size", 4, "--steps", 4, "--device", "cpu", "--out", "my run"]
    assert ganzoo("run", "fc-mnist", "--data", "my pictures", *extra).code == 0
    Path("my pictures").rename("moved")
    follow(ganzoo("resume", "my run", "--steps", 8).err, "--steps", 8, FOLDER="moved")
    assert package.load("my run").step == 8


def test_in_tables_and_reports(ganzoo, run, follow):
    follow(ganzoo("compare", run).out)
    shutil.copytree(run, "my second")
    Path("my second/evaluations.jsonl").unlink()
    assert ganzoo("report", run, "my second", "-o", "my page.html").code == 0
    page = Path("my page.html").read_text().replace("&#39;", "'")
    commands = re.findall(r"^(?:<pre>)?(ganzoo (?:run|report) [^<\n]*)", page, re.M)
    commands += re.findall("<code>(ganzoo evaluate [^<]*)</code>", page)
    assert len(commands) == 4
    for command in commands:
        follow.line(command)


def test_about_a_recipe_file(ganzoo, run, follow):
    shutil.copy(run / "recipe.toml", "my recipe.toml")
    commands = printed(ganzoo("show", "my recipe.toml").out)
    assert len(commands) == 3
    for command in commands:
        follow.line(
            command
        ) if "--epochs" not in command else None  # epochs and the --steps of this test exclude another
    assert "model.latent_dim" in ganzoo("show", "my recipe.toml").out


def test_of_sets(ganzoo, run, follow, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").absolute()))
    for number in range(210):
        picture(Path(f"my pictures/{number:03d}.png"), number)
    follow(ganzoo("evaluate", "my pictures").err, OTHER="my pictures")
    saved = ganzoo("evaluate", run, "--save-stats", "my features.safetensors", "--metrics", "prdc", "-n", 200)
    follow(saved.out, DIR="my run")


# --- a checkpoint that is shared -------------------------------------------------------------------------------------


def test_a_checkpoint_without_its_training_state_can_be_sampled_from_but_not_resumed(ganzoo, run, follow):
    complete = package.load(run)
    before, shared = complete.sample(4), next(checkpoint.saved(run / "checkpoints"))
    (shared / "training.safetensors").unlink()
    assert torch.equal(package.load(run).sample(4), before)
    assert ganzoo("evaluate", run, "-n", 200, "--metrics", "prdc").code == 0
    result = ganzoo("resume", run, "--steps", 8)
    assert (result.code, "has no training state" in result.err) == (2, True)
    assert "Initialized" in follow(result.err).err
    (shared / "weights.safetensors").unlink()
    assert "its files are not those listed" in ganzoo("sample", run).err


# --- errors of exporters ---------------------------------------------------------------------------------------------


def test_an_export_that_fails_says_why_without_the_graph():
    text = "Could not guard on data-dependent expression u0 > 5\n\nCaused by: x\ngraph():\n    %z : [num_users=1] = ..."
    assert _reason(RuntimeError(text)) == "RuntimeError: Could not guard on data-dependent expression u0 > 5"
    long = _reason(ValueError("words " * 200))
    assert (len(long) <= 300, long.endswith(" words ...")) == (True, True)


def test_short_runs_are_counted_in_steps(ganzoo, workplace):
    out = ganzoo(*RUN).out
    assert "\n4 steps (an epoch has 625), in my run\n" in out
    assert "\nstep 4  loss discriminator" in out
    assert "epochs" not in out.partition("\nDone")[0]
