"""``ganzoo reproduce``: it trains once per seed, measures, and writes the evidence, the pictures and the page."""

import json
import statistics
import tomllib

import pytest

import ganzoo as package
from ganzoo import evidence, recipes
from ganzoo.zoo import builtin_registry

RECIPE = """\
# a comment that must stay
[tiny]
title = "Tiny"
data = { name = "ring8", examples = 4000 }
model = { name = "mlp", width = 16, depth = 1 }
loss = "non-saturating"
expect = { mode-overlap = ">= 0.01" }

[tiny.train]
batch_size = 50
epochs = 1
metrics = ["gaussian"]
evaluate_samples = 800
"""
COMMAND = "ganzoo run my.toml --steps 30 --evaluate-every 15 --seed 9 --set train.log_every=5"


@pytest.fixture
def recipe(workplace):
    """A registry file with one small recipe, and evidence that only says which command to run."""

    def write(command=COMMAND, folder=workplace):
        (folder / "evidence").mkdir(parents=True, exist_ok=True)
        (folder / "my.toml").write_text(RECIPE)
        (folder / "evidence/tiny.toml").write_text(f"command = '{command}'\n")
        return folder / "my.toml"

    return write


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_evidence_is_measured_and_written(ganzoo, recipe, workplace):
    path = recipe()
    result = ganzoo("reproduce", "my.toml", "--seeds", "0,3", "-n", 1000, "--out", "runs/mine")
    assert result.code == 0, result.err
    assert path.read_text() == RECIPE
    written = workplace / "evidence/tiny.toml"
    assert written.read_text().startswith("# Written by 'ganzoo reproduce tiny'. Do not edit.\n")
    found = tomllib.loads(written.read_text())
    assert found == evidence.read(path, "tiny")
    runs = {seed: package.load(f"runs/mine/seed-{seed}") for seed in (0, 3)}
    values = []
    for seed, run in runs.items():
        assert (run.recipe.train["seed"], run.recipe.train["log_every"], run.step) == (seed, 5, 30)
        values.append(next(r["value"] for r in run.evaluations() if (r["metric"], r["n"]) == ("fd-raw", 1000)))
    numbers = found["last"]["fd-raw"]
    assert numbers["values"] == pytest.approx(values, rel=1e-5)
    assert numbers["mean"] == pytest.approx(statistics.fmean(values), rel=1e-5)
    assert numbers["spread"] == pytest.approx(statistics.stdev(values), rel=1e-5)
    assert found["best"].keys() == found["last"].keys() >= {"mode-overlap", "modes", "coverage-raw"}
    assert (found["command"], found["seeds"], found["samples"]) == (COMMAND, [0, 3], 1000)
    assert found["result"].startswith("mode-overlap ")
    assert found["cpu_minutes"] >= 0
    assert found["versions"]["ganzoo"] == package.__version__
    shown = ganzoo("show", "my.toml").out
    assert found["result"] in shown
    assert "coverage-raw" in shown


def test_the_page_and_the_pictures_are_written_beside_the_evidence(ganzoo, recipe, workplace):
    recipe("ganzoo run my.toml --steps 5")
    result = ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000)
    assert result.code == 0, result.err
    assert files(workplace / "evidence") == ["tiny.md", "tiny.png", "tiny.toml"]
    assert all(f"  evidence/{name}" in result.out for name in files(workplace / "evidence"))
    page = (workplace / "evidence/tiny.md").read_text()
    found = evidence.read(workplace / "my.toml", "tiny")
    assert page.startswith("# tiny\n\n**Tiny.**")
    assert "![Samples of tiny](tiny.png)" in page
    assert f"| fd-raw | {found['last']['fd-raw']['mean']:.4g} | - |" in page
    assert "| >= 0.01 |" in page
    assert "`ganzoo run my.toml --steps 5` with seed 0; 1,000 samples" in page
    assert "1. discriminator, every step: minimizes the loss `non-saturating`" in page
    assert "class MLP" in page


def test_an_unfinished_run_is_resumed_and_another_run_is_refused(ganzoo, recipe):
    path = recipe()
    mine = recipes.read_one(path)
    package.train(mine, steps=10, out="out/seed-0", evaluate_every=15, settings={"train.log_every": 5})
    refused = ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000, "--out", "out")
    assert refused.code == 2
    assert "seed-0 is another run" in refused.err
    assert ganzoo("reproduce", "my.toml", "--seeds", "1", "-n", 1000, "--out", "out").code == 0
    first = evidence.read(path, "tiny")
    assert ganzoo("reproduce", "my.toml", "--seeds", "1", "-n", 1000, "--out", "out").code == 0
    second = evidence.read(path, "tiny")
    assert first["last"] == second["last"]
    assert "cpu_minutes" not in second  # it was trained earlier
    assert "spread" not in second["last"]["fd-raw"]


def test_the_option_command_replaces_that_of_the_evidence(ganzoo, recipe, workplace):
    path = recipe("ganzoo run my.toml --steps 500000")
    typed = "ganzoo run my.toml --steps 5"
    assert ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000, "--command", typed).code == 0
    found = evidence.read(path, "tiny")
    assert found["command"] == typed
    assert found["last"]["fd-raw"]["mean"] > 0
    assert "best" not in found  # nothing was measured during training
    (run,) = workplace.glob("runs/tiny/reproduce-*/seed-0")
    assert package.load(run).step == 5


def test_without_evidence_the_recipe_is_run_as_it_is(ganzoo, workplace):
    (workplace / "my.toml").write_text(RECIPE.replace("epochs = 1", "steps = 5"))
    assert ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000).code == 0
    assert evidence.read(workplace / "my.toml", "tiny")["command"] == "ganzoo run my.toml"


def test_list_shows_the_result_of_each_recipe(ganzoo):
    listed = {row["name"]: row["evidence"] for row in json.loads(ganzoo("list", "--json").out)}
    for name in tomllib.loads(builtin_registry().read_text()):
        assert listed[name] == evidence.read(builtin_registry(), name).get("result", "")
    assert listed["fc-mnist"].startswith("fd-mnist ")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rm -rf ~", "must be 'ganzoo run tiny ...'"),
        ("ganzoo sample x", "must be 'ganzoo run tiny ...'"),
        ("ganzoo run fc-mnist --steps 5", "must be 'ganzoo run tiny ...'"),
        ("ganzoo run my.toml --stepps 5", "--stepps"),
        ("ganzoo run my.toml --set train.stepps=5", "stepps"),
        ('ganzoo run my.toml --set "train', "No closing quotation"),
    ],
)
@pytest.mark.parametrize("typed", [False, True])
def test_a_malformed_evidence_command_is_refused(ganzoo, recipe, workplace, command, message, typed):
    recipe(COMMAND if typed else command)
    before = (workplace / "evidence/tiny.toml").read_text()
    result = ganzoo("reproduce", "my.toml", *(["--command", command] if typed else []))
    assert result.code == 2
    assert message in result.err
    assert (workplace / "evidence/tiny.toml").read_text() == before
    assert files(workplace) == ["evidence/tiny.toml", "my.toml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fc-mnits"], "Did you mean 'fc-mnist'"),
        (["my.toml", "--seeds", "0,a"], "must be different integers"),
        (["my.toml", "--seeds", "1,1"], "must be different integers"),
        (["my.toml", "--seeds", ""], "must be different integers"),
        (["my.toml", "--seeds", "0,99999999999999999999"], "train.seed"),
        (["my.toml", "-n", "5"], "needs at least"),
        (["my.toml", "-n", "20000"], "the dataset has 4000"),
        (["pix2pix-mnist", "-n", "20000"], "the dataset has 10000"),  # that of the test split
        (["absent.toml"], "absent.toml"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(ganzoo, recipe, workplace, arguments, message):
    recipe()
    result = ganzoo("reproduce", *arguments)
    assert result.code == 2
    assert message in result.err
    assert files(workplace) == ["evidence/tiny.toml", "my.toml"]


def test_evidence_of_an_installed_package_is_not_written(ganzoo, recipe, workplace):
    recipe("ganzoo run site-packages/my.toml --steps 5", workplace / "site-packages")
    result = ganzoo("reproduce", "site-packages/my.toml")
    assert result.code == 2
    assert "Cannot write the evidence" in result.err
    assert "Copy the recipe to a file of your own" in result.err
    assert files(workplace) == ["site-packages/evidence/tiny.toml", "site-packages/my.toml"]


def test_a_folder_that_cannot_be_written_to_is_found_before_training(ganzoo, recipe, workplace, monkeypatch):
    recipe()
    monkeypatch.setattr(evidence.os, "access", lambda path, mode: False)
    result = ganzoo("reproduce", "my.toml")
    assert result.code == 2
    assert "Cannot write the evidence" in result.err
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize("seeds", ["\u0663", "0,\u0661", "1_0", "+1", "0,00", "9" * 5000, "-1", "", ","])
def test_seeds_are_different_integers_in_plain_digits(ganzoo, recipe, seeds):
    recipe()
    result = ganzoo("reproduce", "my.toml", f"--seeds={seeds}")
    assert (result.code, "must be different integers" in result.err) == (2, True)


@pytest.mark.parametrize("less", [["--seeds", "7"], ["-n", 500]])
def test_evidence_is_replaced_by_less_only_on_demand(ganzoo, recipe, workplace, less):
    recipe("ganzoo run my.toml --steps 5")
    written = workplace / "evidence/tiny.toml"
    written.write_text(written.read_text() + "seeds = [0, 1]\nsamples = 1000\n")
    before = written.read_text()
    arguments = ["reproduce", "my.toml", "--seeds", "0,1", "-n", 1000, *less]
    result = ganzoo(*arguments)
    assert (result.code, "or give --replace." in result.err) == (2, True)
    assert (written.read_text(), (workplace / "runs").exists()) == (before, False)
    result = ganzoo(*arguments, "--replace")
    assert result.code == 0, result.err
    assert written.read_text() != before
