"""Every recipe of registry.toml conforms, has every command, and has evidence that reaches its goal.

A new recipe or a new GAN is covered without a change here.
"""

import operator
import re
from pathlib import Path
from statistics import median

import pytest

from ganzoo import evidence, recipes, testing

ROOT = Path(__file__).parent.parent.parent
REGISTRY = ROOT / "registry.toml"
RECIPES = dict(recipes.read(REGISTRY))
GANS = sorted(path for path in (ROOT / "plugins/gans").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("name", RECIPES)
def test_it_conforms(name):
    testing.check(name)


@pytest.mark.parametrize("name", RECIPES)
def test_it_has_every_command(ganzoo, name):
    """A run of four steps, and one that is stopped after two and resumed: the same files, bit for bit."""

    def call(*arguments):
        result = ganzoo(*arguments)
        assert result.code == 0, result.err
        return result.out

    quick = ["--batch-size", 8, "--device", "cpu", "--checkpoint-every", 2, "--evaluate-every", 0]
    for steps, out in ((4, "full"), (2, "half")):
        call("run", name, *quick, "--set", "train.sample_count=4", "--steps", steps, "--out", out)
    call("resume", "half", "--steps", 4)
    full, half = (Path(run, "checkpoints", "step-00000004") for run in ("full", "half"))
    files = {path.name: path.read_bytes() for path in full.glob("*.safetensors")}
    assert {"weights.safetensors", "training.safetensors"} <= files.keys()
    assert files == {path.name: path.read_bytes() for path in half.glob("*.safetensors")}
    call("sample", "half", "-n", 5, "--seed", 3, "-o", "samples.npz")
    few = RECIPES[name].data.name == "emoji"  # and lite0 would take half a minute
    call("evaluate", "half", *(["--extractor", "pyramid"] if few else ["-n", 1000]))
    call("export", "half", "--format", "torch", "-o", "generator.pt2")
    assert RECIPES[name].model.name in call("show", name)
    assert "class " in call("show", name, "--source")


@pytest.mark.parametrize("name", RECIPES)
def test_its_evidence_reaches_its_goal(name):
    """Change a recipe, and ``ganzoo reproduce`` must measure it again."""
    measured = evidence.read(REGISTRY, name)
    assert "last" in measured
    assert (ROOT / "docs/images/zoo" / f"{name}.png").exists()
    for metric, bound in RECIPES[name].expect.items():
        sign, number = recipes.parse_bound(bound, metric)
        reached = {"<=": operator.le, ">=": operator.ge}[sign](measured["last"][metric]["mean"], number)
        assert reached, f"{metric} is {measured['last'][metric]['mean']}, not {bound}"


def test_the_engine_names_no_gan():
    """Examples may name a recipe; nothing else in the engine depends on which GANs exist."""
    names = {folder.name.removeprefix("ganzoo_") for folder in GANS} | {r.model.name for r in RECIPES.values()}
    gan = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
    examples = re.compile(rf"\b({'|'.join(map(re.escape, RECIPES))})\b")
    files = [path for path in (ROOT / "ganzoo").rglob("*") if path.suffix in (".py", ".toml", ".jinja", ".md", ".html")]
    assert [path.name for path in files if gan.search(examples.sub("", path.read_text(encoding="utf-8")))] == []


def test_no_gan_imports_another():
    for folder in GANS:
        others = "|".join(other.name for other in GANS if other != folder)
        imports = re.compile(rf"^\s*(from|import) ({others})\b", re.MULTILINE)
        assert [path for path in folder.glob("*.py") if imports.search(path.read_text(encoding="utf-8"))] == []


def test_the_gans_are_short():
    """Half of them take less than 150 lines, docstrings included."""

    def length(folder):
        texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
        return sum(bool(line.strip()) for text in texts for line in text.splitlines())

    lengths = {folder.name: length(folder) for folder in GANS}
    assert median(lengths.values()) < 150, lengths
