"""The catalogue: what a recipe must reach, lists by task, and the code of a recipe at once."""

import json
import linecache
import re
import sys
import tomllib

import pytest

from ganzoo import UsageError, Zoo
from ganzoo.recipes import parse_bound, read, read_one, to_toml
from ganzoo.source import source_of, text_of
from ganzoo.zoo import builtin_registry

RECIPE = 'data = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n'


# --- bounds that the evidence must reach -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<= 0.65", ("<=", 0.65)),
        (">=8", (">=", 8.0)),
        (" >= -1.5e-3 ", (">=", -0.0015)),
        ("<=  1e+2", ("<=", 100.0)),
    ],
)
def test_a_bound_is_a_sign_and_a_number(text, expected):
    assert parse_bound(text, "it") == expected


@pytest.mark.parametrize(
    "bound", ["0.65", "< 0.65", "== 0.65", "<= ", "<= x", "<= 1.2.3", "<= .", "<= 1 or 2", "<= nan", "", 0.65, True, []]
)
def test_a_malformed_bound_is_an_error_that_names_the_recipe_and_the_metric(tmp_path, bound):
    path = tmp_path / "registry.toml"
    path.write_text(f"[good]\n{RECIPE}[bad]\n{RECIPE}expect = {{ fd = {json.dumps(bound)} }}\n")
    found = dict(read(path))
    assert found["good"].expect == {}
    assert isinstance(found["bad"], UsageError)
    assert str(found["bad"]).startswith(f"expect.fd in [bad] of {path} must be a bound such as")
    assert repr(bound) in str(found["bad"])


def test_expect_must_be_a_table(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'[bad]\n{RECIPE}expect = "<= 0.65"\n')
    with pytest.raises(UsageError, match=r"expect in \[bad\] of .* must be a table"):
        read_one(path)


def test_bounds_are_kept_when_a_recipe_is_written(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'[mine]\n{RECIPE}expect = {{ fd = "<= 0.65", accuracy-mnist = ">= 0.9" }}\n')
    recipe = read_one(path)
    assert recipe.expect == {"fd": "<= 0.65", "accuracy-mnist": ">= 0.9"}
    path.write_text(to_toml(recipe))
    assert read_one(path) == recipe


# --- ganzoo list --task ----------------------------------------------------------------------------------------------


def test_list_shows_the_recipes_of_a_task(ganzoo):
    tasks = {row["name"]: row["task"] for row in json.loads(ganzoo("list", "--json").out)}
    assert tasks["pix2pix-mnist"] == "image-to-image"
    for task in ("image-to-image", "IMAGE-to", "class-conditional"):
        found = {row["name"] for row in json.loads(ganzoo("list", "--task", task, "--json").out)}
        assert found == {name for name, text in tasks.items() if task.lower() in text}
        assert found
    text = ganzoo("list", "--task", "image-to-image").out
    assert "pix2pix-mnist" in text
    assert "fc-mnist" not in text


def test_a_task_without_recipes_is_an_error_that_names_the_tasks(ganzoo, install, tmp_path):
    path = tmp_path / "registry.toml"
    path.write_text(f"[no-task]\n{RECIPE}[broken]\n")
    install("stranger", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {str(path)!r}")
    result = ganzoo("list", "--task", "image-to-imgae")
    assert result.code == 2
    tasks = re.search(r"No recipe has the task 'image-to-imgae'\. Available: (.*)\.\n", result.err)[1].split(", ")
    assert {"class-conditional", "image-to-image", "unconditional"} <= set(tasks)
    assert not {"", "broken"} & set(tasks)
    result = ganzoo("list", "--kind", "models", "--task", "image-to-image")
    assert result.code == 2
    assert "leave out --kind" in result.err


# --- ganzoo show --source --------------------------------------------------------------------------------------------


def test_the_source_of_a_recipe_has_its_turns_and_all_its_parts(ganzoo):
    result = ganzoo("show", "wgan-gp-mnist", "--source")
    assert result.code == 0, result.err
    heads = re.findall(r"^# (.*)", result.out, re.M)
    assert heads == [
        "wgan-gp-mnist: the turns of a step",
        "  1. discriminator, every step: minimizes the loss `wasserstein` + the penalty `gradient-penalty`",
        "  2. generator, every 5 steps: minimizes the loss `wasserstein`",
        "--- ganzoo_dcgan/model.py",
        "--- ganzoo_losses/classic.py: Wasserstein",
        "--- ganzoo_losses/classic.py: CriticLoss",
        "--- ganzoo_losses/penalties.py: GradientPenalty",
        "--- the recipe",
    ]
    for line in ("class DCGAN(", "class Wasserstein(", "class GradientPenalty("):
        assert result.out.count(line) == 1
    assert result.out.endswith(text_of(builtin_registry(), "wgan-gp-mnist") + "\n")


def test_lazy_penalties_are_turns_of_their_own_in_the_source():
    zoo = Zoo()
    assert source_of(zoo, zoo.recipe("stylegan2-mnist")).turns == [
        "1. discriminator, every step: minimizes the loss `non-saturating`",
        "2. discriminator, every 16 steps: minimizes the penalty `r1`",
        "3. generator, every step: minimizes the loss `non-saturating`",
        "4. generator, every 8 steps: minimizes the penalty `path-length`",
    ]


@pytest.mark.parametrize("name", [entry.name for entry in Zoo().entries()])
def test_every_recipe_has_a_source_that_compiles(name):
    zoo = Zoo()
    source = source_of(zoo, zoo.recipe(name))
    assert len({title for title, _ in source.files}) == len(source.files)
    for title, code in source.files:
        compile(code, title, "exec")
    text = "".join(code for _, code in source.files)
    for kind in ("model", "loss"):
        cls = zoo.part(kind, getattr(zoo.recipe(name), kind).name).load()
        assert text.count(f"class {cls.__name__}(") == 1


MODEL = """
from ganzoo import LatentModel
from torch import nn

class Tiny(LatentModel):
    def __init__(self, fields):
        super().__init__(fields, 2)
        self.generator = nn.Sequential(nn.Linear(2, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
"""


@pytest.fixture
def stranger(install, tmp_path):
    """A plugin of another package with a recipe; its model is in a module of its own."""
    registry = tmp_path / "registry.toml"
    registry.write_text(
        '[tiny] # the smallest\ndata = "mnist"\nmodel = "tiny"\nloss = "hinge"\npenalties = { r1 = { every = 4 } }\n'
        f"\n# the other one\n[other]\n{RECIPE}"
    )
    path = install(
        "stranger",
        f"""
        from ganzoo import hookimpl
        @hookimpl
        def ganzoo_parts(): return {{"models": {{"tiny": "stranger_model:Tiny"}}}}
        @hookimpl
        def ganzoo_registry(): return {str(registry)!r}
        """,
    )
    path.with_name("stranger_model.py").write_text(MODEL)
    yield path
    sys.modules.pop("stranger_model", None)


def test_a_recipe_from_another_package_has_a_source(ganzoo, stranger):
    result = ganzoo("show", "tiny", "--source")
    assert result.code == 0, result.err
    heads = re.findall(r"^# --- (.*)", result.out, re.M)
    assert heads[0] == "stranger_model.py"
    assert "ganzoo_losses/classic.py: Hinge" in heads
    assert MODEL.strip() in result.out
    assert "#   2. discriminator, every 4 steps: minimizes the penalty `r1`" in result.out
    assert '[tiny] # the smallest\ndata = "mnist"' in result.out
    assert "the other one" not in result.out


def test_parts_and_recipe_files_have_a_source(ganzoo, workplace):
    assert "class Hinge(" in ganzoo("show", "hinge", "--source").out
    (workplace / "mine.toml").write_text("[mine]\n" + RECIPE)
    result = ganzoo("show", "mine.toml", "--source")
    assert result.code == 0, result.err
    assert "class FullyConnected(" in result.out
    assert result.out.endswith("[mine]\n" + RECIPE)


def test_code_that_cannot_be_read_is_an_error(ganzoo, stranger):
    assert ganzoo("show", "tiny").code == 0
    stranger.with_name("stranger_model.py").unlink()
    linecache.clearcache()
    result = ganzoo("show", "tiny", "--source")
    assert result.code == 1
    assert "The code of stranger_model cannot be read" in result.err


@pytest.mark.parametrize(
    "text",
    [
        f'["mine"] # first\n{RECIPE}\n[mine.train]\nsteps = 5 # few\n',
        f"  [ mine ]\n{RECIPE}",
        f"['mine']\n{RECIPE}",
        f"{RECIPE.replace('data', 'mine.data').replace('model', 'mine.model').replace('loss', 'mine.loss')}",
        f"[mine]\n{RECIPE}optimizer.betas = [\n  0.5,\n  0.9\n]\n",
        f"[mine]\n{RECIPE}\n[yours]\n{RECIPE}\n[mine.train]\nsteps = 5\n",
        f"[mine-too]\n{RECIPE}\n[mine]\n{RECIPE}",
    ],
)
def test_the_text_of_a_recipe_is_complete_wherever_its_file_has_it(tmp_path, text):
    path = tmp_path / "registry.toml"
    path.write_text(text)
    found = text_of(path, "mine")
    assert tomllib.loads(found) == {"mine": tomllib.loads(text)["mine"]}
    if "# first" in text:
        assert "# first" in found
        assert "# few" in found
