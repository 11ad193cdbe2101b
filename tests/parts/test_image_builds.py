"""Builds of the cache of decoded pictures: kills, full disks, parallel processes, and odd picture files."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_images import cache
from ganzoo_images.decode import Broken, Treatment, decode, read
from ganzoo_images.folder import Folder
from PIL import Image


def shards() -> list[Path]:
    return sorted(Path("cache").rglob("*.safetensors"))


# --- kills, full disks, parallel processes ----------------------------------------------------------------------------

COUNT = 80
MAKE = """
import hashlib
from ganzoo_images import cache
from ganzoo_images.folder import Folder
cache.PICTURES = 5
dataset = Folder(path="many", size=64)
print(len(dataset), hashlib.sha256(dataset.tensors()["image"].numpy().tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Pictures that take about a second to decode."""
    folder = tmp_path_factory.mktemp("noise")
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    for i in range(COUNT):
        Image.fromarray(np.roll(pixels, i, axis=0)).save(folder / f"{i:03d}.png", compress_level=1)
    return folder


@pytest.fixture
def many(noise, workplace, monkeypatch):
    """The noise as the folder ``many``, with shards of five."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    monkeypatch.setattr(cache, "PICTURES", 5)
    Path("many").symlink_to(noise)


def check(images: torch.Tensor) -> None:
    """Check some of the pictures against the files."""
    assert len(images) == COUNT
    for i in range(0, COUNT, 9):
        assert np.array_equal(images[i], decode(read(f"many/{i:03d}.png"), Treatment(64)))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_continues_at_the_next_shard(many, decodings, stop):
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background jobs of a shell ignore it
    process = subprocess.Popen([sys.executable, "-c", MAKE], stderr=subprocess.DEVNULL, preexec_fn=heed)
    while len(shards()) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(stop)
    assert process.wait() != 0
    kept = len(shards())
    assert 3 <= kept < COUNT // 5
    images = Folder(path="many", size=64).tensors()["image"]
    assert len(decodings) == COUNT - 5 * kept
    check(images)


def test_several_builders_at_once_write_the_same_files(many):
    start = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", MAKE], **start) for _ in range(3)]
    results = [process.communicate() for process in processes]
    assert len({out for out, _ in results}) == 1, results
    assert results[0][0].startswith(f"{COUNT} ")
    assert not any("damaged" in err for _, err in results)
    assert len(shards()) == COUNT // 5
    assert len(list(shards()[0].parent.iterdir())) == COUNT // 5
    check(Folder(path="many", size=64).tensors()["image"])


def test_a_full_disk_is_reported_and_finished_shards_are_kept(many, decodings):
    """A limit on the size of files stands for a full disk: the write fails at the same place, in the same way."""
    limit = """
import resource
from ganzoo_images import cache
def write(*arguments, original=cache.write, done=[]):
    done.append(1)
    if len(done) > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    return original(*arguments)
cache.write = write
"""
    result = subprocess.run([sys.executable, "-c", limit + MAKE], capture_output=True, text=True)
    assert "GanzooError: There is no room for the cache" in result.stderr
    assert "the next start resumes there" in result.stderr
    assert len(list(shards()[0].parent.iterdir())) == 4  # and nothing unfinished
    check(Folder(path="many", size=64).tensors()["image"])
    assert len(decodings) == COUNT - 20


# --- odd picture files ------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(workplace, monkeypatch):
    """A folder of 12 pictures."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    folder = workplace / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.new("L", (8, 8), 20 * i).save(folder / f"{i:02d}.png")
    return folder


def opened() -> torch.Tensor:
    return Folder(path="pictures", size=8).tensors()["image"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_not_read(pictures, capsys):
    true = opened().clone()
    os.mkfifo("pipe")
    os.mkfifo(pictures / "pipe.png")  # ignored: only links may point to pictures
    for name, target in {"a": "pipe", "b": "/dev/zero", "c": "/dev/stdin", "d": "nowhere", "e": "/dev/tty"}.items():
        (pictures / f"{name}.png").symlink_to(Path(target).absolute())
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)  # takes no room
    (pictures / "f.png").symlink_to(Path("huge").absolute())
    capsys.readouterr()
    for _ in range(2):
        assert torch.equal(opened(), true)
        said = capsys.readouterr().err
        assert "6 of 18 pictures in pictures cannot be read and are left out: a.png, b.png" in said
        assert "e.png (it is not a regular file)" in said
        assert "d.png (No such file or directory)" in said
        assert "f.png (it is larger than 1 GiB)" in said
    for path in ("pipe", "/dev/zero"):  # as if they had taken the place of a picture since the folder was listed
        with pytest.raises(OSError, match="not a regular file"):
            read(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions")
def test_a_file_without_permission_is_tried_again(pictures, capsys):
    true = opened().clone()
    (pictures / "03.png").chmod(0)
    for _ in range(2):
        assert torch.equal(opened(), true[[i for i in range(12) if i != 3]])
        assert "03.png (Permission denied)" in capsys.readouterr().err
    (pictures / "03.png").chmod(0o600)
    assert torch.equal(opened(), true)


def test_a_file_that_could_not_be_read_for_a_while_is_tried_again(pictures, monkeypatch, capsys):
    def fail(path: str) -> bytes:
        if path.endswith("03.png"):
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(cache, "read", fail)
    assert len(opened()) == 11
    assert "03.png (Input/output error)" in capsys.readouterr().err
    assert len(opened()) == 11
    monkeypatch.setattr(cache, "read", read)
    assert len(opened()) == 12
    assert len(opened()) == 12
    assert "damaged" not in capsys.readouterr().err


def test_no_program_is_started_for_a_picture(pictures, monkeypatch, capsys):
    """Pillow starts Ghostscript for EPS files, also for those with another suffix."""
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (pictures / "drawing.png").write_bytes(drawing)
    (pictures / "drawing.eps").write_bytes(drawing)
    program = Path("bin/gs").absolute()
    program.parent.mkdir()
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert len(opened()) == 12
    assert "1 of 13 pictures in pictures cannot be read" in capsys.readouterr().err
    assert not Path("started").exists()
    with pytest.raises(Broken, match="cannot identify"):
        decode(drawing, Treatment(8))
