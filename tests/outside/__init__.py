"""Odd GANs as plugins of outsiders, written from the documentation alone; and what their tests share."""

import shutil

import torch

import ganzoo


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
