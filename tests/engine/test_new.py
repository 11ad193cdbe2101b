"""``ganzoo new``: the package it writes installs, trains and passes its own tests; so does a GAN in a checkout."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ganzoo import files
from ganzoo.cli.new import IN_TREE, PACKAGE, TEMPLATE

ROOT = Path(__file__).parents[2]


def python(*command: object, path: Path, cwd: Path | None = None) -> str:
    """Run ``python -m`` with a folder on its path, and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    arguments = [sys.executable, "-m", *map(str, command)]
    result = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_package_installs_trains_and_passes_its_tests(ganzoo, workplace):
    result = ganzoo("new", "demo-gan")
    assert result.code == 0
    assert "ganzoo run demo-gan" in result.out
    project, site = workplace / "demo-gan", workplace / "site"
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert written == {place.format(module="demo_gan") for place in PACKAGE.values()}
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "--target", str(site), str(project)], check=True, timeout=120)

    def run(*command: object) -> str:
        return python(*command, path=site, cwd=project)

    assert "Radius of the discs, in pixels" in " ".join(run("ganzoo", "show", "demo-gan").split())
    assert "Done: step 50" in run("ganzoo", "run", "demo-gan", "--steps", 50, "--out", "run")
    assert "3 passed" in run("pytest", "-q", "-p", "no:cacheprovider", "-k", "not all_checks")
    assert "all checks passed" in run("ganzoo", "check", "demo-gan", "--set", "model.width=8")


def test_the_package_is_written_in_our_style(ganzoo, workplace):
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
    used = {*PACKAGE, *IN_TREE, "in_tree/recipe.toml.jinja"}
    assert {path.relative_to(TEMPLATE).as_posix() for path in TEMPLATE.rglob("*.jinja")} == used


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("My_GAN", "such as my-gan"),
        ("3d-gan", "such as d-gan"),
        ("--", "such as my-gan"),
        ("a--b", "such as a-b"),
        ("ünlü", "lowercase letters"),
        ("../up", "such as up"),
        ("fc", "is taken by the plugin fc (of torch-ganzoo"),
        ("fc-ring8", "is taken by a recipe of"),
        ("ring8", "is taken by the dataset of the plugin gaussians"),
        ("hinge", "is taken by the loss of the plugin losses"),
        ("torch", "is taken by the module 'torch', which is installed. Give another, such as my-torch."),
        ("string", "is taken by the module 'string'"),
        ("class", "is a Python keyword"),
        ("export", "is taken by the command 'ganzoo export'"),
    ],
)
def test_unsuitable_names_are_refused(ganzoo, workplace, name, complaint):
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
    assert "file/inside cannot be made, because file is a file" in result.err


# --- in a checkout ----------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(workplace: Path) -> Path:
    """The current folder, with those files of a checkout that the command reads."""
    for name in ("pyproject.toml", "registry.toml"):
        shutil.copy(ROOT / name, name)
    return workplace


def entry_points(checkout: Path) -> dict[str, str]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["entry-points"]["ganzoo"]


def test_a_gan_is_added_to_a_checkout(ganzoo, checkout):
    before = {name: Path(name).read_text(encoding="utf-8") for name in ("pyproject.toml", "registry.toml")}
    ours = entry_points(checkout)
    result = ganzoo("new", "--in-tree", "demo-gan")
    assert result.code == 0, result.err
    for command in ("pip install -e .", "ganzoo check demo-gan-mnist", "ganzoo reproduce demo-gan-mnist"):
        assert command in result.out
    written = {path.relative_to(checkout).as_posix() for path in checkout.rglob("*") if path.is_file()}
    new = {place.format(module="ganzoo_demo_gan", short="demo_gan") for place in IN_TREE.values()}
    assert written == {"pyproject.toml", "registry.toml", *new}

    points = entry_points(checkout)
    assert points == {**ours, "demo-gan": "ganzoo_demo_gan"}
    assert list(points) == sorted(points)
    line = 'demo-gan = "ganzoo_demo_gan"\n'
    assert Path("pyproject.toml").read_text(encoding="utf-8").replace(line, "") == before["pyproject.toml"]
    assert Path("registry.toml").read_text(encoding="utf-8").startswith(before["registry.toml"])
    added = Path("registry.toml").read_text(encoding="utf-8").removeprefix(before["registry.toml"]).strip()
    assert 10 <= len(added.splitlines()) <= 14
    (recipe,) = tomllib.loads(added).items()
    assert recipe[0] == "demo-gan-mnist"
    assert (recipe[1]["model"], recipe[1]["data"], recipe[1]["loss"]) == ("demo-gan", "mnist", "hinge")
    assert "expect" not in recipe[1]


def test_the_gan_in_a_checkout_trains_and_passes_its_test(ganzoo, checkout):
    assert ganzoo("new", "--in-tree", "demo-gan").code == 0
    gans = checkout / "plugins/gans"
    info = gans / "demo-1.0.dist-info"  # stands in for installing the checkout
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganzoo]\ndemo-gan = ganzoo_demo_gan\n")
    text = Path("registry.toml").read_text(encoding="utf-8")
    Path("recipe.toml").write_text(text[text.index("[demo-gan-mnist]") :], encoding="utf-8")
    assert "Done: step 3" in python("ganzoo", "run", "recipe.toml", "--steps", 3, "--evaluate-every", 0, path=gans)
    assert "all checks passed" in python("ganzoo", "check", "recipe.toml", "--set", "model.width=2", path=gans)
    assert "2 passed" in python("pytest", "-q", "-p", "no:cacheprovider", "tests", path=gans)


def test_the_gan_in_a_checkout_is_written_in_our_style(ganzoo, checkout):
    assert ganzoo("new", "--in-tree", "demo-gan").code == 0
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "plugins", "tests"]
        ruff += ["--config", "lint.isort.known-first-party = ['ganzoo']"] if command == ["check"] else []
        result = subprocess.run(ruff, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout


def test_in_tree_works_in_a_checkout_only(ganzoo, workplace):
    result = ganzoo("new", "--in-tree", "demo-gan")
    assert result.code == 2
    assert "works in the root folder of a checkout of ganzoo, and this is not one" in result.err
    Path("pyproject.toml").write_text('[project]\nname = "another"\n')
    Path("registry.toml").write_text("")
    assert ganzoo("new", "--in-tree", "demo-gan").code == 2
    assert sorted(path.name for path in workplace.iterdir()) == ["pyproject.toml", "registry.toml"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fc"], "The name 'fc' is taken by the plugin fc"),
        (["hinge"], "is taken by the loss of the plugin losses"),
        (["Demo"], "such as demo"),
        (["wgan-gp"], "the recipe 'wgan-gp-mnist'"),
        (["networks"], "the module 'ganzoo_networks'"),
        (["demo-gan", "--out", "there"], "leave out --out"),
    ],
)
def test_in_tree_refuses_bad_names_and_writes_nothing(ganzoo, checkout, arguments, complaint):
    result = ganzoo("new", "--in-tree", *arguments)
    assert result.code == 2
    assert complaint in result.err
    for name in ("pyproject.toml", "registry.toml"):
        assert Path(name).read_bytes() == (ROOT / name).read_bytes()
    assert not Path("plugins").exists()


def test_in_tree_leaves_existing_files_alone(ganzoo, checkout):
    test = Path("tests/gans/test_demo.py")
    test.parent.mkdir(parents=True)
    test.write_text("mine")
    result = ganzoo("new", "--in-tree", "demo")
    assert result.code == 2
    assert f"{test} exists already. Give another name." in result.err
    assert test.read_text() == "mine"
    assert not Path("plugins").exists()


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("room", range(5))
@pytest.mark.parametrize("arguments", [["my-gan", "--out", "new/place"], ["--in-tree", "demo-gan"]])
def test_a_full_disk_leaves_everything_as_it_was(ganzoo, checkout, monkeypatch, arguments, room):
    before, real, written = contents(checkout), os.fsync, []

    def fsync(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # not the folders
            written.append(descriptor)
        if len(written) == room + 1:  # this one does not fit; what is removed after it makes room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    result = ganzoo("new", *arguments)
    assert result.code == 1
    assert "No space left on device. Nothing was left behind." in result.err
    assert len(written) > room
    assert contents(checkout) == before
