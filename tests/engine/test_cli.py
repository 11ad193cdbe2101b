"""The command line as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganzoo as package
from ganzoo import TrainOptions
from ganzoo.parts import BUILTIN_COMMANDS
from ganzoo.training.state import TrainingState
from tests.conftest import TINY


def test_list_does_not_import_torch():
    code = (
        "import sys; from ganzoo.cli import invoke; assert invoke(['list']) == 0;"
        "heavy = {'torch', 'numpy', 'pydantic', 'tensorboard', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "fc-mnist" in result.stdout


def test_list_prints_json(ganzoo):
    listed = json.loads(ganzoo("list", "--json").out)
    entry = next(row for row in listed if row["name"] == "fc-mnist")
    assert (
        entry.items()
        >= {
            "task": "unconditional",
            "data": "mnist",
            "model": "fc",
            "loss": "non-saturating",
            "plugin": "fc",
            "distribution": "torch-ganzoo",
            "version": package.__version__,
        }.items()
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("datasets", "mnist"), ("models", "fc"), ("losses", "non-saturating"), ("penalties", "r1")],
        *[("metrics", "prdc"), ("extractors", "mnist"), ("commands", "report"), ("plugins", "tensorboard")],
    ],
)
def test_list_shows_parts_of_each_kind(ganzoo, kind, name):
    result = ganzoo("list", "--kind", kind)
    assert result.code == 0
    assert name in result.out
    assert "torch-ganzoo" in result.out
    assert json.loads(ganzoo("list", "--kind", kind, "--json").out)


def test_show_explains_every_setting(ganzoo):
    result = ganzoo("show", "fc-mnist")
    assert result.code == 0
    for expected in (
        "Goodfellow",
        "arxiv.org/abs/1406.2661",
        "-log D(G(z))",
        "model.latent_dim",
        "126",
        "data.split",
        "loss.n_critic",
        "optimizer.lr",
        "0.0003",
        "train.epochs",
        "500",
        "ganzoo run fc-mnist",
    ):
        assert expected in result.out, expected


def test_a_run_prints_and_writes_what_the_documentation_promises(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", *TINY, "--epochs", 1, "--seed", 3)
    assert result.code == 0, result.err
    (run,) = (workplace / "runs/fc-mnist").iterdir()
    name = str(run.relative_to(workplace))
    assert "Epoch [1/1]  step 625  loss discriminator" in result.out
    assert "D(G(z))" in result.out
    assert "examples/s" in result.out
    for command in (f"ganzoo sample {name}", f"ganzoo resume {name}", "tensorboard --logdir runs"):
        assert command in result.out
    status = json.loads((run / "run.json").read_text())
    assert (status["state"], status["step"], status["seed"], status["device"]) == ("finished", 625, 3, "cpu")
    assert status["versions"]["torch"] == torch.__version__.split("+")[0]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [100, 200, 300, 400, 500, 600, 625]
    assert {"epoch", "seconds", "examples_per_second", "loss/discriminator", "loss/generator", "D(x)"} <= lines[
        0
    ].keys()
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "fake-00000000.png",
        "fake-00000625.png",
        "real-00000000.png",
    ]
    picture = np.asarray(Image.open(run / "samples/fake-00000625.png"))
    assert picture.std() > 20

    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    assert {"images/real", "images/fake"} <= set(events.Tags()["images"])
    scalars = set(events.Tags()["scalars"])
    assert {"loss/discriminator", "loss/generator", "speed/examples_per_second"} <= scalars
    assert any("D(x)" in tag or "D_x_" in tag for tag in scalars)
    assert [event.step for event in events.Images("images/fake")] == [0, 625]
    logged = [event.value for event in events.Scalars("loss/generator")]
    np.testing.assert_allclose(logged, [line["loss/generator"] for line in lines], rtol=1e-6)


def test_the_saved_recipe_reproduces_the_run(ganzoo, workplace):
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 20, "--set", "model.latent_dim=9", "--out", "a").code == 0
    assert ganzoo("run", "a/recipe.toml", "--out", "b").code == 0
    assert (workplace / "a/recipe.toml").read_text() == (workplace / "b/recipe.toml").read_text()
    one, two = (package.load(name).model.state_dict() for name in "ab")
    assert one["generator.0.weight"].shape == (256, 9)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_samples_are_written_in_every_format(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    expected = package.load("run").sample(10, seed=4)
    assert (expected.shape, expected.dtype) == ((10, 1, 28, 28), torch.float32)
    assert -1 <= expected.min() < expected.max() <= 1
    for out in ("grid.png", "x.pt", "x.npz", "X.NPZ", "folder"):
        result = ganzoo("sample", "run", "-n", 10, "--seed", 4, "-o", out, "--device", "cpu")
        assert result.code == 0, result.err
        assert out in result.out
    assert torch.equal(torch.load("x.pt", weights_only=True), expected)
    assert all(np.array_equal(np.load(name)["samples"], expected.numpy()) for name in ("x.npz", "X.NPZ"))
    assert len(list(Path("folder").glob("*.png"))) == 10
    assert Image.open("grid.png").size == (8 * 30 + 2, 2 * 30 + 2)
    assert ganzoo("sample", "run").code == 0
    assert Path("run/grid.png").exists()


def test_samples_that_cannot_be_drawn_are_refused(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    Path("full/x.png").mkdir(parents=True)
    Path("full/file").touch()
    for arguments, message in (
        (["nowhere"], "nowhere does not exist"),
        (["full"], "no recipe.toml"),
        (["run", "-o", "x.jpeg"], "give a .png, .pt or .npz file"),
        (["run", "-o", "missing/x.png"], "folder missing"),
        (["run", "-o", "full"], "not an empty folder"),
        (["run", "-o", "full/file/in"], "full/file is a file"),
        (["run", "-o", "full/x.png"], "full/x.png is a folder"),
        (["run", "-n", "0"], "-n"),
        (["run", "--checkpoint", "3"], "has no checkpoint of step 3; available: 5"),
        (["run", "--device", "tpu"], "Unknown device 'tpu'"),
        (["run/run.json"], "is a file"),
    ):
        result = ganzoo("sample", *arguments)
        assert result.code == 2, result
        assert message in result.err
        assert "Traceback" not in result.err


def test_a_finished_run_resumes_to_a_larger_number_of_steps_only(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 20, "--out", "run")
    assert "run is finished, at step 20. Give more" in ganzoo("resume", "run").err
    result = ganzoo("resume", "run", "--steps", 10)
    assert result.code == 2
    assert "is already at step 20, past the requested 10" in result.err
    assert ganzoo("resume", "run", "--steps", 30).code == 0
    assert json.loads(Path("run/run.json").read_text())["step"] == 30
    steps = [json.loads(line)["step"] for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert steps == [20, 30]
    result = ganzoo("resume", "elsewhere")
    assert result.code == 2
    assert "does not exist" in result.err


def test_a_directory_that_is_not_empty_is_not_touched(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    result = ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    assert result.code == 2
    assert "ganzoo resume run" in result.err
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    assert "not empty" in ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "mine").err
    assert before == {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "fc-mnits"], "Did you mean 'fc-mnist'?"),
        (["rum", "fc-mnist"], "Did you mean 'run'?"),
        (["show", "fc-mnits"], "Did you mean 'fc-mnist'?"),
        (["run", "fc-mnist", "--epoch", "3"], "--epochs"),
        (["run", "fc-mnist", "--model", "fcc"], "Did you mean 'fc'?"),
        (["run", "fc-mnist", "--loss", "nonsaturating"], "Did you mean 'non-saturating'?"),
        (["run", "fc-mnist", "--data", "mnits"], "Did you mean 'mnist'?"),
        (["run", "fc-mnist", "--set", "model.latent=3"], "Did you mean 'model.latent_dim'?"),
        (["run", "fc-mnist", "--set", "modle.latent_dim=3"], "Did you mean 'model'?"),
        (["run", "fc-mnist", "--set", "model.latent_dim=0"], "greater than or equal to 1"),
        (["run", "fc-mnist", "--set", "model.latent_dim=big"], "model.latent_dim = 'big'"),
        (["run", "fc-mnist", "--set", "model.latent_dim=true"], "model.latent_dim = True"),
        (["run", "fc-mnist", "--set", "optimizer.lr=nan"], "optimizer.lr"),
        (["run", "fc-mnist", "--set", "optimizer.name=adan"], "Did you mean 'adam'?"),
        (["run", "fc-mnist", "--set", "optimizer.generater.lr=1"], "Did you mean 'generator'?"),
        (["run", "fc-mnist", "--set", "train.epochs"], "PATH=VALUE"),
        (["run", "fc-mnist", "--set", "train=3"], "train.NAME=VALUE"),
        (["run", "fc-mnist", "--epochs", "2", "--steps", "3"], "not both"),
        (["run", "fc-mnist", "--batch-size", "70000"], "60000 examples"),
        (["run", "fc-mnist", "--device", "gpu"], "Unknown device 'gpu'"),
        (["run", "fc-mnist", "--device", "cpu:1"], "Unknown device 'cpu:1'"),
        (["run", "fc-mnist", "--device", "cuda:x"], "train.device = 'cuda:x'"),
        (["run", "fc-mnist", "--device", "cuda:99"], "Device 'cuda:99' is not available"),
        (["run", "fc-mnist", "--set", "optimizer.betas=[2, 3]"], "optimizer.betas.0 = 2"),
        (["sample", "nowhere", "--device", "tpu"], "nowhere does not exist"),
        (["run", "./none.toml"], "none.toml"),
    ],
)
def test_mistyped_arguments_are_explained_and_nothing_is_written(ganzoo, workplace, arguments, message):
    result = ganzoo(*arguments)
    assert result.code == 2, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert list(workplace.iterdir()) == []


def test_debug_shows_the_traceback(ganzoo):
    for arguments in (["--debug", "run", "nope"], ["run", "nope", "--debug"]):
        result = ganzoo(*arguments)
        assert result.code == 2
        assert "Traceback" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_says_how_to_continue(ganzoo, workplace, number):
    command = [sys.executable, "-m", "ganzoo", "run", "fc-mnist", *TINY, "--epochs", "50", "--out", "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Background jobs of a shell ignore SIGINT, and their children inherit that.
    process = subprocess.Popen(command, **pipes, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    while not Path("run/metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Continue with: ganzoo resume run" in err
    assert "Traceback" not in err
    status = json.loads(Path("run/run.json").read_text())
    assert status["state"] == "interrupted"
    assert Path(f"run/checkpoints/step-{status['step']:08d}").is_dir()
    goal = status["step"] + 20
    assert ganzoo("resume", "run", "--steps", goal).code == 0
    undisturbed = package.train(
        "fc-mnist", steps=goal, batch_size=16, device="cpu", settings={"data.split": "test"}, out="undisturbed"
    )
    ours = package.load("run").model.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in undisturbed.model.state_dict().items())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_second_signal_stops_immediately_without_saving(ganzoo, workplace, monkeypatch):
    clock, train_step = iter((0.0, 1.5)), TrainingState.train_step

    def interrupted(self, step, *arguments, **options):
        if step == 7:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # more than a second later
        train_step(self, step, *arguments, **options)

    monkeypatch.setattr("ganzoo.training.signals.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(TrainingState, "train_step", interrupted)
    result = ganzoo("run", "fc-mnist", *TINY, "--steps", 20, "--checkpoint-every", 5, "--out", "run")
    reason = (
        "a second signal, in step 7; that step was not saved. The newest checkpoint is run/checkpoints/step-00000005."
    )
    assert result.code == 130
    assert result.err.strip() == f"Interrupted by {reason} Continue with: ganzoo resume run"
    status = json.loads(Path("run/run.json").read_text())
    assert (status["state"], status["reason"], status["step"]) == ("interrupted", reason, 6)
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ["step-00000005"]


def test_a_terminal_shows_a_live_bar(workplace):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ganzoo", "run", "fc-mnist", *TINY, "--epochs", "1", "--out", "run"]
    process = subprocess.Popen(
        command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # on Linux: the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert process.wait(timeout=60) == 0
    text = shown.decode(errors="replace")
    for expected in ("epoch 1/1", "100%", "D(x)", "examples/s", "Done: step 625"):
        assert expected in text, expected


def test_help_names_every_option(ganzoo):
    text = ganzoo("--help").out
    for name in (*BUILTIN_COMMANDS, "report"):
        assert name in text
    text = ganzoo("run", "--help").out
    for name in (*TrainOptions.__annotations__, "out", "debug"):
        option = {"penalties": "penalty", "augmentations": "augmentation", "settings": "set"}.get(name, name)
        assert f"--{option.replace('_', '-')}" in text
