"""Odd plugins, odd files and odd settings are refused with an explanation, before anything is written."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

import ganzoo as package
from ganzoo.parts import KINDS
from ganzoo.runs import checkpoint
from ganzoo.zoo import Zoo
from tests.conftest import TINY

HEAD = """
import torch
from torch import nn
from ganzoo import AdversarialLoss, Dataset, Field, Loss, Model, TensorDataset, Terms, Turn
from ganzoo_fc.model import FullyConnected
from ganzoo_losses.classic import NonSaturating
"""

ODD = {
    "a turn that never comes": (
        "loss",
        "def turns(self): return [Turn('generator', None, every=0)]",
        "at least one Turn with every >= 1",
    ),
    "no turns": ("loss", "def turns(self): return []", "at least one Turn"),
    "turns that fail": ("loss", "def turns(self): raise RuntimeError('no turns today')", "no turns today"),
    "turns that are nothing": ("loss", "def turns(self): return None", "TypeError"),
    "a loss that is no scalar": ("loss", "def generator(self, fake, real): return fake", "one number"),
    "a loss that is no tensor": ("loss", "def generator(self, fake, real): return 1.0", "must be a tensor"),
    "a metric that is no tensor": ("loss", "def log_scores(self, real, fake): return {'x': 1.0}", "must be a tensor"),
    "a metric called step": (
        "loss",
        "def log_scores(self, real, fake): return {'step': real.mean()}",
        "cannot be called 'step'",
    ),
    "a latent that fails": ("model", "def sample_latent(self, n, rng): raise RuntimeError('no noise')", "no noise"),
    "another shape": ("model", "def generate(self, latent): return latent['z']", "generates samples of shape (126,)"),
    "no preview": ("model", "def preview(self, fixed): return None", "AttributeError"),
    "a missing network": ("model", "players = {'discriminator': ('nose',), 'generator': ('generator',)}", "nose"),
    "an unknown field": ("model", "required_fields = ('mask',)", "'mask'"),
    "a constructor that says no": ("model", "def __init__(self, fields): raise ValueError('32x32 only')", "32x32 only"),
    "an endless default": ("model", "def __init__(self, fields, *, a: float = float('inf')): pass", "not finite"),
    "an option called name": ("model", "def __init__(self, fields, *, name: str = 'x'): pass", "Rename it"),
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


def install_odd(install, monkeypatch, kind: str, body: str) -> None:
    base = {"loss": "NonSaturating", "model": "FullyConnected", "data": "TensorDataset"}[kind]
    source = HEAD + f"class Odd({base}):\n    " + body + "\n"
    parts = {KINDS[kind].plural: {"odd": "odd_parts:Odd"}}
    path = install("odd", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts(): return {parts}")
    path.with_name("odd_parts.py").write_text(source)
    monkeypatch.delitem(sys.modules, "odd_parts", raising=False)


@pytest.mark.parametrize("case", [*ODD, *DATA])
def test_odd_parts_are_refused_before_anything_is_written(ganzoo, workplace, install, monkeypatch, case):
    kind, body, message = ODD[case] if case in ODD else ("data", *DATA[case])
    install_odd(install, monkeypatch, kind, body)
    data = [] if kind == "data" else ["--set", "data.split=test"]
    result = ganzoo("run", "fc-mnist", *data, "--steps", 3, f"--{kind}", "odd", "--out", "run", "--device", "cpu")
    assert result.code == 2, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(workplace.iterdir())


def test_a_dry_run_leaves_no_trace(workplace):
    from ganzoo.training.dry_run import dry_run
    from ganzoo.training.experiment import build
    from ganzoo.training.state import TrainingState

    recipe = Zoo().recipe("fc-mnist").with_setting("data.split", "test").with_setting("train.ema", 0.9)
    state = TrainingState(build(Zoo(), recipe))

    def tensors():
        owners = {**state.model.state_dict(), **{f"ema.{name}": value for name, value in state.ema.tensors.items()}}
        owners |= {"noise": state.rng.get_state(), "global": torch.get_rng_state(), **state.global_random[0]}
        return {name: value.clone() for name, value in owners.items()}

    before = tensors()
    dry_run(state)
    assert all(torch.equal(value, before[name]) for name, value in tensors().items())
    assert all(parameter.grad is None for parameter in state.model.parameters())
    assert not any(player.optimizer.state for player in state.players.values())
    assert state.step == 0


# --- odd plugins -----------------------------------------------------------------------------------------------------


def test_a_second_entry_point_for_one_module_does_not_harm_the_first(ganzoo, install):
    path = install("copycat", "", plugin="again")
    (path.parent / "copycat-1.0.dist-info/entry_points.txt").write_text("[ganzoo]\nagain = ganzoo_fc\n")
    text = ganzoo("list").out
    assert "again (of copycat 1.0): it names the module 'ganzoo_fc'" in text
    assert re.search("fc-mnist +unconditional", text)
    assert Zoo().part("model", "fc").plugin.distribution == "torch-ganzoo"


def test_the_name_of_a_builtin_plugin_cannot_be_taken(ganzoo, install):
    install("a-usurper", "", plugin="fc")
    text = ganzoo("list").out
    assert "fc (of a-usurper 1.0): its name is taken" in text
    assert re.search("fc-mnist +unconditional", text)


@pytest.mark.parametrize(
    ("file", "content"),
    [("METADATA", None), ("entry_points.txt", "[ganzoo]\nhg\n"), ("entry_points.txt", "[ganzoo\n= =")],
)
def test_broken_metadata_of_other_packages_does_no_harm(ganzoo, install, file, content):
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
        def ganzoo_parts():
            return {
                "models": {"quit": "quitter_parts:Model"},
                "commands": {"quit": "quitter_parts:command", "run": "quitter_parts:command"},
            }
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
    install("forgetful", "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts(): {'models': {'a': 'b:c'}}")
    install("here", "from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return 'registry.toml'")
    text = ganzoo("list").out
    assert "ganzoo_parts returned nothing; does it lack a return?" in text
    assert "must return an absolute path" in text


def test_a_recipe_with_the_name_of_a_builtin_one_is_chosen_by_its_plugin(ganzoo, install, tmp_path):
    registry = tmp_path / "registry.toml"
    registry.write_text('[fc-mnist]\ntitle = "theirs"\ndata = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n')
    install("rival", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {str(registry)!r}")
    result = ganzoo("run", "fc-mnist")
    assert result.code == 2
    assert "Choose one: fc/fc-mnist or rival/fc-mnist" in result.err
    assert Zoo().recipe("rival/fc-mnist").title == "theirs"
    assert ganzoo("run", "fc/fc-mnist", *TINY, "--steps", 2, "--out", "run").code == 0


# --- odd run directories ---------------------------------------------------------------------------------------------


def test_resume_touches_its_own_files_only(ganzoo, workplace):
    every = ["--checkpoint-every", 10, "--set", "train.log_every=10"]
    ganzoo("run", "fc-mnist", *TINY, "--steps", 20, *every, "--out", "run")
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


def test_resuming_from_an_older_checkpoint_keeps_what_it_saves(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 40, "--checkpoint-every", 10, "--out", "run", "--set", "train.keep=3")
    recipe = workplace / "run/recipe.toml"
    recipe.write_text(recipe.read_text().replace("keep = 3", "keep = 1"))
    for step in (30, 40):
        (workplace / f"run/checkpoints/step-000000{step}/state.json").write_text("{}")
    result = ganzoo("resume", "run", "--steps", 25)
    assert result.code == 0, result.err
    assert [path.name for path in checkpoint.saved(workplace / "run/checkpoints")] == ["step-00000025"]
    assert ganzoo("resume", "run", "--steps", 30).code == 0


def test_a_removed_checksum_is_noticed(workplace):
    settings = {"data.split": "test", "train.ema": 0.9}
    package.train("fc-mnist", steps=5, batch_size=16, settings=settings, out="run")
    sums = next(Path("run/checkpoints").glob("*/SHA256SUMS"))
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "ema" not in line))
    with pytest.raises(package.GanzooError, match="No checkpoint of run is valid"):
        package.load("run")


def test_a_run_whose_recipe_was_changed_is_not_resumed(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    recipe = workplace / "run/recipe.toml"
    original = recipe.read_text()
    for old, new, path in (
        ("latent_dim = 126", "latent_dim = 12", "model.latent_dim"),
        ("batch_size = 16", "batch_size = 8", "train.batch_size"),
        ('name = "adam"', 'name = "adamw"', "optimizer.name"),
    ):
        assert old in original
        recipe.write_text(original.replace(old, new))
        result = ganzoo("resume", "run", "--steps", 9)
        assert result.code == 2
        assert f"The run was trained with {path} = " in result.err
        assert "--init DIR" in result.err
    recipe.write_text(original.replace("lr = 0.0003", "lr = 0.5"))  # this may change
    result = ganzoo("resume", "run", "--steps", 9)
    assert result.code == 0
    assert "From step 5 on: optimizer.lr = 0.5 instead of 0.0003." in result.err


def test_two_processes_cannot_start_in_one_directory(workplace):
    from ganzoo.runs.directory import RunDirectory

    recipe = Zoo().recipe("fc-mnist")
    with (
        RunDirectory.create(Path("run"), recipe),
        pytest.raises(package.GanzooError),
        RunDirectory.create(Path("run"), recipe),
    ):
        pass
