"""Imports run one way: down the layers of ganzoo, and from GANs to parts to ganzoo. Plugins import public names only.
What is slow to import is imported when it is needed.

Each rule is a function that returns what breaks it, so that the tests can also try it on examples that do.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import ganzoo
from ganzoo.cli.new import IN_TREE, PACKAGE, render
from tests.engine.test_site import PUBLIC  # the modules that the API reference shows

ROOT = Path(__file__).parents[2]
GROUPS = ("gans", "parts", "tools")

LAYERS = (
    {"errors", "words", "console", "guard", "toml", "options", "files", "randomness", "images", "distributed"},
    {"recipes", "flat"},
    {"data", "model", "loss", "augmentation", "metric", "events"},
    {"parts", "evidence", "hookspecs", "zoo", "__init__"},
    {"runs"},
    {"evaluation", "training", "export"},
    {"run", "api", "comparison", "source", "pages", "reproduction", "benchmark", "testing"},
    {"cli", "__main__"},
)
"""The modules and packages in ganzoo, from the ground up: each imports from its own layer and from lower ones only."""

ALONE = {"evaluation", "training", "export"}
BESIDE = {("training", "evaluation")}
"""Of the packages in ``ALONE``, none imports from another one, but for these pairs."""


# --- who imports whom ------------------------------------------------------------------------------------------------


def modules_of(*folders: Path) -> dict[str, Path]:
    """Return module name -> file of all packages in these folders."""
    found = {}
    for package in (path.parent for folder in folders for path in sorted(folder.glob("*/__init__.py"))):
        for file in sorted(package.rglob("*.py")):
            names = file.relative_to(package.parent).with_suffix("").parts
            found[".".join(names[:-1] if names[-1] == "__init__" else names)] = file
    return found


MODULES = {name: file for name, file in modules_of(ROOT).items() if name.startswith("ganzoo")} | modules_of(
    *(ROOT / "plugins" / group for group in GROUPS)
)
LAZY = {name: f"ganzoo.{module}" for name, module in ganzoo._MODULES.items()}
"""Name that ``ganzoo`` exports lazily -> the module that defines it."""


def imports_of(name: str, modules: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for all that a module imports from these modules: at the top, in functions, and for type
    checkers. The name is empty if the module itself is imported."""
    tree = ast.parse(modules[name].read_text(encoding="utf-8"))
    if name == "ganzoo":  # its lazy exports are for users
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                if f"{source}.{alias.name}" in modules:
                    yield f"{source}.{alias.name}", ""
                elif source in modules:
                    yield source, alias.name


def graph_of(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return module -> the modules it imports from. A lazy export of ganzoo counts as its home."""
    return {
        name: {LAZY.get(what, source) if source == "ganzoo" else source for source, what in imports_of(name, modules)}
        for name in modules
    }


def circle_in(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a circle of imports, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def climbs_in(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the imports within ganzoo that run up or to the side, as ``"a imports b"``."""
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for name, sources in graph.items():
        for source in sources:
            if name.partition(".")[0] == source.partition(".")[0] == "ganzoo":
                upper, lower = ([*module.split("."), "__init__"][1] for module in (name, source))
                beside = upper != lower and {upper, lower} <= ALONE and (upper, lower) not in BESIDE
                if rank[upper] < rank[lower] or beside:
                    wrong.append(f"{name} imports {source}")
    return sorted(wrong)


def group_of(module: str) -> str:
    """Return what a module belongs to: ``ganzoo``, or the group of its plugin."""
    return "ganzoo" if module.partition(".")[0] == "ganzoo" else MODULES[module].relative_to(ROOT).parts[1]


def crossings_in(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the imports between plugins that are not allowed, as ``"a imports b"``."""
    allowed = {
        "ganzoo": {"ganzoo"},
        "parts": {"ganzoo", "parts"},
        "gans": {"ganzoo", "parts"},
        "tools": {"ganzoo", "parts"},
    }
    return sorted(
        f"{name} imports {source}"
        for name, sources in graph.items()
        for source in sources
        if name.partition(".")[0] != source.partition(".")[0] and group_of(source) not in allowed[group_of(name)]
    )


def test_no_imports_run_in_a_circle():
    assert circle_in(graph_of(MODULES)) == []


def test_imports_within_ganzoo_run_down():
    components = {[*name.split("."), "__init__"][1] for name in MODULES if name.partition(".")[0] == "ganzoo"}
    assert components == set().union(*LAYERS)
    assert climbs_in(graph_of(MODULES)) == []


def test_gans_import_parts_and_both_import_ganzoo_and_none_the_other_way():
    assert crossings_in(graph_of(MODULES)) == []


def test_imports_of_every_kind_are_found_and_circles_are_seen(tmp_path):
    package = tmp_path / "pack"
    (package / "sub").mkdir(parents=True)
    texts = {
        "__init__.py": "",
        "one.py": "from pack import two",
        "two.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.three import thing",
        "three.py": "def f():\n    import pack.sub.four",
        "sub/__init__.py": "",
        "sub/four.py": "import os",
        "sub/five.py": "from ..one import a\nfrom .four import b\nfrom . import four",
    }
    for file, text in texts.items():
        (package / file).write_text(text)
    graph = graph_of(modules_of(tmp_path))
    assert graph == {
        "pack": set(),
        "pack.one": {"pack.two"},
        "pack.two": {"pack.three"},
        "pack.three": {"pack.sub.four"},
        "pack.sub": set(),
        "pack.sub.four": set(),
        "pack.sub.five": {"pack.one", "pack.sub.four"},
    }
    assert circle_in(graph) == []
    (package / "sub/four.py").write_text("def f():\n    from pack.one import x")
    assert set(circle_in(graph_of(modules_of(tmp_path)))) == {"pack.one", "pack.two", "pack.three", "pack.sub.four"}


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("ganzoo.errors", "ganzoo.model", True),
        ("ganzoo.model", "ganzoo.errors", False),
        ("ganzoo.recipes", "ganzoo.data", True),
        ("ganzoo.evaluation.draw", "ganzoo.training.state", True),
        ("ganzoo.training.state", "ganzoo.evaluation.draw", False),
        ("ganzoo.export.formats", "ganzoo.evaluation.draw", True),
        ("ganzoo.training.state", "ganzoo.export", True),
        ("ganzoo.export.formats", "ganzoo.export", False),
        ("ganzoo.runs.records", "ganzoo", False),
        ("ganzoo.api", "ganzoo.cli.run", True),
        ("ganzoo_fc.model", "ganzoo.api", False),
    ],
)
def test_imports_that_run_up_are_seen(module, source, wrong):
    assert bool(climbs_in({module: {source}})) == wrong


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("ganzoo_sngan.model", "ganzoo_dcgan.model", True),
        ("ganzoo_sngan.model", "ganzoo_sngan.networks", False),
        ("ganzoo_sngan.model", "ganzoo_networks.conv", False),
        ("ganzoo_sngan.model", "ganzoo_report", True),
        ("ganzoo_networks.conv", "ganzoo_dcgan.model", True),
        ("ganzoo_digits.train", "ganzoo_mnist.data", False),
        ("ganzoo_report", "ganzoo_fc.model", True),
        ("ganzoo_report", "ganzoo_health", True),
        ("ganzoo.api", "ganzoo_fc.model", True),
        ("ganzoo_fc.model", "ganzoo.api", False),
    ],
)
def test_imports_between_groups_are_seen(module, source, wrong):
    assert bool(crossings_in({module: {source}})) == wrong


# --- what plugins may import from ganzoo -----------------------------------------------------------------------------


def private_imports_of(name: str, modules: Mapping[str, Path]) -> list[str]:
    """Return what a plugin imports from ganzoo that is not public, as ``"module: name"``."""
    wrong = []
    for source, what in imports_of(name, {**modules, **MODULES}):
        if source.partition(".")[0] != "ganzoo":
            continue
        public = source in PUBLIC and not what.startswith("_")
        if source == "ganzoo":
            public = not what or what in ganzoo.__all__
        if not public or (what and not hasattr(import_module(source), what)):
            wrong.append(f"{name}: {source} {what}".rstrip())
    return wrong


def plugins() -> dict[str, Path]:
    """Return the modules of all plugins: ours, and those of docs/examples."""
    ours = {name: file for name, file in MODULES.items() if group_of(name) != "ganzoo"}
    return ours | modules_of(*(ROOT / "docs/examples").iterdir())


@pytest.mark.parametrize("name", sorted(plugins()))
def test_plugins_import_public_names_only(name):
    assert private_imports_of(name, plugins()) == []


def test_the_templates_of_new_plugins_import_public_names_only(tmp_path):
    for place, text in {**render(PACKAGE, "my-gan", "my_gan"), **render(IN_TREE, "my-gan", "ganzoo_my_gan")}.items():
        path = tmp_path / place.removeprefix("plugins/gans/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = modules_of(tmp_path)
    assert {"my_gan.model", "my_gan.loss", "ganzoo_my_gan.model"} <= found.keys()
    assert [problem for name in found for problem in private_imports_of(name, found)] == []


def test_imports_that_are_not_public_are_seen(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text(
        "import ganzoo.testing\nfrom ganzoo import Model, images\nfrom ganzoo.files import write_atomically\n"
        "from ganzoo.training.state import TrainingState\n\ndef f():\n    from ganzoo import api\n"
        "    from ganzoo.recipes import _recipe\n    from ganzoo.images import no_such_name\n"
        "    from ganzoo import import_module\n"
    )
    assert private_imports_of("pack", modules_of(tmp_path)) == [
        "pack: ganzoo.training.state TrainingState",
        "pack: ganzoo.api",
        "pack: ganzoo.recipes _recipe",
        "pack: ganzoo.images no_such_name",
        "pack: ganzoo import_module",
    ]


# --- what is imported when -------------------------------------------------------------------------------------------

SLOW = {"torch._dynamo", "torch._inductor", "sympy", "torchvision", "scipy", "pandas", "plotly", "torch_fidelity"}
SMALL = ("--set", "data.split=test", "--set", "model.generator_width=16")


def imported_by(*args: str) -> set[str]:
    """Return which of the slow modules a command imports, in a process of its own."""
    code = (
        "import sys; from ganzoo.cli import invoke; assert invoke(sys.argv[1:]) == 0;"
        f"print('imported:', *{SLOW!r} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_training_imports_neither_the_compiler_nor_torchvision(tmp_path, optimizer):
    out = str(tmp_path / "run")
    args = ("--set", f"optimizer.name={optimizer}", "--evaluate-every", "0", "--out", out)
    assert imported_by("run", "fc-mnist", "--steps", "2", *SMALL, *args) == set()
    assert imported_by("resume", out, "--steps", "3") == set()
    assert imported_by("sample", out, "-n", "4", "-o", str(tmp_path / "grid.png")) == set()


def test_slow_imports_are_seen(tmp_path):
    resized = ("--set", "data.size=32", "--set", "data.fit=resize")  # by torchvision
    assert "torchvision" in imported_by(
        "run", "fc-mnist", "--steps", "1", *SMALL, *resized, "--out", str(tmp_path / "r")
    )
