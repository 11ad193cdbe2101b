"""What strangers do: odd plugins, odd files, odd settings. Each is refused in words, before anything is written."""

import json
import re
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch

import ganzoo as package
from ganzoo import UsageError
from ganzoo.zoo import Zoo
from ganzoo.runs import checkpoint
from tests.conftest import TINY

HEAD = """
import torch
from torch import nn
from ganzoo import AdversarialLoss, Data, Field, Loss, Model, TensorData, Terms, Turn
from ganzoo_fc.model import FullyConnected
from ganzoo_losses.non_saturating import NonSaturating
"""

ODD = {
    "a turn that never comes": (
        "loss",
        "def turns(self): return [Turn('generator', None, every=0)]",
        "every = 1 or more",
    ),
    "no turns": ("loss", "def turns(self): return []", "must have turns"),
    "turns that fail": ("loss", "def turns(self): raise RuntimeError('no turns today')", "no turns today"),
    "turns that are nothing": ("loss", "def turns(self): return None", "TypeError"),
    "a loss that is no scalar": ("loss", "def generator(self, fake, real): return fake", "scalar"),
    "a loss that is no tensor": ("loss", "def generator(self, fake, real): return 1.0", "AttributeError"),
    "a watched number": ("loss", "def watch(self, real, fake): return {'x': 1.0}", "AttributeError"),
    "a watched step": ("loss", "def watch(self, real, fake): return {'step': real.mean()}", "cannot be called 'step'"),
    "a latent that fails": ("model", "def latent(self, n, rng): raise RuntimeError('no noise')", "no noise"),
    "another shape": ("model", "def generate(self, latent): return latent['z']", "generates samples of shape (126,)"),
    "no preview": ("model", "def preview(self, fixed): return None", "AttributeError"),
    "a missing network": ("model", "players = {'discriminator': ('nose',), 'generator': ('generator',)}", "nose"),
    "an unknown field": ("model", "needs = ('mask',)", "'mask'"),
    "a constructor that says no": ("model", "def __init__(self, fields): raise ValueError('32x32 only')", "32x32 only"),
    "an endless default": ("model", "def __init__(self, fields, *, a: float = float('inf')): pass", "not finite"),
    "an option called name": ("model", "def __init__(self, fields, *, name: str = 'x'): pass", "rename it"),
    "an option without a type": ("model", "def __init__(self, fields, *, depth=3): pass", "no type annotation"),
    "an option of an unknown type": (
        "model",
        "def __init__(self, fields, *, depth: 'Depth' = 3): pass",
        "cannot be read",
    ),
}
DATA = {
    "no examples": ("def __init__(self): super().__init__({'image': torch.zeros(0, 1, 4, 4)})", "no examples"),
    "no fields": ("def __init__(self): super().__init__({'a': torch.zeros(3)}); self.fields = {}", "no fields"),
    "doubles": ("def __init__(self): super().__init__({'point': torch.zeros(90, 2, dtype=torch.float64)})", "dtype"),
    "a lie about its fields": (
        "def __init__(self): super().__init__({'a': torch.zeros(90, 2)}); self.fields = {'b': Field((2,))}", "KeyError"
    ),
}  # fmt: skip


def install_odd(install, monkeypatch, kind: str, trunk: str) -> None:
    base = {"loss": "NonSaturating", "model": "FullyConnected", "data": "TensorData"}[kind]
    hook = {"loss": "losses", "model": "models", "data": "data"}[kind]
    source = HEAD + f"class Odd({base}):\n    " + trunk + "\n"
    path = install(
        "odd", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_{hook}(): return {{'odd': 'odd_parts:Odd'}}"
    )
    path.with_name("odd_parts.py").write_text(source)
    monkeypatch.delitem(sys.modules, "odd_parts", raising=False)


@pytest.mark.parametrize("case", [*ODD, *DATA])
def test_odd_parts_are_refused_before_anything_is_written(ganzoo, workplace, install, monkeypatch, case):
    kind, trunk, message = ODD[case] if case in ODD else ("data", *DATA[case])
    install_odd(install, monkeypatch, kind, trunk)
    data = [] if kind == "data" else ["--set", "data.split=test"]
    result = ganzoo("run", "fc-mnist", *data, "--steps", 3, f"--{kind}", "odd", "--out", "run", "--device", "cpu")
    assert result.code == 2, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(workplace.iterdir())


def test_a_rehearsal_leaves_no_trace(workplace):
    from ganzoo.training.experiment import build
    from ganzoo.training.trainer import Training
    from ganzoo.training.dry_run import dry_run

    training = Training(build(Zoo(), Zoo().recipe("fc-mnist").with_setting("data.split", "test")))
    before = [
        {k: v.clone() for k, v in training.model.state_dict().items()},
        training.rng.get_state(),
        torch.get_rng_state(),
    ]
    dry_run(training)
    assert all(torch.equal(value, before[0][name]) for name, value in training.model.state_dict().items())
    assert torch.equal(training.rng.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(parameter.grad is None for parameter in training.model.parameters())


# --- plugins in odd shape -------------------------------------------------------------------------------------------


def test_a_second_entry_point_of_one_module_leaves_the_first_alone(ganzoo, install):
    path = install("copycat", "", plugin="again")
    (path.parent / "copycat-1.0.dist-info/entry_points.txt").write_text("[ganzoo]\nagain = ganzoo_fc_mnist\n")
    text = ganzoo("list").out
    assert "again (of copycat 1.0): it names the module 'ganzoo_fc_mnist'" in text
    assert re.search("fc-mnist +unconditional", text)
    assert Zoo().part("models", "fc").plugin.distribution == "torch-ganzoo"


def test_nobody_takes_the_name_of_a_plugin_of_the_house(ganzoo, install):
    install("a-usurper", "", plugin="fc-mnist")
    text = ganzoo("list").out
    assert "fc-mnist (of a-usurper 1.0): its name is taken" in text
    assert re.search("fc-mnist +unconditional", text)


@pytest.mark.parametrize(
    ("file", "content"),
    [("METADATA", None), ("entry_points.txt", "[ganzoo]\nhg\n"), ("entry_points.txt", "[ganzoo\n= =")],
)
def test_broken_metadata_of_others_harm_nothing(ganzoo, install, file, content):
    path = install("halfgone", "")
    target = path.parent / "halfgone-1.0.dist-info" / file
    if content is None:
        target.unlink()
    else:
        target.write_text(content)
    result = ganzoo("list")
    assert result.code == 0, result.err
    assert re.search("fc-mnist +unconditional", result.out)


def test_a_part_or_command_that_exits_is_only_broken(ganzoo, install):
    path = install(
        "quitter",
        """
        from ganzoo import hookimpl
        @hookimpl
        def ganzoo_models(): return {"quit": "quitter_parts:Model"}
        @hookimpl
        def ganzoo_commands(): return {"quit": "quitter_parts:command", "run": "quitter_parts:command"}
        """,
    )
    path.with_name("quitter_parts.py").write_text("import sys\nsys.exit('bye')\n")
    text = ganzoo("--help")
    assert text.code == 0
    assert "(broken)" in text.out
    result = ganzoo("run", "fc-mnist", "--model", "quit")
    assert result.code == 1
    assert "SystemExit: bye" in result.err
    assert "the command 'run' is ganzoo's own" in ganzoo("list").out
    assert ganzoo("quit").code == 1


def test_a_forgotten_return_and_a_relative_registry_are_reported(ganzoo, install):
    install("forgetful", "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_models(): {'a': 'b:c'}")
    install("here", "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return 'registry.toml'")
    text = ganzoo("list").out
    assert "ganzoo_models returned nothing" in text
    assert "must return an absolute path" in text


def test_a_strangers_recipe_of_our_name_can_be_told_apart(ganzoo, install, tmp_path):
    registry = tmp_path / "registry.toml"
    registry.write_text('[fc-mnist]\ntitle = "theirs"\ndata = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n')
    install("rival", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {str(registry)!r}")
    result = ganzoo("run", "fc-mnist")
    assert result.code == 2
    assert "fc-mnist/fc-mnist or rival/fc-mnist" in result.err
    assert Zoo().recipe("rival/fc-mnist").title == "theirs"
    assert ganzoo("run", "fc-mnist/fc-mnist", *TINY, "--steps", 2, "--out", "run").code == 0


# --- run directories in odd shape -----------------------------------------------------------------------------------


def test_resume_minds_its_own_files_only(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 20, "--checkpoint-every", 10, "--out", "run")
    run = workplace / "run"
    (run / "samples/my-photo.png").write_text("mine")
    (run / ".mine.tmp").mkdir()
    (run / "checkpoints/step-99999999").write_text("a file")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('garbage\n[1]\n{"no": "step"}\n{"step": 20, "cut')
    (run / "run.json").write_text("{")
    result = ganzoo("resume", "run", "--steps", 30)
    assert result.code == 0, result.err
    assert (run / "samples/my-photo.png").read_text() == "mine"
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [10, 20, 30]


def test_going_on_from_an_older_checkpoint_keeps_what_it_saves(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 40, "--checkpoint-every", 10, "--out", "run", "--set", "train.keep=3")
    recipe = workplace / "run/recipe.toml"
    recipe.write_text(recipe.read_text().replace("keep = 3", "keep = 1"))
    for step in (30, 40):
        (workplace / f"run/checkpoints/step-000000{step}/state.json").write_text("{}")
    result = ganzoo("resume", "run", "--steps", 25)
    assert result.code == 0, result.err
    assert [path.name for path in checkpoint.saved(workplace / "run/checkpoints")] == ["step-00000025"]
    assert ganzoo("resume", "run", "--steps", 30).code == 0


def test_a_sum_that_was_taken_out_is_noticed(workplace):
    settings = {"data.split": "test", "train.ema": 0.9}
    package.train("fc-mnist", steps=5, batch_size=16, settings=settings, out="run")
    sums = next(Path("run/checkpoints").glob("*/SHA256SUMS"))
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "average" not in line))
    with pytest.raises(package.GanzooError, match="No checkpoint of run is whole"):
        package.load("run")


def test_a_recipe_that_was_changed_is_not_gone_on_with(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    recipe = workplace / "run/recipe.toml"
    recipe.write_text(recipe.read_text().replace("lr = 0.0003", "lr = 0.5"))
    result = ganzoo("resume", "run", "--steps", 9)
    assert result.code == 2
    assert "other settings of 'optimizer'" in result.err


def test_two_processes_cannot_begin_in_one_directory(workplace):
    from ganzoo.runs.directory import RunDirectory

    recipe = Zoo().recipe("fc-mnist")
    with (
        RunDirectory.create(Path("run"), recipe),
        pytest.raises(package.GanzooError),
        RunDirectory.create(Path("run"), recipe),
    ):
        pass


# --- settings from Python -------------------------------------------------------------------------------------------


def test_settings_are_taken_as_they_are_meant(workplace):
    recipe = Zoo().recipe("fc-mnist")
    settings = {"data.split": "test", "model.latent_dim": np.int64(5), "optimizer.lr": np.float32(0.5)}
    run = package.train(
        "fc-mnist", steps=2, device=torch.device("cpu"), settings={**settings, "optimizer.name": "sgd"}, out="run"
    )
    assert run.recipe.model.settings["latent_dim"] == 5
    assert run.recipe.optimizer["lr"] == 0.5
    for changed in (
        recipe.with_setting("optimizer.generator.lr", 0.1).with_setting("optimizer.lr", 0.2),
        recipe.with_setting("optimizer.generator.betas", [0.1, 0.2]).with_setting("optimizer.generator.name", "sgd"),
        recipe.with_setting("train.steps", 4).with_setting("train.epochs", 3),
    ):
        assert "steps" not in changed.train
        assert changed.optimizer.get("generator", {}) in ({}, {"name": "sgd"})
    for bad in ({"model.latent_dim": None}, {3: 4}, {"model.slope": object()}):
        with pytest.raises(UsageError):
            package.train("fc-mnist", steps=2, settings=bad)
    for wrong in ({"data": 3}, {"epochs": "3"}, {"seed": -1}):
        with pytest.raises(UsageError):
            package.train("fc-mnist", **wrong)
    with pytest.raises(UsageError, match="ask for 1 or more"):
        run.sample(0)


def test_annotations_that_only_type_checkers_see_are_no_matter(install, workplace):
    path = install(
        "lazy", "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_models(): return {'lazy': 'lazy_parts:Lazy'}"
    )
    path.with_name("lazy_parts.py").write_text(
        dedent(
            """
            from __future__ import annotations
            from pathlib import Path
            from typing import TYPE_CHECKING
            from ganzoo_fc.model import FullyConnected
            if TYPE_CHECKING:
                from collections.abc import Mapping

            class Lazy(FullyConnected):
                def __init__(self, fields: Mapping[str, object], *, where: Path = Path("x"),
                             maybe: int | None = None, model_dump: int = 1) -> None:
                    super().__init__(fields)
            """
        )
    )
    package.train(
        "fc-mnist", steps=2, model="lazy", settings={"data.split": "test", "model.where": Path("y")}, out="run"
    )
    assert package.load("run").recipe.model.settings["where"] == "y"
