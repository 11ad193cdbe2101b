"""The wheel and the sdist hold the plugins, the data, the catalogue and the evidence, and the wheel works anywhere."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist. The wheel is built from the sdist, so both are complete."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def test_the_archives_are_complete(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.name.startswith("torch_ganzoo-")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "ganzoo/py.typed",
        "ganzoo/registry.toml",
        "ganzoo/template/pyproject.toml.jinja",
        "ganzoo/template/module/__init__.py.jinja",
        "ganzoo/evidence/fc-mnist.toml",
        "ganzoo_mnist/mnist/train-images-idx3-ubyte.xz",
        "ganzoo_mnist/mnist/LICENSE.md",
        "ganzoo_digits/classifier.safetensors",
        "ganzoo_report/templates/report.html",
        "ganzoo_tensorboard/__init__.py",
        "ganzoo_progress/__init__.py",
    } <= names
    for folder in (path.parent for path in ROOT.glob("plugins/*/*/__init__.py")):
        sources = {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.py")}
        assert sources <= names, folder
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"plugins", "tests", "docs"}
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "registry.toml",
        "LICENSE",
        "pyproject.toml",
        "plugins/gans/ganzoo_fc/model.py",
        "docs/evidence/fc-mnist.toml",
    } <= inside


def test_the_wheel_works_in_a_fresh_environment(built, tmp_path):
    """A new virtual environment holds the wheel only; torch and the rest come from this environment through a .pth."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (wheel,) = built.glob("*.whl")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    ours = Path(sysconfig.get_path("purelib"))
    (site / "ours.pth").write_text(f"{ours}\n")  # the .pth files of that folder are not read
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*arguments):
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [str(environment / python.parent.name / "ganzoo"), *arguments]
        result = subprocess.run(command, cwd=empty, env=clean, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        return result.stdout

    where = subprocess.run(
        [str(python), "-c", "import ganzoo; print(ganzoo.__file__)"],
        cwd=empty,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(environment)
    listed = run("list")
    assert re.search("fc-mnist +unconditional", listed)
    assert "Broken" not in listed
    for plugin in ("fc", "mnist", "progress", "tensorboard"):
        assert plugin in run("list", "--kind", "plugins")
    assert json.loads(run("list", "--json"))[0]["evidence"]
    assert "class FullyConnected" in run("show", "fc-mnist", "--source")
    assert "Done: step 10" in run("run", "fc-mnist", "--steps", "10", "--out", "run")
    assert list((empty / "run").glob("events.out.tfevents.*"))
