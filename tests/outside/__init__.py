"""Odd GANs as plugins of outsiders, written from the documentation alone, each in one file."""

import shutil

import torch

import ganzoo

PLUGIN = """
from pathlib import Path
from ganzoo import hookimpl

@hookimpl
def ganzoo_parts():
    return {parts!r}

@hookimpl
def ganzoo_registry():
    return Path(__file__).with_suffix(".toml")
"""


def provide(install, name, module, parts, registry):
    """Install a plugin whose parts are classes of a module, and return the zoo with it."""
    targets = {kind: {part: f"{module}:{cls}" for part, cls in names.items()} for kind, names in parts.items()}
    install(name, PLUGIN.format(parts=targets)).with_suffix(".toml").write_text(registry)
    return ganzoo.Zoo()


def assert_resumes(recipe, zoo, tmp_path, stop, steps):
    """Train twice, once with a stop on the way. Assert that both runs have the same bits, and return the whole one."""
    whole = ganzoo.train(recipe, steps=steps, out=tmp_path / "whole", zoo=zoo)
    ganzoo.train(recipe, steps=stop, out=tmp_path / "halves", zoo=zoo)
    halves = ganzoo.resume(tmp_path / "halves", steps=steps, zoo=zoo)
    left, right = whole.model.state_dict(), halves.model.state_dict()
    assert left.keys() == right.keys()
    assert not [name for name in left if not torch.equal(left[name], right[name])]
    return whole


def zoo_with(install, module, parts):
    """Return the zoo with the parts of a test module: kind -> name -> class."""
    named = {kind: {name: f"{module}:{cls}" for name, cls in names.items()} for kind, names in parts.items()}
    install("outsider", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {named!r}\n")
    return ganzoo.Zoo()


def assert_a_stop_changes_nothing(recipe, zoo, folder, steps=6, stop=3, **options):
    """Train once undisturbed, and once with a loss of everything after the step ``stop``; return the resumed run."""
    whole = ganzoo.train(recipe, steps=steps, out=folder / "whole", zoo=zoo, **options)
    stopped = ganzoo.train(recipe, steps=steps, checkpoint_every=stop, out=folder / "stopped", zoo=zoo, **options)
    shutil.rmtree(stopped.directory / f"checkpoints/step-{steps:08}")
    resumed = ganzoo.resume(stopped.directory, zoo=zoo)
    assert resumed.step == steps
    assert torch.equal(whole.sample(4), resumed.sample(4))
    for name in ("weights.safetensors", "training.safetensors"):
        one, other = (run.directory / f"checkpoints/step-{steps:08}" / name for run in (whole, resumed))
        assert one.read_bytes() == other.read_bytes(), name
    return resumed
