"""``ganzoo new``: the package it writes installs, trains and passes its own tests; names are checked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo.cli.new import PLACES, TEMPLATE


def test_it_installs_trains_and_passes_its_tests(ganzoo, workplace):
    result = ganzoo("new", "demo-gan")
    assert result.code == 0
    assert "ganzoo run demo-gan" in result.out
    project, site = workplace / "demo-gan", workplace / "site"
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert written == {place.format(module="demo_gan") for place in PLACES.values()}
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "--target", str(site), str(project)], check=True, timeout=120)

    def run(*command: object) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        command = [sys.executable, "-m", *map(str, command)]
        result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    assert "Radius of the discs, in pixels" in " ".join(run("ganzoo", "show", "demo-gan").split())
    assert "Done: step 50" in run("ganzoo", "run", "demo-gan", "--steps", 50, "--out", "run")
    assert "3 passed" in run("pytest", "-q", "-p", "no:cacheprovider", "-k", "not all_that_a_recipe_must")
    assert "everything holds" in run("ganzoo", "check", "demo-gan", "--set", "model.width=8")


def test_it_is_written_as_this_house_writes(ganzoo, workplace):
    assert ganzoo("new", "a2-b", "--out", "there").code == 0
    assert (workplace / "there/a2_b/__init__.py").exists()
    for command in (["check", "--select", "E,F,W,I,N,UP,B,A,C4,SIM,PT,RUF"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "--line-length", "120", "."]
        result = subprocess.run(ruff, cwd="there", capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout
    for path in (workplace / "there").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert "{{" not in text
        assert "demo" not in text


def test_every_template_is_used():
    assert {path.relative_to(TEMPLATE).as_posix() for path in TEMPLATE.rglob("*.jinja")} == PLACES.keys()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("My_GAN", "such as my-gan"),
        ("3d-gan", "such as d-gan"),
        ("--", "such as my-gan"),
        ("a--b", "such as a-b"),
        ("ünlü", "lower-case letters"),
        ("../up", "such as up"),
        ("fc-mnist", "is taken by the plugin fc-mnist (of torch-ganzoo"),
        ("fc-ring8", "is taken by a recipe of"),
        ("mnist", "is taken by the data set of the plugin fc-mnist"),
        ("hinge", "is taken by the loss of the plugin losses"),
        ("torch", "is taken by the module 'torch', which is installed. Give another, such as my-torch."),
        ("string", "is taken by the module 'string'"),
        ("class", "is taken by Python, as a keyword"),
        ("export", "is taken by the command 'ganzoo export'"),
    ],
)
def test_names_that_will_not_do(ganzoo, workplace, name, complaint):
    result = ganzoo("new", "--", name)
    assert result.code == 2
    assert complaint in result.err
    assert not list(workplace.iterdir())


def test_a_folder_that_is_not_empty_is_left_alone(ganzoo, workplace):
    Path("my-gan").mkdir()
    assert ganzoo("new", "my-gan").code == 0
    before = sorted(Path("my-gan").rglob("*"))
    Path("my-gan/README.md").write_text("mine")
    result = ganzoo("new", "my-gan")
    assert result.code == 2
    assert "is not an empty folder. Give another one: --out FOLDER" in result.err
    assert sorted(Path("my-gan").rglob("*")) == before
    assert Path("my-gan/README.md").read_text() == "mine"
    Path("file").write_text("")
    assert ganzoo("new", "my-gan", "--out", "file").code == 2
    result = ganzoo("new", "my-gan", "--out", "file/inside")
    assert result.code == 2
    assert "file/inside cannot be made: file is a file" in result.err
