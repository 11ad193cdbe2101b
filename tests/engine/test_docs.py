"""The docs are true: hooks, options, links, and every plugin and notebook in them runs."""

import importlib.util
import inspect
import json
import math
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import nbformat
import pytest
from nbclient import NotebookClient

from ganzoo import hookspecs
from ganzoo.cli import cli
from ganzoo.zoo import Zoo
from ganzoo.recipes import read_one
from ganzoo.training.experiment import build
from ganzoo.runs.directory import RunInfo, Tick

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.M | re.S)


def test_every_hook_is_documented_with_its_arguments():
    specs = {name: value for name, value in vars(hookspecs).items() if name.startswith("ganzoo_")}
    documented = dict(re.findall(r"^### `(ganzoo_\w+)\((.*?)\)`$", text("docs/hooks.md"), re.M))
    assert documented == {name: ", ".join(inspect.signature(spec).parameters) for name, spec in specs.items()}
    for fields in (RunInfo, Tick):
        for name in fields.__dataclass_fields__:
            assert f"`{name}`" in text("docs/hooks.md"), name


def test_every_command_and_option_is_in_the_readme():
    readme = text("README.md")
    context = click.Context(cli)
    for name in ("list", "show", "run", "resume", "sample", "evaluate", "reproduce", "report", "compare", "film"):
        assert f"`ganzoo {name}" in readme
        command = cli.get_command(context, name)
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, parameter
    row = next(line for line in readme.splitlines() if line.startswith("| `ganzoo run"))
    for parameter in cli.get_command(context, "run").params:
        if isinstance(parameter, click.Option) and parameter.name != "debug":
            assert parameter.opts[-1] in row, parameter


def test_the_page_of_the_zoo_is_made_from_the_registry():
    spec = importlib.util.spec_from_file_location("make_zoo", ROOT / "docs/make_zoo.py")
    make_zoo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_zoo)
    assert text("docs/zoo.md") == make_zoo.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_tutorials_tell_the_same():
    def shape(page):
        return [len(level) for level in re.findall(r"^(#+) ", text(page), re.M)]

    assert shape("docs/tutorial.md") == shape("docs/tutorial.zh-TW.md")
    pages = ("docs/tutorial.md", "docs/tutorial.zh-TW.md")
    commands = [re.findall(r"ganzoo (?:run|show|sample|resume|list|evaluate)[^`\n#]*", text(page)) for page in pages]
    assert {c.strip() for c in commands[0]} == {c.strip() for c in commands[1]}


def test_the_recipe_of_getting_started_is_one(tmp_path):
    (recipe,) = blocks("docs/getting-started.md", "toml")
    (tmp_path / "my-fc.toml").write_text(recipe)
    experiment = build(Zoo(), read_one(tmp_path / "my-fc.toml"))
    assert experiment.model.generator[0].out_features == 512
    assert experiment.optimizers["generator"]["betas"] == (0.5, 0.999)


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
    _, loss, hooks = blocks("README.md", "python")
    (project,) = blocks("README.md", "toml")
    build_system = (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'  # pip's default is another
    )
    site = installed(
        tmp_path, {"pyproject.toml": build_system + project, "my_gan/__init__.py": hooks, "my_gan/loss.py": loss}
    )
    assert sum(bool(line.strip()) for line in (loss + hooks + project).splitlines()) <= 20
    assert "Done: step 20" in run(site, tmp_path, "run", "fc-mnist", "--loss", "smoothed", "--steps", "20")


EXAMPLE = ROOT / "docs/examples/ganzoo-ebgan"
OF_THE_EXAMPLE = [
    "pyproject.toml",
    "ganzoo_ebgan/__init__.py",
    "ganzoo_ebgan/model.py",
    "ganzoo_ebgan/loss.py",
    "ganzoo_ebgan/registry.toml",
    "tests/test_ebgan.py",
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
    assert count <= 80
    assert f"in {count} lines" in text("docs/plugins.md")


def test_the_plugin_of_the_chapter_works(tmp_path):
    site = installed(tmp_path, {name: (EXAMPLE / name).read_text(encoding="utf-8") for name in OF_THE_EXAMPLE})
    shown = " ".join(run(site, tmp_path, "show", "ebgan-mnist").split())  # without the breaks of a narrow table
    assert "Numbers in the autoencoder's code" in shown
    quick = ("--set", "data.split=test", "--steps", "9")
    assert "Done: step 9" in run(site, tmp_path, "run", "ebgan-mnist", *quick)
    assert "Done: step 9" in run(site, tmp_path, "run", "fc-ring8", *quick[2:], "--model", "autoencoding")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "source/tests"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout


def test_the_other_code_of_the_chapter_works():
    spiral, classified = [block for block in blocks("docs/plugins.md", "python") if block.startswith("class")]
    names = {}
    imports = "from typing import Annotated\nimport torch\nfrom ganzoo import Option, TensorData\n"
    exec(imports + spiral, names)
    assert names["Spiral"](turns=2.0).fields["point"].shape == (2,)
    imports = "from ganzoo_losses.non_saturating import NonSaturating\nfrom torch.nn.functional import cross_entropy\n"
    exec(imports + classified, names)
    torch = names["torch"]
    heads, label = {"class": torch.zeros(5, 10)}, {"label": torch.arange(5)}
    for terms in (names["Classified"]().real_head_losses, names["Classified"]().fake_head_losses):
        assert terms(heads, label)["class"].item() == pytest.approx(math.log(10))


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
