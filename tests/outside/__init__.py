"""Odd GANs as outside plugins that were written from the documentation alone, each in one file."""

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
