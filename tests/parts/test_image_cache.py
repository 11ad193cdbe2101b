"""The cache of decoded pictures: damage is noticed and repaired, and no file of a stranger reaches another file."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_images import cache
from ganzoo_images.folder import Folder
from ganzoo_images.shards import FORMAT
from PIL import Image
from safetensors.numpy import load_file, save

from ganzoo import UsageError


@pytest.fixture
def pictures(workplace, monkeypatch):
    """A folder of 12 pictures, shards of five, and a file that must not be touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    monkeypatch.setattr(cache, "PICTURES", 5)
    folder = workplace / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        channels = (3,) if i > 4 else ()
        Image.fromarray(rng.integers(0, 256, (8, 8, *channels), np.uint8)).save(folder / f"{i:02d}.png")
    (workplace / "thesis.txt").write_bytes(b"ten years of work")
    return folder


def opened(**options: object) -> torch.Tensor:
    return Folder(path="pictures", size=8, **options).tensors()["image"]


def shards() -> list[Path]:
    return sorted(Path("cache").rglob("*.safetensors"))


def outside() -> dict[Path, bytes]:
    """All files that are not in the cache."""
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.parts[0] != "cache"}


# --- damage -----------------------------------------------------------------------------------------------------------


def damage(path: Path, rng: np.random.Generator) -> str:
    """Damage a file in a random way, and return which."""
    content = bytearray(path.read_bytes())
    kind = rng.choice(["flip", "flip in the header", "cut", "empty", "longer", "zeros", "delete", "swap", "misname"])
    place = int(rng.integers(len(content)))
    if kind == "flip":
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == "flip in the header":
        content[int(rng.integers(300))] ^= 1 << int(rng.integers(8))
    elif kind == "zeros":
        content[place : place + 50] = bytes(len(content[place : place + 50]))
        content[-1] ^= 1  # it may have been zero already
    path.write_bytes(content[: {"cut": place, "empty": 0}.get(kind)] + b"more" * (kind == "longer"))
    if kind == "delete":
        path.unlink()
    elif kind == "swap":
        other = next(other for other in shards() if other != path)
        path.write_bytes(other.read_bytes())
    elif kind == "misname":
        other = next(other for other in shards() if other != path)
        path.replace(other)
    return kind


def test_damage_is_noticed_and_repaired(pictures, capsys):
    """500 random changes of the cache: never another pixel, never an error, and no file outside is touched."""
    true = opened().clone()
    before = outside()
    shutil.copytree("cache", "intact")
    names = shards()
    assert len(names) == 3
    for seed in range(500):
        rng = np.random.default_rng(seed)
        shutil.rmtree("cache")
        shutil.copytree("intact", "cache")
        kind = damage(names[seed % 3], rng)
        capsys.readouterr()
        assert torch.equal(opened(), true), (seed, kind)
        said = capsys.readouterr().err
        assert ("damaged" in said) == (kind != "delete"), (seed, kind)
        assert shards() == names
        assert torch.equal(opened(), true)
        assert capsys.readouterr().err == ""
    shutil.rmtree("intact")
    assert outside() == before


def test_a_shard_is_a_safetensors_file_whose_name_is_its_hash(pictures):
    true = opened()
    content = [load_file(path)["pixels"] for path in shards()]
    assert sorted(len(pixels) for pixels in content) == [2, 5, 5]
    assert sorted(pixels.shape[1] for pixels in content) == [1, 3, 3]  # the first five pictures are gray
    assert sum(int(pixels.sum()) * (3 // pixels.shape[1]) for pixels in content) == int(true.sum())
    for path in shards():
        assert hashlib.sha256(path.read_bytes()).hexdigest() in path.name


# --- a cache by a stranger --------------------------------------------------------------------------------------------


def records(path: Path) -> list[bytes]:
    """Contents for a shard that claim something wrong. Their SHA-256 will be right."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    record = json.loads(json.loads(content[8:start])["__metadata__"]["ganzoo"])
    files, count = record["files"], len(record["files"])
    pixels = np.zeros((count, 3, 8, 8), np.uint8)
    wrong = [
        {},
        [],
        {"files": files},
        {"files": 3, "broken": {}},
        {"files": [["../../../../thesis.txt", 17, 0, 0]] * count, "broken": {}},
        {"files": [[[1], {}, None, 1e400]] * count, "broken": {}},
        {"files": files, "broken": {"../../../../thesis.txt": 3, files[0][0]: "no reason"}},
        {"files": files, "broken": [1]},
        {"files": [[str(Path("thesis.txt").absolute()), *rest] for _, *rest in files], "broken": {}},
    ]
    made = [save({"pixels": pixels}, {"ganzoo": json.dumps(value)}) for value in wrong]
    true = {"ganzoo": json.dumps(record)}
    made += [
        save({"pixels": pixels}),
        save({"pixels": pixels}, {"ganzoo": "[" * 100_000}),
        save({"pixels": pixels[:1]}, true),
        save({"pixels": pixels[:, :2]}, true),
        save({"pixels": pixels.astype(np.float32)}, true),
        save({"pixels": pixels[..., :4]}, true),
        save({"other": pixels}, true),
        content[:8],
        b"\xff" * 100,
        (1 << 63).to_bytes(8, "little") + content[8:],
        (5).to_bytes(8, "little") + content[8:],
        (4).to_bytes(8, "little") + b"[{}]" + content,
        b"pixels: ../../../../thesis.txt",
    ]
    return made


def test_no_file_of_a_stranger_reaches_another_file(pictures):
    true = opened().clone()
    before = outside()
    original = shards()[0]
    for content in records(original):
        hostile = original.with_name(f"{original.name[:16]}-{hashlib.sha256(content).hexdigest()}.safetensors")
        original.unlink()
        hostile.write_bytes(content)
        assert torch.equal(opened(), true), content[:200]
        assert not hostile.exists()
        assert original.exists()
    assert outside() == before


def test_a_journal_of_the_former_format_is_not_opened(pictures):
    opened()
    header = json.dumps({"format": 1, "channels": 1, "pixels": "../../../../../thesis.txt"})
    for kind in ("8-auto-white-1", f"8-auto-white-{FORMAT}"):
        folder = shards()[0].parent.parent.parent / kind / shards()[0].parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "journal.jsonl").write_text(header + "\n")
    (pictures / "00.png").unlink()
    opened()
    assert Path("thesis.txt").read_bytes() == b"ten years of work"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("target", ["thesis.txt", "pipe", "/dev/zero", "nowhere"])
def test_links_in_the_cache_are_replaced_not_followed(pictures, target):
    true = opened().clone()
    os.mkfifo("pipe")
    first, second, _ = shards()
    for place in (first, second):
        place.unlink()
        if target == "thesis.txt":  # with the right hash
            place = place.with_name(f"{place.name[:16]}-{hashlib.sha256(b'ten years of work').hexdigest()}.safetensors")
        place.symlink_to(Path(target).absolute())
    assert torch.equal(opened(), true)
    assert Path("thesis.txt").read_bytes() == b"ten years of work"
    assert all(not place.is_symlink() for place in shards())
    assert not Path("nowhere").exists()


def test_a_cache_that_cannot_be_written_is_reported(pictures):
    opened()
    path = shards()[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=r"cannot be used: .*--set data\.cache"):
        opened()
