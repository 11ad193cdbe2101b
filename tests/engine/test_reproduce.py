"""Evidence: what a recipe's command gives, once a seed, in the file that the recipe is from."""

import json
import statistics
import tomllib

import pytest

import ganzoo as package
from ganzoo.zoo import builtin_registry

RECIPE = """\
# what I am proud of
[tiny]
title = "Tiny"   # a comment that must stay
data = {{ name = "ring8", examples = 4000 }}
model = {{ name = "mlp", width = 16, depth = 1 }}
loss = "non-saturating"

[tiny.train]
batch_size = 50
epochs = 1
metrics = ["gaussian"]
evaluate_samples = 800

[tiny.evidence]
result = "none yet"
command = '{command}'
"""


@pytest.fixture
def recipe(workplace):
    """A registry file with one small recipe and its evidence command."""

    def write(command="ganzoo run my.toml --steps 30 --evaluate-every 15 --seed 9 --set train.log_every=5"):
        (workplace / "my.toml").write_text(RECIPE.format(command=command))
        return workplace / "my.toml"

    return write


def test_evidence_is_measured_and_written_down(ganzoo, recipe):
    path = recipe()
    result = ganzoo("reproduce", "my.toml", "--seeds", "0,3", "-n", 1000, "--out", "runs/mine")
    assert result.code == 0, result.err
    text = path.read_text()
    assert text.startswith(RECIPE.partition("[tiny.evidence]")[0].replace("{{", "{").replace("}}", "}"))
    evidence = tomllib.loads(text)["tiny"]["evidence"]
    runs = {seed: package.load(f"runs/mine/seed-{seed}") for seed in (0, 3)}
    values = []
    for seed, run in runs.items():
        assert (run.recipe.train["seed"], run.recipe.train["log_every"], run.step) == (seed, 5, 30)
        values.append(next(c["value"] for c in run.evaluations() if (c["metric"], c["n"]) == ("fd-raw", 1000)))
    numbers = evidence["last"]["fd-raw"]
    assert numbers["values"] == pytest.approx(values, rel=1e-5)
    assert numbers["mean"] == pytest.approx(statistics.fmean(values), rel=1e-5)
    assert numbers["spread"] == pytest.approx(statistics.stdev(values), rel=1e-5)
    assert evidence["best"].keys() == evidence["last"].keys() >= {"mode-overlap", "modes", "coverage-raw"}
    assert (evidence["seeds"], evidence["samples"]) == ([0, 3], 1000)
    assert evidence["result"].startswith("mode-overlap ")
    assert evidence["cpu_minutes"] >= 0
    assert evidence["versions"]["ganzoo"] == package.__version__
    shown = ganzoo("show", "my.toml").out
    assert evidence["result"] in shown
    assert "coverage-raw" in shown


def test_what_was_stopped_is_gone_on_with_and_what_is_another_run_is_not_taken(ganzoo, recipe):
    path = recipe()
    package.train(
        package.registry.read_one(path), steps=10, out="out/seed-0", evaluate_every=15, settings={"train.log_every": 5}
    )
    refused = ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000, "--out", "out")
    assert refused.code == 2
    assert "seed-0 is another run" in refused.err
    assert ganzoo("reproduce", "my.toml", "--seeds", "1", "-n", 1000, "--out", "out").code == 0
    first = tomllib.loads(path.read_text())["tiny"]["evidence"]
    assert ganzoo("reproduce", "my.toml", "--seeds", "1", "-n", 1000, "--out", "out").code == 0
    second = tomllib.loads(path.read_text())["tiny"]["evidence"]
    assert first["last"] == second["last"]
    assert "cpu_minutes" not in second  # it was trained before
    assert "spread" not in second["last"]["fd-raw"]


def test_evidence_goes_to_another_file_if_asked_to(ganzoo, recipe):
    path = recipe("ganzoo run my.toml --steps 5")
    before = path.read_text()
    assert ganzoo("reproduce", "my.toml", "--seeds", "0", "-n", 1000, "--registry", "other.toml").code == 0
    assert path.read_text() == before
    other = package.registry.read_one(path.with_name("other.toml"))
    assert other.evidence["last"]["fd-raw"]["mean"] > 0
    assert "best" not in other.evidence  # nothing was measured while it trained
    assert other.model.settings == {"width": 16, "depth": 1}


def test_the_list_shows_the_result(ganzoo):
    listed = {row["name"]: row["evidence"] for row in json.loads(ganzoo("list", "--json").out)}
    for name, table in tomllib.loads(builtin_registry().read_text()).items():
        assert listed[name] == table.get("evidence", {}).get("result", "")
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
def test_an_evidence_command_that_is_none(ganzoo, recipe, workplace, command, message):
    path = recipe(command)
    before = path.read_text()
    result = ganzoo("reproduce", "my.toml")
    assert result.code == 2
    assert message in result.err
    assert path.read_text() == before
    assert [file.name for file in workplace.iterdir()] == ["my.toml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fc-mnits"], "Did you mean 'fc-mnist'"),
        (["my.toml", "--seeds", "0,a"], "different whole numbers"),
        (["my.toml", "--seeds", "1,1"], "different whole numbers"),
        (["my.toml", "--seeds", "0,99999999999999999999"], "train.seed"),
        (["my.toml", "--registry", "nowhere/r.toml"], "nowhere"),
        (["my.toml", "-n", "5"], "needs at least"),
        (["my.toml", "-n", "20000"], "the data set has 4000"),
        (["pix2pix-mnist", "-n", "20000", "--registry", "other.toml"], "the data set has 10000"),  # those held out
        (["absent.toml"], "absent.toml"),
    ],
)
def test_bad_input_before_anything_is_trained(ganzoo, recipe, workplace, arguments, message):
    recipe()
    result = ganzoo("reproduce", *arguments)
    assert result.code == 2
    assert message in result.err
    assert [file.name for file in workplace.iterdir()] == ["my.toml"]


def test_an_installed_packages_registry_is_left_alone(ganzoo, recipe, workplace):
    site = workplace / "site-packages"
    site.mkdir()
    recipe("ganzoo run site-packages/my.toml --steps 5").rename(site / "my.toml")
    result = ganzoo("reproduce", "site-packages/my.toml")
    assert result.code == 2
    assert "not yours to write to" in result.err


def test_a_blank_line_stands_between_evidence_and_what_follows(workplace):
    path = workplace / "two.toml"
    parts = 'data = "ring8"\nmodel = "mlp"\nloss = "non-saturating"\n'
    path.write_text(f"[a]\n{parts}\n[b]\n{parts}")
    recipes = [recipe for _, recipe in package.registry.read(path)]
    for recipe in (*recipes, *recipes):  # the second time in the first one's place
        package.registry.write_evidence(path, recipe, {"result": "good", "last": {"fd": {"mean": 1.0}}})
    assert "fd = {mean = 1.0}\n\n[b]\n" in path.read_text()
    assert path.read_text().endswith("fd = {mean = 1.0}\n")
    assert path.read_text().count("evidence.last") == 2
