"""Plugins: one from another package works like ours; a broken one is named and does no harm."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ganzoo.errors import UsageError
from ganzoo.zoo import Zoo
from tests.conftest import TINY

LIGHT = "from ganzoo import hookimpl\n"
PARTS = LIGHT + "@hookimpl\ndef ganzoo_parts(): return "


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("def f(:", "SyntaxError"),
        (LIGHT + "@hookimpl\ndef ganzoo_prats(): return {}", "Did you mean 'ganzoo_parts'?"),
        (LIGHT + "@hookimpl\ndef ganzoo_parts(zoo): return {}", "zoo"),
        (PARTS + "['a']", "ganzoo_parts must return a mapping, not ['a']"),
        (PARTS + "{'modles': {}}", "unknown kind 'modles'. Did you mean 'models'?"),
        (PARTS + "{'model': {'a': 'b:c'}}", "unknown kind 'model'. Did you mean 'models'?"),
        (PARTS + "{5: {}}", "unknown kind 5. Available: augmentations, commands, datasets"),
        (PARTS + "{'models': ['a']}", "ganzoo_parts must map 'models' to a mapping, not ['a']"),
        (PARTS + "{'models': None}", "ganzoo_parts must map 'models' to a mapping, not None"),
        (PARTS + "{'models': {'a': 3}}", "'module:object', not 'a' to 3"),
        (PARTS + "{'models': {'a': 'no colon'}}", "'module:object'"),
        (PARTS + "{'models': {4: 'a:b'}}", "'module:object'"),
        (PARTS + "{'losses': {'a/b': 'a:b'}}", "names without '/'"),
        (LIGHT + "@hookimpl\ndef ganzoo_parts(): raise ValueError('oops')", "ganzoo_parts raised ValueError: oops"),
        ("class Stop(KeyboardInterrupt): pass\nraise Stop('for all')", "Stop: for all"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Mute(Exception):\n    def __str__(self): return 5\nraise Mute", "Mute: (its message cannot be shown)"),
        (LIGHT + "@hookimpl\ndef ganzoo_parts(): raise GeneratorExit", "ganzoo_parts raised GeneratorExit"),
        (LIGHT + "import os\n@hookimpl\ndef ganzoo_parts(): os.chdir('/'); return {}", "changed the current directory"),
        (PARTS + "{'models': {'a': 0xf << 99999}}", "ganzoo_parts raised ValueError"),
        (PARTS + "type('Odd', (dict,), {'items': lambda self: 1 / 0})()", "ganzoo_parts raised ZeroDivisionError"),
        (LIGHT + "@hookimpl\ndef ganzoo_registry(): return 5", "must return a path, not 5"),
        (LIGHT + "@hookimpl\ndef ganzoo_registry(): return '/nowhere/registry.toml'", "Cannot read"),
    ],
)
def test_a_broken_plugin_is_named_and_the_others_work(ganzoo, install, source, complaint):
    install("unlucky-gan", source)
    result = ganzoo("list")
    assert result.code == 0
    assert "unlucky-gan (of unlucky-gan 1.0)" in result.out
    assert complaint in result.out
    assert re.search("fc-mnist +unconditional", result.out)
    plugins = json.loads(ganzoo("list", "--kind", "plugins", "--json").out)
    assert any(complaint in (row["error"] or "") for row in plugins if row["plugin"] == "unlucky-gan")
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 2, "--out", "run").code == 0


LOUD = """
import os
from ganzoo import hookimpl
print("hello from import")
os.system("echo hello from a program")
@hookimpl
def ganzoo_parts():
    print("hello from a hook")
    return {"metrics": {"loud": "loud_part:Loud"}}
"""


def test_what_plugins_print_goes_to_standard_error(install):
    path = install("loud", LOUD)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path.parent), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "ganzoo", "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert json.loads(done.stdout)
    assert done.stderr.splitlines() == ["hello from import", "hello from a program", "hello from a hook"]


def test_a_plugin_that_changes_the_current_directory_is_named(ganzoo, install, workplace):
    install("mover", "import os; os.chdir('/')")
    result = ganzoo("list")
    assert "mover (of mover 1.0): it changed the current directory, which was undone" in result.out
    assert Path.cwd() == workplace


def test_a_part_that_prints_or_ends_the_program_is_guarded_too(ganzoo, install, capsys):
    path = install("loud", PARTS + "{'metrics': {'loud': 'loud_part:Loud', 'mute': 'mute_part:Mute'}}")
    source = "from ganzoo import Metric\nprint('hello')\nclass Loud(Metric):\n    'It is loud.'"
    path.with_name("loud_part.py").write_text(source)
    path.with_name("mute_part.py").write_text("raise GeneratorExit")
    result = ganzoo("show", "loud")
    assert (result.code, "hello" in result.out, result.err) == (0, False, "hello\n")
    result = ganzoo("show", "mute")
    assert result.code == 1
    assert "'mute' of the plugin loud (of loud 1.0) cannot be imported from 'mute_part:Mute'" in result.err


HUGE = "0x" + "f" * 5000
"""A number that Python refuses to print."""


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (f"[odd]\ntitle = {HUGE}", "an integer that does not fit into 64 bits"),
        (f"[odd]\ndata = 'mnist'\nmodel = 'fc'\nloss = 'hinge'\ntrain.seed = {HUGE}", "does not fit into 64 bits"),
        (f"odd = {HUGE}", "does not fit into 64 bits"),
        ("[odd." + ".".join("a" * 1500) + "]\nb = 1", "nested too deeply"),
        ("[odd]\ntitle = " + "[" * 1500 + "]" * 1500, "is not valid TOML"),
        ("[odd]\ntitle = " + "9" * 5000, "is not valid TOML"),
    ],
)
def test_numbers_and_nesting_without_end_do_no_harm(ganzoo, install, table, complaint):
    path = install("endless", LIGHT + "import pathlib\n@hookimpl\ndef ganzoo_registry(): "
                   "return pathlib.Path(__file__).with_name('registry.toml')")  # fmt: skip
    path.with_name("registry.toml").write_text(table + "\n")
    for arguments in (["list"], ["list", "--json"], ["list", "--kind", "plugins", "--json"]):
        result = ganzoo(*arguments)
        assert (result.code, result.err) == (0, "")
    assert complaint in result.out
    path.with_name("evidence").mkdir()
    assert ganzoo("show", path.with_name("registry.toml")).code == 2


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("nowhere:Thing", "cannot be imported from 'nowhere:Thing': ModuleNotFoundError"),
        ("ganzoo_fc.model:Missing", "AttributeError"),
        ("ganzoo_losses.classic:NonSaturating", "not a Model"),
        ("math:pi", "is 3.14159"),
    ],
)
def test_a_part_that_is_missing_or_of_another_type_is_an_error_that_names_the_plugin(
    ganzoo, install, target, complaint
):
    install("odd-gan", PARTS + f"{{'models': {{'odd': {target!r}}}}}")
    result = ganzoo("run", "fc-mnist", "--model", "odd")
    assert result.code in (1, 2)
    assert "odd-gan (of odd-gan 1.0)" in result.err
    assert complaint in result.err
    assert "Traceback" not in result.err
    assert not Path("runs").exists()


def test_of_two_parts_with_one_name_each_is_chosen_by_its_plugin(ganzoo, install):
    for name in ("alpha-gan", "beta-gan"):
        install(name, PARTS + "{'models': {'twin': 'ganzoo_fc.model:FullyConnected'}}")
    result = ganzoo("run", "fc-mnist", "--model", "twin")
    assert result.code == 2
    assert "alpha-gan 1.0" in result.err
    assert "beta-gan 1.0" in result.err
    assert "Choose one: alpha-gan/twin or beta-gan/twin" in result.err
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 2, "--model", "beta-gan/twin", "--out", "r").code == 0
    assert "the model 'twin' is also provided by alpha-gan" in ganzoo("list").out


def test_of_two_plugins_with_one_name_the_second_is_broken(ganzoo, install):
    install("alpha-gan", LIGHT, plugin="twin")
    install("beta-gan", LIGHT, plugin="twin")
    text = ganzoo("list", "--kind", "plugins").out
    assert "twin (of beta-gan 1.0): its name is taken by the plugin twin (of alpha-gan 1.0)" in text


def test_a_malformed_recipe_does_no_harm_to_the_others_in_its_file(ganzoo, install, tmp_path):
    registry = tmp_path / "registry.toml"
    registry.write_text(
        '[good]\ndata = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n'
        '[bad]\ndata = "mnist"\nmodle = "fc"\nloss = "non-saturating"\n'
        '[fc-mnist]\ndata = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n'
    )
    install("mixed-gan", LIGHT + f"@hookimpl\ndef ganzoo_registry(): return {str(registry)!r}")
    assert Zoo().recipe("good").name == "good"
    result = ganzoo("run", "bad")
    assert result.code == 2
    assert "Unknown key 'modle'" in result.err
    assert "Did you mean 'model'?" in result.err
    with pytest.raises(UsageError, match="Two registry files define a recipe 'fc-mnist'"):
        Zoo().recipe("fc-mnist")
    rows = {row["name"]: row for row in json.loads(ganzoo("list", "--json").out) if row["name"] != "fc-mnist"}
    assert "Did you mean 'model'?" in rows["bad"]["error"]
    assert rows["good"]["error"] is None
    text = ganzoo("list").out
    assert "Did you mean 'model'?" in text
    assert "is also defined by" in text


# --- a package from outside the tree, installed by pip --------------------------------------------------------

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "spiral-gan"
version = "2.3"
dependencies = ["torch-ganzoo"]

[project.entry-points.ganzoo]
spiral = "spiral_gan"
"""

PACKAGE = {
    "__init__.py": """
        from pathlib import Path
        from ganzoo import hookimpl

        @hookimpl
        def ganzoo_parts():
            return {
                "datasets": {"spiral": "spiral_gan.parts:Spiral"},
                "models": {"tiny": "spiral_gan.parts:Tiny"},
                "losses": {"squares": "spiral_gan.parts:Squares"},
                "commands": {"spiral": "spiral_gan.command:spiral"},
            }

        @hookimpl
        def ganzoo_registry(): return Path(__file__).with_name("registry.toml")
        """,
    "registry.toml": """
        [spiral]
        title = "A GAN from another package"
        task = "unconditional"
        data = { name = "spiral", turns = 2.0 }
        model = "tiny"
        loss = "squares"

        [spiral.train]
        epochs = 2
        batch_size = 50
        """,
    "command.py": """
        import click

        @click.command()
        @click.option("--times", default=1)
        def spiral(times):
            \"\"\"Say something.\"\"\"
            click.echo("round " * times)
        """,
    "parts.py": """
        from typing import Annotated
        import torch
        from torch import nn
        from ganzoo import AdversarialLoss, Model, Option, TensorDataset

        class Spiral(TensorDataset):
            def __init__(self, *, turns: Annotated[float, Option("Turns around the center", gt=0)] = 1.0):
                t = torch.linspace(0, 1, 1000)
                angle = t * turns * 2 * torch.pi
                super().__init__({"point": torch.stack([t * angle.cos(), t * angle.sin()], 1)})

        class Tiny(Model):
            def __init__(self, fields, *, width: Annotated[int, Option("Hidden units", ge=1)] = 32):
                super().__init__(fields)
                n = fields[self.target].shape[0]
                self.generator = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, n))
                self.discriminator = nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 1))
            def sample_latent(self, n, rng): return {"z": torch.randn(n, 2, generator=rng, device=rng.device)}
            def generate(self, latent): return self.generator(latent["z"])
            def discriminate(self, sample, condition): return {"score": self.discriminator(sample)}

        class Squares(AdversarialLoss):
            def discriminator(self, real, fake): return ((real - 1).square().mean() + fake.square().mean()) / 2
            def generator(self, fake, real): return (fake - 1).square().mean() / 2
        """,
}


def test_a_package_from_outside_the_tree_has_everything(tmp_path):
    source, site = tmp_path / "spiral-gan", tmp_path / "site"
    (source / "spiral_gan").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PYPROJECT)
    for name, text in PACKAGE.items():
        (source / "spiral_gan" / name).write_text(dedent(text))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, timeout=120)
    (site / "broken_neighbor.py").write_text("import nothing_at_all")
    info = site / "broken_neighbor-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-neighbor\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[ganzoo]\nneighbor = broken_neighbor\n")
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(site)}
        result = subprocess.run(
            [sys.executable, "-m", "ganzoo", *arguments],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    listed = run("list")
    assert "spiral-gan" in listed
    assert "2.3" in listed
    assert "neighbor (of broken-neighbor 0.1): ModuleNotFoundError" in listed
    assert "Turns around the center" in run("show", "spiral")
    assert "Epoch [2/2]" in run("run", "spiral", "--out", "run", "--set", "model.width=16")
    run("resume", "run", "--epochs", "3")
    run("sample", "run", "-n", "7", "-o", "points.npz")
    assert (empty / "points.npz").exists()
    assert "spiral" in run("--help")
    assert run("spiral", "--times", "2").strip() == "round round"
    assert "step 3" in run("run", "fc-mnist", *TINY, "--steps", "3", "--loss", "squares", "--out", "mixed")


def test_a_metric_that_prints_leaves_json_alone(ganzoo, install, trained):
    path = install("loud", PARTS + "{'metrics': {'loud': 'loud_metric:Loud'}}")
    path.with_name("loud_metric.py").write_text(
        "from ganzoo import Metric, Score\n"
        "class Loud(Metric):\n"
        "    def measure(self, fake, real):\n"
        "        print('hello')\n"
        "        return {'loud': Score(1.0, '')}\n"
    )
    result = ganzoo("evaluate", trained, "--metrics", "loud", "-n", 8, "--json")
    assert (result.code, result.err) == (0, "hello\n")
    assert json.loads(result.out)[0]["value"] == 1.0
