"""The pages of the zoo: up to date, and made for a stranger's recipe too."""

import shutil
from pathlib import Path

import torch
from PIL import Image

import ganzoo as package
from ganzoo import evidence, pages, reproduction
from ganzoo.recipes import read_one
from ganzoo.zoo import Zoo, builtin_registry

ROOT = Path(__file__).parent.parent.parent

RECIPE = """
[my-points]
title = "Points"
task = "unconditional"
summary = "A stranger's recipe."
equation = "D and G play"
data = { name = "ring8", examples = 640 }
model = { name = "mlp", width = 8 }  # this comment is on the page
loss = "wasserstein"
penalties = { clip = {}, r1 = { every = 4 } }
expect = { modes = ">= 2" }
train = { steps = 4, batch_size = 64 }
"""
MEASURED = {
    "result": "modes 3 (1 seed)",
    "command": "ganzoo run my-points",
    "measured": "2026-01-01",
    "seeds": [0],
    "samples": 100,
    "machine": "a test",
    "versions": {"ganzoo": "0", "torch": "0"},
    "last": {"modes": {"mean": 3.0, "values": [3.0]}},
}


def test_the_pages_are_up_to_date():
    """Whoever changes a recipe, its evidence or its code runs ``python docs/make_zoo.py``."""
    made = pages.all_pages(Zoo(), builtin_registry())
    assert set((ROOT / "docs/zoo").iterdir()) == set(made)
    assert [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text] == []


def test_the_page_of_a_stranger_is_beside_its_evidence(tmp_path):
    registry = tmp_path / "registry.toml"
    registry.write_text(RECIPE)
    evidence.write(registry, "my-points", MEASURED)
    (path,) = pages.write_pages(Zoo(), registry, "my-points")
    assert path == tmp_path / "evidence" / "my-points.md"
    text = path.read_text()
    assert "| modes | 3 | - | >= 2 |" in text
    assert "# this comment is on the page" in text
    turns = [line for line in text.splitlines() if line[:2] in ("1.", "2.", "3.", "4.")]
    assert turns == [
        "1. discriminator, every step: minimizes the loss `wasserstein` + the penalty `clip`",
        "2. discriminator, every 4 steps: minimizes the penalty `r1`",
        "3. generator, every 5 steps: minimizes the loss `wasserstein`",
    ]
    for code in ("class MLP(LatentModel)", "class Wasserstein(CriticLoss)", "class R1(Penalty)", "class Clip(Penalty)"):
        assert text.count(code) == 1


def test_its_pictures_are_drawn_from_a_run(tmp_path):
    registry = tmp_path / "registry.toml"
    registry.write_text(RECIPE)
    run = package.train(read_one(registry), out=tmp_path / "run", device="cpu")
    (picture,) = reproduction.save_pictures(run, registry)
    assert picture == tmp_path / "evidence" / "my-points.png"
    assert Image.open(picture).size == (256, 256)  # one scatter plot


def test_previews_of_more_than_samples_are_kept_too(tmp_path, trained):
    shutil.copytree(trained, tmp_path / "run")
    run = package.load(tmp_path / "run")
    registry = tmp_path / "registry.toml"
    registry.touch()
    assert [path.name for path in reproduction.save_pictures(run, registry)] == ["fc-mnist.png"]
    shutil.copy(tmp_path / "run/samples/fake-00000040.png", tmp_path / "run/samples/class-00000040.png")
    found = [path.name for path in reproduction.save_pictures(run, registry)]
    assert found == ["fc-mnist.png", "fc-mnist.class.png", "fc-mnist.fake.png", "fc-mnist.real.png"]
    assert torch.equal(run.sample(2), package.load(tmp_path / "run").sample(2))
