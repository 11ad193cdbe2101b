"""Tar shards: their index, their classes, the order of an epoch, damage, and runs that stop and resume."""

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from ganzoo_images.folder import Folder
from ganzoo_shards import index as index_module
from ganzoo_shards.data import Shards
from ganzoo_shards.paths import find
from PIL import Image

import ganzoo as package
from ganzoo import GanzooError, UsageError
from ganzoo.training.batches import BatchStream
from ganzoo.training.settings import TrainSettings

SHORT = ("--batch-size", 4, "--device", "cpu", "--set", "train.sample_count=4", "--evaluate-every", 0)
SMALL = ("--set", "model.width=4")


def picture(level: int, form: str = "PNG", sides: tuple[int, int] = (40, 36)) -> bytes:
    """A picture whose bytes differ with the level."""
    pixels = np.full((*sides, 3), level, np.uint8)
    pixels[:, : level % 20] = 255 - level
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def write(path: str | Path, members: dict[str, bytes]) -> Path:
    """Write a tar file of these members."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Path(path)


@pytest.fixture
def place(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    return workplace


@pytest.fixture
def shards(place):
    """Four shards of six pictures of different formats and sizes, with a class each."""
    Path("shards").mkdir()
    for shard in range(4):
        members: dict[str, bytes] = {}
        for i in range(6):
            number = 6 * shard + i
            form = ("JPEG", "PNG", "WEBP")[number % 3]
            suffix = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[form]
            members[f"{number:04d}.{suffix}"] = picture(10 * number, form, (30 + number, 50 - number))
            members[f"{number:04d}.cls"] = str(number % 2).encode()
        write(f"shards/train-{shard:03d}.tar", members)
    return place


def all_of(dataset):
    return torch.stack([dataset[i]["image"] for i in range(len(dataset))])


# --- what is in the shards --------------------------------------------------------------------------------------------


def test_pictures_are_those_of_the_folder_that_the_shards_were_made_of(shards):
    for path in sorted(Path("shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            tar.extractall("unpacked", filter="data")
    for file in Path("unpacked").glob("*.cls"):
        file.unlink()
    for how in ({}, {"size": "16x24", "channels": "gray"}, {"fit": "pad", "background": "black", "size": 32}):
        folder = Folder(path="unpacked", **{"channels": "color", **how})
        dataset = Shards(path="shards", **how)
        assert torch.equal(all_of(dataset), folder.tensors()["image"])
    assert [int(dataset[i]["label"]) for i in range(4)] == [0, 1, 0, 1]
    assert dataset.fields["label"].class_names == ("0", "1")
    assert dataset.tensors() is None


def test_what_webdataset_writes_is_read_as_webdataset_reads_it(place):
    with webdataset.ShardWriter("w-%03d.tar", maxcount=5, verbose=0) as sink:
        for i in range(12):
            extras = {"json": {"label": "dog" if i % 3 else "cat", "caption": "x"}}
            sink.write({"__key__": f"a.b/{i:03d}", "jpg": picture(i * 20, "JPEG"), "txt": b"words", **extras})
    urls = "w-{000..002}.tar"
    theirs = list(webdataset.WebDataset(urls, shardshuffle=False))
    dataset = Shards(path=urls, size=36)
    assert len(dataset) == len(theirs) == 12
    assert [dataset.read(i) for i in range(12)] == [sample["jpg"] for sample in theirs]
    names = [dataset.fields["label"].class_names[dataset[i]["label"]] for i in range(12)]
    assert names == [json.loads(sample["json"])["label"] for sample in theirs]


def test_classes_are_numbered_and_named(place):
    members = {f"{i}.png": picture(i) for i in range(3)} | {f"{i}.cls": str(10 * i).encode() for i in range(3)}
    write("a.tar", members)
    write("b.tar", {"9.png": picture(9), "9.cls": b"2"})
    dataset = Shards(path="{b,a}.tar", size=8)
    assert dataset.fields["label"].class_names == ("0", "2", "10", "20")
    assert [int(dataset[i]["label"]) for i in range(4)] == [1, 0, 2, 3]
    Path("names.txt").write_text("\n".join(f"kind {i}" for i in range(21)) + "\n")
    named = Shards(path="{b,a}.tar", size=8, class_names="names.txt")
    assert named.fields["label"].class_names[20] == "kind 20"
    assert [int(named[i]["label"]) for i in range(4)] == [2, 0, 10, 20]
    Path("classnames.txt").write_text("cat\ndog\n")
    with pytest.raises(UsageError, match="2 names, for the classes 0 to 1, but the shards have a class '10'"):
        Shards(path="a.tar", size=8)


def test_a_label_may_be_another_extension_or_key(place, capsys):
    write("a.tar", {"1.png": picture(1), "1.json": b'{"kind": "x", "cls": 3}', "1.style": b"old", "2.png": picture(2)})
    for label, names in ((None, ("3",)), ("kind", ("x",)), (".style", ("old",))):
        dataset = Shards(path="a.tar", size=8, label=label)
        assert (len(dataset), dataset.fields["label"].class_names) == (1, names)
        assert "without a class are left out: 1." in capsys.readouterr().err
    assert "label" not in Shards(path="a.tar", size=8, label="other").fields


def test_one_of_several_pictures_is_chosen(place):
    write("a.tar", {"1.input.png": picture(10), "1.png": picture(99), "._1.png": b"", "sub/": b""})
    with pytest.raises(UsageError, match=r"1 has input\.png, png\. Choose one: --set data\.image=input\.png"):
        Shards(path="a.tar")
    assert Shards(path="a.tar", image="png", size=8).read(0) == picture(99)
    with pytest.raises(UsageError, match="no pictures with the extension jpg in 1 shard"):
        Shards(path="a.tar", image="jpg")


# --- which files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a-{1..3}.tar", "a-1 a-2 a-3"),
        ("a-{008..010}.tar", "a-008 a-009 a-010"),
        ("a-{3..1}.tar", "a-3 a-2 a-1"),
        ("{a,b}-{0..1}.tar", "a-0 a-1 b-0 b-1"),
        ("a-{1,2}.tar", "a-1 a-2"),
    ],
)
def test_braces_stand_for_what_a_shell_makes_of_them(place, text, names):
    for name in names.split():
        Path(f"{name}.tar").touch()
    assert [path.stem for path in find(text)] == names.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shards/train-{000..012}.tar", r"9 of 13 shards are missing: train-004\.tar, .*\.\.\. Add them"),
        ("shards/train-{000..001}", "2 of 2 shards are missing"),
        ("shards/train-{x}.tar", "must be {000..099} or {one,two}"),
        ("shards/train-{0,{1,2}}.tar", "not within each other"),
        ("shards/train-{000.tar", "in pairs"),
        ("shards/{0..99999999}.tar", "more than 1,000,000 files"),
        ("shards/trai-000.tar", "Did you mean 'train-000.tar'"),
        ("empty", r"has no \.tar files\. There are some in its subfolders: inside\."),
    ],
)
def test_shards_that_are_not_there_are_one_message(shards, text, message):
    Path("empty/inside").mkdir(parents=True)
    Path("empty/inside/a.tar").touch()
    with pytest.raises(UsageError, match=message):
        Shards(path=text)


def test_a_folder_of_shards_is_opened_as_shards_and_a_folder_of_pictures_is_not(ganzoo, shards):
    Path("shards/README.md").write_text("about")
    quick = ("--steps", 1, *SHORT, *SMALL)
    for path, kind in (("shards", "shards"), ("shards/train-{000..001}.tar", "shards"), ("mixed", "folder")):
        if path == "mixed":
            Path("mixed").mkdir()
            Path("mixed/old.tar").touch()
            for i in range(4):
                Path(f"mixed/{i}.png").write_bytes(picture(i))
        result = ganzoo("run", "dcgan", "--data", f"./{path}", "--out", f"run-{path[:5]}-{kind}-{len(path)}", *quick)
        assert result.code == 0, result.err
        assert f"data {kind} (" in result.out


def test_arguments_that_a_shell_made_of_braces_are_explained(ganzoo, shards):
    result = ganzoo("run", "dcgan", "--data", "shards/train-000.tar", "shards/train-001.tar")
    assert result.code == 2
    assert "put it in quotes" in result.err
    result = ganzoo("run", "dcgan", "--data", "https://example.org/a.tar")
    assert (result.code, "Download the files" in result.err) == (2, True)


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:3700], "is damaged.*(end|cut)"),
        (lambda data: data[: 2 * 512 + 100], "is damaged"),
        (lambda data: data.rstrip(b"\0").ljust(-(-len(data.rstrip(b"\0")) // 512) * 512, b"\0"), "no end mark"),
        (lambda data: data[:2048] + b"x" * 512 + data[2560:], "is damaged"),
        (lambda data: data + data, "is not an entry"),
        (lambda data: b"", "is damaged.*empty"),
        (lambda data: b"\x1f\x8b" + data, "is no tar file"),
        (lambda data: b"\0" * 10240, "there are no pictures that can be decoded in 1 shard"),
    ],
)
def test_a_damaged_shard_is_named(place, damage, message):
    members = {f"{i}.png": picture(i, sides=(64, 64)) for i in range(4)}
    content = write("a.tar", members).read_bytes()
    Path("a.tar").write_bytes(damage(content))
    with pytest.raises(UsageError, match=message) as raised:
        Shards(path="a.tar")
    assert "a.tar" in str(raised.value)


def test_an_unreadable_picture_gives_way_to_the_next(place, capsys):
    good = [picture(50 * i, "JPEG") for i in range(4)]
    write("a.tar", {f"{i}.jpg": (content[:300] if i in (1, 3) else content) for i, content in enumerate(good)})
    dataset = Shards(path="a.tar", size=16)
    pictures = all_of(dataset)
    assert torch.equal(pictures[1], pictures[2])
    assert torch.equal(pictures[3], pictures[0])
    dataset[1]
    assert capsys.readouterr().err.count("1.jpg in a.tar cannot be read") == 1
    with pytest.raises(GanzooError, match=r"1\.jpg in a\.tar cannot be read: .* data\.broken = 'skip'"):
        Shards(path="a.tar", size=16, broken="stop")[1]
    write("b.tar", {f"{i}.jpg": b"nothing" for i in range(3)})
    with pytest.raises(GanzooError, match="and all 3 pictures after it cannot be read"):
        Shards(path="b.tar")


def test_an_error_in_a_loader_process_is_one_message(ganzoo, place):
    write("a.tar", {f"{i}.jpg": (picture(i, "JPEG")[: 300 if i == 30 else None]) for i in range(40)})
    arguments = ("--steps", 10, *SHORT, *SMALL, "--set", "data.broken=stop", "--set", "train.num_workers=1")
    result = ganzoo("run", "dcgan", "--data", "./a.tar", "--out", "run", *arguments, "--set", "train.sample_count=1")
    assert result.code == 1
    (line,) = [line for line in result.err.splitlines() if line.startswith("Error")]
    assert line.startswith("Error: 30.jpg in ")
    assert "Traceback" not in result.err
    assert json.loads(Path("run/run.json").read_text())["reason"].startswith("30.jpg in ")


def test_a_shard_that_became_shorter_is_an_error(place):
    path = write("a.tar", {f"{i}.png": picture(i) for i in range(4)})
    dataset = Shards(path="a.tar", size=8)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(GanzooError, match="has become shorter"):
        dataset[3]


# --- the index --------------------------------------------------------------------------------------------------------


def test_the_index_is_made_once_and_again_for_a_shard_that_changed(shards, monkeypatch, capsys):
    made = []
    read = index_module._read
    monkeypatch.setattr(index_module, "_read", lambda path, wanted: (made.append(path.name), read(path, wanted))[1])
    first = Shards(path="shards", size=8)
    assert len(made) == 4
    assert "Listed 24 pictures in 4 shards." in capsys.readouterr().err
    again = Shards(path="shards/train-{000..003}.tar", size=8)
    assert (len(made), capsys.readouterr().err) == (4, "")
    assert again.fingerprint() == first.fingerprint()
    kept = sorted(Path("cache/ganzoo/shards").glob("*.safetensors"))
    kept[0].write_bytes(kept[0].read_bytes()[:-1] + b"\xff")  # damaged
    write("shards/train-002.tar", {"new.png": picture(7), "new.cls": b"1"})
    changed = Shards(path="shards", size=8)
    assert made[4:] == ["train-000.tar", "train-002.tar"]
    assert len(changed) == 19
    assert changed.fingerprint() != first.fingerprint()
    Path("shards").rename("moved")
    assert Shards(path="moved", size=8).fingerprint() == changed.fingerprint()
    with pytest.raises(UsageError, match=r"The cache .* cannot be used: .*--set data\.cache=FOLDER"):
        Shards(path="moved", cache="moved/train-000.tar")


# --- order and workers ------------------------------------------------------------------------------------------------


def test_a_window_reads_shard_by_shard(place):
    for shard in range(5):
        write(f"{shard}.tar", {f"{shard}{i:02d}.png": picture(i, sides=(8, 8)) for i in range(40)})
    dataset = Shards(path="{0..4}.tar", size=8, window=20)
    orders = [dataset.order(epoch, torch.Generator().manual_seed(epoch), ()) for epoch in range(2)]
    assert not torch.equal(*orders)
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(200))
        shard = order // 40
        firsts = [(shard == s).nonzero().min().item() for s in range(5)]
        lasts = [(shard == s).nonzero().max().item() for s in range(5)]
        assert all(last - first < 40 + 2 * 20 for first, last in zip(firsts, lasts, strict=True))
        assert (order[1:] - order[:-1] == 1).float().mean() < 0.2
    assert shard.tolist() != sorted(shard.tolist())


def test_any_number_of_processes_draws_the_same_batches(shards):
    drawn = []
    for workers in (0, 1, 2):
        stream = BatchStream(
            Shards(path="shards", size=8, window=10),
            ["image", "label"],
            TrainSettings(batch_size=5, num_workers=workers),
            torch.device("cpu"),
        )
        batches = stream.batches(3)  # in the first epoch, which has four
        drawn.append([next(batches) for _ in range(6)])
    for other in drawn[1:]:
        for a, b in zip(drawn[0], other, strict=True):
            assert torch.equal(a["image"], b["image"])
            assert torch.equal(a["label"], b["label"])


def test_it_pickles_after_it_was_read(shards):
    dataset = Shards(path="shards", size=8)
    dataset[20]
    assert torch.equal(all_of(pickle.loads(pickle.dumps(dataset))), all_of(dataset))


def test_few_files_are_open_at_once(place, monkeypatch):
    monkeypatch.setattr("ganzoo_shards.data._OPEN", 3)
    for i in range(8):
        write(f"{i}.tar", {"a.png": picture(30 * i, sides=(8, 8))})
    dataset = Shards(path="{0..7}.tar", size=8)
    assert len({int(dataset[i]["image"].sum()) for i in (*range(8), 0, 7)}) == 8
    assert len(dataset._files) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_stopped_within_an_epoch_resumes_bit_for_bit(ganzoo, shards, workers):
    """24 pictures are 6 steps per epoch; it stops at 9 and ends at 15."""
    more = (*SHORT, *SMALL, "--set", f"train.num_workers={workers}", "--set", "data.mirror=true")
    data = ("--data", "./shards/train-{000..003}.tar", "--set", "data.window=8")
    assert ganzoo("run", "dcgan", *data, "--steps", 15, "--out", "through", *more).code == 0
    assert ganzoo("run", "dcgan", *data, "--steps", 9, "--out", "stopped", *more).code == 0
    changed = ("--set", f"train.num_workers={2 - workers}")
    assert ganzoo("resume", "stopped", "--steps", 15, *changed).code == 0
    one, other = (package.load(path).model.state_dict() for path in ("through", "stopped"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    write("shards/train-002.tar", {"new.png": picture(7), "new.cls": b"1"})
    result = ganzoo("resume", "stopped", "--steps", 20)
    assert result.code == 2
    assert "it has 19 examples instead of 24" in result.err
