"""The docs are true: hooks, commands, settings and links exist, and every plugin and notebook in them runs."""

import ast
import inspect
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import nbformat
import pytest
from nbclient import NotebookClient

from ganzoo import Alarm, Observer, Recipe, RunInfo, Tick, api, hookspecs, options
from ganzoo.cli import cli
from ganzoo.parts import PLURALS, resolve
from ganzoo.recipes import PARTS, read_one
from ganzoo.training.experiment import build
from ganzoo.training.settings import TrainSettings
from ganzoo.zoo import Zoo
from tests.conftest import TINY

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "plugins/README.md", *(ROOT / "docs").rglob("*.md")])
HISTORY = {ROOT / "CHANGELOG.md", *(ROOT / "docs/decisions").glob("*.md")}  # it tells of names that are gone
TOUR = (
    "registry.toml",
    "plugins/gans/ganzoo_fc/model.py",
    "ganzoo/loss.py",
    "ganzoo/training/state.py",
    "ganzoo/training/trainer.py",
)
REPOSITORY = re.compile(
    r"https://(?:github\.com/ganzoo/ganzoo/(?:blob|tree)|raw\.githubusercontent\.com/ganzoo/ganzoo)/main/(.*)"
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page; "" for those without one."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text(page), re.M | re.S)
    return [block for of, block in found if of == language]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- hooks, commands, settings ----------------------------------------------------------------------------------------


def arguments(function: object) -> str:
    return ", ".join(name for name in inspect.signature(function).parameters if name != "self")


def test_every_hook_and_method_is_documented_with_its_arguments():
    page = text("docs/hooks.md")
    hooks = {name: arguments(value) for name, value in vars(hookspecs).items() if name.startswith("ganzoo_")}
    methods = {name: arguments(value) for name, value in vars(Observer).items() if name.startswith("on_")}
    assert len(hooks) == 3
    assert len(methods) == 5
    assert dict(re.findall(r"^### `(\w+)\((.*?)\)`$", page, re.M)) == {**hooks, **methods}
    for described in (RunInfo, Tick, Alarm):
        for name in described.__dataclass_fields__:
            assert f"`{name}`" in page, name
    assert re.findall(r"^\| `(\w+)` \| an? (?:subclass|instance) of ", page, re.M) == list(PLURALS)


def test_the_observer_of_the_page_observes(ganzoo, install):
    (source,) = [block for block in blocks("docs/hooks.md", "python") if "Observer" in block]
    install("my-gan", source)
    result = ganzoo("run", "fc-mnist", "--steps", 2, "--out", "run", *TINY)
    assert result.code == 0, result.err
    assert "Warning" not in result.err
    assert re.fullmatch(r"2 \d\.\d+\n", Path("run/losses.txt").read_text())


def test_every_command_and_option_is_in_the_readme():
    readme = text("README.md")
    context = click.Context(cli)
    for name in cli.list_commands(context):
        assert f"`ganzoo {name}" in readme, name
        command = cli.get_command(context, name)
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, parameter
    row = next(line for line in readme.splitlines() if line.startswith("| `ganzoo run"))
    for parameter in cli.get_command(context, "run").params:
        if isinstance(parameter, click.Option) and parameter.name != "debug":
            assert parameter.opts[-1] in row, parameter
    row = next(line for line in readme.splitlines() if line.startswith("| `ganzoo list"))
    for plural in (*PLURALS, "plugins"):
        assert f"`{plural}`" in row, plural


def commands(page: Path) -> list[str]:
    """The ganzoo commands on a page: lines of its code blocks, and code within its text."""
    lines = [line for block in blocks(name_of(page), "") for line in block.splitlines()]
    typed = [part.strip().removeprefix("$ ") for line in lines for part in line.split("&&")]
    typed += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8"))
    return [part.partition(" #")[0] for part in typed if re.match(r"ganzoo [a-z]+( |$)", part)]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in HISTORY], ids=name_of)
def test_commands_exist_and_accept_their_options(page):
    zoo, context = Zoo(), click.Context(cli)
    recipes = {entry.name for entry in zoo.entries()}
    for typed in commands(page):
        _, name, *words = shlex.split(typed)
        command = cli.get_command(context, name)
        assert command, typed
        if not words or words[-1] in ("--kind", "..."):
            continue  # only mentioned
        given = {key: value for key, value in command.make_context(name, words).params.items() if value != "OTHER"}
        recipe = given.pop("recipe", None)
        if recipe in recipes and name in ("run", "check"):
            for option in ("out", "init"):
                given.pop(option, None)
            check_settings(zoo, api.adapt(zoo.recipe(recipe), **given))


def check_settings(zoo: Zoo, recipe: Recipe) -> None:
    """Refuse settings that do not exist, unless a part comes from a plugin that is only an example."""
    options.check(TrainSettings, recipe.train, "train")
    for kind, path, choice in recipe.parts():
        if choice.name in zoo.names(kind):
            resolve(zoo.part(kind, choice.name), choice, path)


def test_settings_exist():
    parts = [(kind, part.load()) for kind in PARTS for part in Zoo().parts(kind)]
    known = {f"{kind}.{option.name}" for kind, part in parts for option in options.options_of(part)}
    known |= {f"train.{option.name}" for option in options.options_of(TrainSettings)}
    known |= {"model.code_dim", "loss.margin", "data.OPTION"}  # of the example plugin, and a placeholder
    for page in set(PAGES) - HISTORY:
        code = [*blocks(name_of(page), ""), *re.findall(r"`[^`\n]+`", page.read_text(encoding="utf-8"))]
        for path in re.findall(r"(?<![\w/.])(?:train|data|model|loss)\.\w+(?![\w(.])", " ".join(code)):
            assert path in known or path.endswith(".py"), f"{path} on {page}"


def test_every_file_of_a_run_is_documented(trained):
    page = text("docs/run-directory.md")
    for path in trained.rglob("*"):
        name = "events.out.tfevents.*" if path.name.startswith("events") else re.sub(r"\d{8}", "<step>", path.name)
        assert name in page or path.name in page, path
    for line in (trained / "metrics.jsonl").read_text().splitlines():
        for name in json.loads(line):
            assert "/" in name or "(" in name or f"`{name}`" in page, name
    for name in Alarm.__dataclass_fields__:
        assert name == "kind" or f"`{name}`" in page, name


def test_the_alarm_of_the_health_page_is_raised(ganzoo):
    page = text("docs/health.md")
    (transcript,) = [block for block in blocks("docs/health.md", "") if block.startswith("$ ganzoo run")]
    command, _, printed = transcript.partition("\n")
    result = ganzoo(*shlex.split(command)[2:])
    assert result.code == 1
    assert result.out + result.err == printed
    assert "| `fc-mnist --set optimizer.generator.lr=0.03` | `discriminator-won` at step 600 |" in page


# --- links and structure ----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)", prose):
        ours = REPOSITORY.fullmatch(link)
        if not ours and re.match(r"\w+:", link):
            continue
        target, _, anchor = (ours[1] if ours else link).partition("#")
        path = (ROOT if ours else page.parent) / target if target else page
        assert path.exists(), link
        if anchor and path.suffix == ".md" and page.parent.name != "api":  # the site makes the anchors of the API
            assert anchor in anchors(path), link


def test_the_readme_has_links_that_work_on_the_package_index():
    links = re.findall(r"\]\(([^)\s]+)", text("README.md"))
    assert [link for link in links if not link.startswith("https://")] == []
    pictures = re.findall(r"!\[[^]]*\]\(([^)\s]+)", text("README.md"))
    assert [link for link in pictures if not link.startswith("https://raw.githubusercontent.com/")] == []
    assert sum(bool(REPOSITORY.fullmatch(link)) for link in links) > 20


@pytest.mark.parametrize("page", ["README.md", "docs/design.md"])
def test_the_guided_tour_visits_five_files(page):
    _, _, tour = text(page).partition("## A guided tour")
    links = re.findall(r"^\d\. \[.*?\]\((.*?)\)", tour.partition("\n## ")[0], re.M)
    paths = [ROOT / m[1] if (m := REPOSITORY.fullmatch(link)) else (ROOT / page).parent / link for link in links]
    assert [path.resolve() for path in paths] == [ROOT / name for name in TOUR]


def test_the_map_of_the_plugins_has_every_group():
    groups = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    assert set(re.findall(r"^\| \[(\w+)/\]\(\1\) \|", text("plugins/README.md"), re.M)) == groups


def test_the_design_page_shows_the_layout():
    layout = next(block for block in blocks("docs/design.md", "") if block.startswith("registry.toml"))
    shown = set(re.findall(r"[\w./-]+", layout))
    inside = [path for path in (ROOT / "ganzoo").iterdir() if not path.name.startswith("_") and path.suffix != ".typed"]
    for path in inside:
        assert (f"{path.name}/" if path.is_dir() else path.name) in shown, path


def test_imports_run_the_way_that_the_design_page_says():
    layers = next(block for block in blocks("docs/design.md", "") if block.startswith("cli"))
    level = {name: number for number, line in enumerate(layers.splitlines()) for name in line.split()}
    for path in (ROOT / "ganzoo").rglob("*.py"):
        own = path.relative_to(ROOT / "ganzoo").parts[0].removesuffix(".py")
        if own.startswith("__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "ganzoo":
                continue
            inner = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            for name in set(inner) & level.keys():
                assert level[own] <= level[name], f"{path} imports {name}"


def test_the_tutorials_tell_the_same():
    def shape(page):
        return [len(level) for level in re.findall(r"^(#+) ", text(page), re.M)]

    assert shape("docs/tutorial.md") == shape("docs/tutorial.zh-TW.md")
    both = ("docs/tutorial.md", "docs/tutorial.zh-TW.md")
    commands = [re.findall(r"ganzoo (?:run|show|sample|resume|list|evaluate)[^`\n#]*", text(page)) for page in both]
    assert {c.strip() for c in commands[0]} == {c.strip() for c in commands[1]}
    links = [re.findall(r"\]\(((?!tutorial)[^)\s]+)", text(page)) for page in both]
    assert sorted(links[0]) == sorted(links[1])
    for kind in (r"^\|[^\n]*\|$", r"^\$\$\n.*?^\$\$$", r"`--[^`]*`"):  # rows of tables, formulas, options
        counts = [len(re.findall(kind, text(page), re.M | re.S)) for page in both]
        assert counts[0] == counts[1] > 0


# --- code that runs ---------------------------------------------------------------------------------------------------


def test_the_recipe_of_getting_started_is_one(tmp_path):
    (recipe,) = blocks("docs/getting-started.md", "toml")
    (tmp_path / "my-fc.toml").write_text(recipe)
    experiment = build(Zoo(), read_one(tmp_path / "my-fc.toml"))
    assert experiment.model.generator[0].out_features == 512
    assert experiment.optimizers["generator"].part.options["betas"] == (0.5, 0.999)


def installed(tmp_path: Path, files: dict[str, str]) -> Path:
    """Install a package written out of a page, and return the folder it went to."""
    for name, content in files.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "-q"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(tmp_path / "source")], check=True, timeout=120)
    return tmp_path / "site"


def run(site: Path, folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "ganzoo", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_plugin_of_the_readme_works(tmp_path):
    loss, hooks, _ = blocks("README.md", "python")
    (project,) = blocks("README.md", "toml")
    build_system = (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'  # pip's default is another
    )
    site = installed(
        tmp_path, {"pyproject.toml": build_system + project, "my_gan/__init__.py": hooks, "my_gan/loss.py": loss}
    )
    assert sum(bool(line.strip()) for line in (loss + hooks + project).splitlines()) <= 20
    assert "Done: step 20" in run(site, tmp_path, "run", "fc-mnist", "--loss", "smoothed", "--steps", "20")


EXAMPLE = ROOT / "docs/examples/my-ebgan"
OF_THE_EXAMPLE = [
    "pyproject.toml",
    "my_ebgan/__init__.py",
    "my_ebgan/model.py",
    "my_ebgan/loss.py",
    "my_ebgan/registry.toml",
    "tests/test_my_ebgan.py",
]


def test_the_chapter_shows_the_example_as_it_is():
    files = {path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*.*") if "__pycache__" not in path.parts}
    assert files == {*OF_THE_EXAMPLE, "README.md"}
    shown = re.findall(r"^`(\S+)`:\n\n```(\w+)\n(.*?)^```", text("docs/plugins.md"), re.M | re.S)
    assert [name for name, _, _ in shown] == OF_THE_EXAMPLE
    for name, language, block in shown:
        assert block == (EXAMPLE / name).read_text(encoding="utf-8"), f"docs/plugins.md shows another {name}"
        assert language == {".toml": "toml", ".py": "python"}[Path(name).suffix]
    lines = [line.strip() for name in OF_THE_EXAMPLE for line in (EXAMPLE / name).read_text().splitlines()]
    count = sum(bool(line) and not line.startswith("#") for line in lines)
    assert count <= 75
    assert f"in {count} lines" in text("docs/plugins.md")


def test_the_plugin_of_the_chapter_works(tmp_path):
    site = installed(tmp_path, {name: (EXAMPLE / name).read_text(encoding="utf-8") for name in OF_THE_EXAMPLE})
    shown = " ".join(run(site, tmp_path, "show", "my-ebgan-mnist").split())  # without the breaks of a narrow table
    assert "Dimension of the autoencoder's code" in shown
    quick = ("--set", "data.split=test", "--steps", "9")
    assert "Done: step 9" in run(site, tmp_path, "run", "my-ebgan-mnist", *quick)
    mixed = ("--model", "autoencoding", "--loss", "energy", "--penalty", "r1")
    assert "Done: step 9" in run(site, tmp_path, "run", "fc-mnist", *quick, *mixed)
    assert "Done: step 9" in run(site, tmp_path, "run", "fc-ring8", *quick[2:], "--model", "autoencoding")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "source/tests"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout


def test_the_other_code_of_the_chapter_works():
    code = blocks("docs/plugins.md", "python")
    classes = ("Spiral", "Classified", "Flip", "Pretrained")
    spiral, classified, flip, pretrained = [
        next(block for block in code if re.search(rf"^class {name}\b", block, re.M)) for name in classes
    ]
    names = {}
    imports = "from typing import Annotated\nimport torch\nfrom ganzoo import Option, TensorDataset\n"
    exec(imports + spiral, names)
    assert names["Spiral"](turns=2.0).fields["point"].shape == (2,)
    exec(classified, names)
    torch = names["torch"]
    heads, label = {"class": torch.zeros(5, 10)}, {"label": torch.arange(5)}
    for losses in (names["Classified"]().real_head_losses, names["Classified"]().fake_head_losses):
        assert losses(heads, label)["class"].item() == pytest.approx(math.log(10))
    exec("from ganzoo import Augmentation\n" + flip, names)
    images = torch.rand(500, 3, 4, 4)
    flipped = names["Flip"]().transform(images)
    mirrored = (flipped == images.flip(3)).all((1, 2, 3))
    assert 200 < mirrored.sum() < 300
    assert torch.equal(flipped[~mirrored], images[~mirrored])
    exec(pretrained, names)
    due = {step: [turn.due(step) for turn in names["Pretrained"]().turns()] for step in (1000, 1001)}
    assert due == {1000: [True, False, False], 1001: [False, True, True]}
    assert names["Pretrained"].phases == (1001,)


def test_the_notebook_runs(tmp_path, monkeypatch):
    """From an empty folder; what it starts (TensorBoard) is stopped again."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    kernel = tmp_path / "jupyter/kernels/this"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "this", "language": "python"}))
    notebook = nbformat.read(ROOT / "docs/tutorial.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "clear the outputs before committing"
    work = tmp_path / "work"
    work.mkdir()
    client = NotebookClient(notebook, timeout=300, kernel_name="this", resources={"metadata": {"path": str(work)}})
    try:
        client.execute()
    finally:
        for info in temporary.glob(".tensorboard-info/pid-*.info"):
            with suppress(OSError):
                os.kill(json.loads(info.read_text())["pid"], signal.SIGTERM)
    images = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert images
    assert list(work.rglob("checkpoints/step-*"))
