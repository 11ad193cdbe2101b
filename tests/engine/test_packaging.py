"""The wheel and the sdist hold what the checkout holds: plugins, data, catalogue; and work from an empty folder."""

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

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist; the wheel is built from the sdist, so that both are whole."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def test_the_archives_hold_what_they_should(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.name.startswith("torch_ganzoo-")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "ganzoo/py.typed",
        "ganzoo/registry.toml",
        "ganzoo/template/pyproject.toml.jinja",
        "ganzoo/template/module/__init__.py.jinja",
        "ganzoo_fc_mnist/mnist/train-images-idx3-ubyte.xz",
        "ganzoo_fc_mnist/mnist/LICENSE.md",
        "ganzoo_digits/classifier.safetensors",
        "ganzoo_report/templates/report.html",
        "ganzoo_tensorboard/__init__.py",
        "ganzoo_progress/__init__.py",
    } <= names
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"plugins", "tests", "docs"}
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"registry.toml", "LICENSE", "pyproject.toml", "plugins/ganzoo_fc_mnist/model.py"} <= inside


def test_the_wheel_works_in_a_fresh_environment(built, tmp_path):
    """A new virtual environment with nothing but the wheel; torch and the rest are lent by this one through a .pth."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (wheel,) = built.glob("*.whl")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    lender = Path(sysconfig.get_path("purelib"))
    (site / "lent.pth").write_text(f"{lender}\n")  # a .pth line is a path only: the lender's own .pth files stay unread
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
    for plugin in ("fc-mnist", "progress", "tensorboard"):
        assert plugin in run("list", "--kind", "plugins")
    assert "Done: step 10" in run("run", "fc-mnist", "--steps", "10", "--out", "run")
    assert list((empty / "run").glob("events.out.tfevents.*"))
