"""Shared fixtures: the command line in this process, and small real plugins on sys.path."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from ganzoo.cli import invoke

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in parallel; more threads would only compete

TINY = ["--set", "data.split=test", "--batch-size", "16", "--device", "cpu"]
"""Options that make fc-mnist start fast: the 10,000 test digits."""


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run of fc-mnist with checkpoints at 20 and 40. Tests read it and do not change it."""
    import ganzoo as package

    path = tmp_path_factory.mktemp("trained") / "run"
    settings = {"data.split": "test", "train.sample_count": 4}
    package.train("fc-mnist", steps=40, out=path, checkpoint_every=20, batch_size=16, device="cpu", settings=settings)
    return path


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current folder."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def ganzoo(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """The command line: ``ganzoo("run", "fc-mnist")`` returns exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a distribution as pip does: a module and a dist-info folder with its entry point, on sys.path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def write(distribution: str, source: str, module: str | None = None, plugin: str | None = None) -> Path:
        module = module or distribution.replace("-", "_")
        modules.append(module)
        path = site / f"{module}.py"
        path.write_text(dedent(source))
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ganzoo]\n{plugin or distribution} = {module}\n")
        return path

    yield write
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def toy_zoo(install):
    """The zoo, with the parts of tests/toys.py in it."""
    from ganzoo.zoo import Zoo
    from tests import toys

    install("toys", toys.plugin())
    return Zoo()


@pytest.fixture
def decodings(monkeypatch):
    """A list that grows by one with each decoded file."""
    from ganzoo_images import cache
    from ganzoo_images.decode import decode

    count = []
    monkeypatch.setattr(cache, "decode", lambda *arguments: (count.append(1), decode(*arguments))[1])
    return count
