"""A machine that runs out of something: memory, loader processes, disk. The message says what, and no file is lost."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest
import torch

import ganzoo as package
from ganzoo import files, images, randomness
from ganzoo.errors import GanzooError, shortage
from tests.conftest import TINY

PLUGIN = """
from ganzoo import hookimpl
@hookimpl
def ganzoo_parts():
    return {"losses": {"greedy": "greedy_parts:Greedy"}, "datasets": {"mortal": "greedy_parts:Mortal"}}
"""
PARTS = """
import os, signal, torch
from ganzoo import Dataset, Field
from ganzoo_losses.classic import NonSaturating

class Greedy(NonSaturating):
    def __init__(self, *, step: int = 3):
        super().__init__()
        self.step = step

    def at(self, step):
        self.now = step

    def generator(self, fake, real):
        if self.now >= self.step:
            torch.empty(10**15)
        return super().generator(fake, real)

class Mortal(Dataset):
    fields = {"image": Field((1, 28, 28))}

    def __len__(self):
        return 64

    def __getitem__(self, index):
        from torch.utils.data import get_worker_info
        if get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return {"image": torch.zeros(1, 28, 28)}
"""


@pytest.fixture
def greedy(install):
    install("greedy", PLUGIN).with_name("greedy_parts.py").write_text(PARTS)
    yield
    sys.modules.pop("greedy_parts", None)


def test_memory_that_runs_out_in_a_step_is_said_and_recorded(ganzoo, greedy):
    arguments = ["--loss", "greedy", "--steps", 9, "--checkpoint-every", 1, "--set", "train.log_every=1"]
    result = ganzoo("run", "fc-mnist", *TINY, *arguments, "--out", "run")
    assert result.code == 1
    assert "Out of memory, at step 2. The newest checkpoint is run/checkpoints/step-00000002." in result.err
    assert "bug" not in result.err
    status = json.loads(Path("run/run.json").read_text())
    assert (status["state"], status["reason"]) == ("failed", "Out of memory, at step 2.")


def test_memory_that_runs_out_before_is_no_mistake_of_the_parts(ganzoo, greedy):
    arguments = ["--loss", "greedy", "--set", "loss.step=-1"]
    result = ganzoo("run", "fc-mnist", *TINY, *arguments, "--out", "run")
    assert (result.code, "Out of memory, in a dry run" in result.err) == (1, True)
    assert not Path("run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_loader_process_is_said_and_recorded(ganzoo, greedy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    arguments = ["--data", "mortal", "--batch-size", 8, "--steps", 9, "--set", "train.num_workers=2"]
    result = ganzoo("run", "fc-mnist", *arguments, "--device", "cpu", "--out", "run")
    assert result.code == 1
    assert "A loader process was killed" in result.err
    assert "--set train.num_workers=0" in result.err
    assert json.loads(Path("run/run.json").read_text())["state"] == "failed"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "Out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: not enough memory"), "Out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "Out of memory"),
        (RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"), "Out of shared memory"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                         "workers are out of shared memory."),
            "Out of shared memory",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "A loader process was killed"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "A loader process was killed"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ValueError("not enough memory cells in this model"), None),
    ],
)  # fmt: skip
def test_shortages_are_told_from_mistakes(error, what):
    found = shortage(error)
    assert (found[0][: len(what)] if found and what else found) == what


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["grid.png", "grid.pt", "grid.npz"])
def test_samples_on_a_full_disk_leave_the_older_file(ganzoo, trained, monkeypatch, name):
    Path(name).write_text("older")
    monkeypatch.setattr(Path, "replace", full)
    result = ganzoo("sample", trained, "-n", 4, "-o", name)
    assert (result.code, result.err) == (1, f"Error: Cannot write {name}: No space left on device.\n")
    assert Path(name).read_text() == "older"
    assert [path.name for path in Path().iterdir()] == [name]


def test_a_picture_is_written_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.save(torch.zeros(3, 2, 2), path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        images.save(torch.ones(3, 2, 2), path)
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights")
def test_a_symbolic_link_stays_one_and_none_is_followed_by_accident(tmp_path):
    (tmp_path / "link").symlink_to("real")
    files.write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    (tmp_path / ".notes.tmp").symlink_to("real")  # where the unfinished file is written
    files.write_atomically(tmp_path / "notes", b"other")
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "notes").read_bytes() == b"other"


@pytest.mark.parametrize("last", ["x" * 300, "file/run"])
def test_a_run_directory_that_cannot_be_made_leaves_no_parents(ganzoo, last):
    Path("new/deep").mkdir(parents=True)
    Path("new/deep/file").touch()
    result = ganzoo("run", "fc-mnist", *TINY, "--steps", 1, "--out", f"new/deep/{last}")
    assert result.code == 2
    result = ganzoo("run", "fc-mnist", *TINY, "--steps", 1, "--out", f"other/deep/{'x' * 300}")
    assert (result.code, Path("other").exists()) == (2, False)
    assert sorted(path.name for path in Path().rglob("*")) == ["deep", "file", "new"]


def test_a_run_directory_without_room_for_the_recipe_is_removed(ganzoo, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", full)
    result = ganzoo("run", "fc-mnist", *TINY, "--steps", 1, "--out", "new/run")
    assert (result.code, Path("new").exists()) == (1, False)
    assert "No space left on device" in result.err


def test_samples_into_a_folder_that_cannot_be_made_leave_no_parents(ganzoo, trained):
    result = ganzoo("sample", trained, "-n", 4, "-o", f"new/{'x' * 300}")
    assert result.code in (1, 2)
    assert not Path("new").exists()


def test_tensorboard_on_a_full_disk_is_named_once_without_a_traceback(workplace, capsys, monkeypatch):
    from ganzoo_tensorboard.events import EventFile

    monkeypatch.setattr(EventFile, "add", full)
    settings = {"data.split": "test", "train.log_every": 1}
    package.train("fc-mnist", steps=4, batch_size=16, device="cpu", out="run", settings=settings)
    err = capsys.readouterr().err
    assert err.count("tensorboard") == 1
    assert "No space left on device" in err


def test_a_full_disk_stops_with_the_way_to_continue(workplace, monkeypatch):
    from ganzoo.runs.directory import RunDirectory

    monkeypatch.setattr(RunDirectory, "write_metrics", full)
    with pytest.raises(GanzooError, match="continue with: ganzoo resume run"):
        package.train("fc-mnist", steps=4, batch_size=16, device="cpu", out="run", settings={"data.split": "test"})
    assert json.loads(Path("run/run.json").read_text())["state"] == "failed"


def test_random_generators_of_an_edited_checkpoint_are_no_bug():
    tensors, rest = randomness.global_state()
    name, keys, *others = rest["numpy"]
    with pytest.raises(GanzooError, match="delete the checkpoint"):
        randomness.set_global_state(tensors, {**rest, "numpy": [name, [2**40, *list(keys)[1:]], *others]})
