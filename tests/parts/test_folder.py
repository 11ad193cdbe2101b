"""Folders of pictures: classes, changes, broken files, messages, and the cache that is mapped into memory."""

import os
import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_images import cache, folder, listing
from ganzoo_images.folder import Folder
from PIL import Image

from ganzoo import GanzooError, UsageError
from ganzoo.training.batches import BatchStream
from ganzoo.training.settings import TrainSettings


@pytest.fixture
def pictures(workplace, monkeypatch):
    """A folder of 12 gray pictures, each of one level: 0, 20, 40, ..."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    folder = workplace / "pictures"
    folder.mkdir()
    for i in range(12):
        write(folder / f"{i:02d}.png", i * 20)
    return folder


def write(path: Path, level: int | tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(level, int) else "RGB", (10, 10), level).save(path)


def levels(dataset: Folder) -> list[int]:
    """The first channel's level of each picture. Checks that tensors() and [i] agree."""
    images = dataset.tensors()["image"]
    assert len(dataset) == len(images)
    assert all(torch.equal(dataset[i]["image"], images[i]) for i in range(len(dataset)))
    assert (images == images[..., :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


ALL = [i * 20 for i in range(12)]


def test_a_folder_is_decoded_once_with_a_message(pictures, decodings, capsys):
    dataset = Folder(path="pictures", size=8)
    assert levels(dataset) == ALL
    assert (list(dataset.fields), dataset.fields["image"].shape) == (["image"], (1, 8, 8))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Reading 12 pictures" in said
    assert str(pictures.parent / "cache/ganzoo/images") in said
    assert levels(Folder(path="pictures", size=8)) == ALL
    assert len(decodings) == 12
    assert capsys.readouterr().err == ""


def test_changes_of_the_folder_change_the_dataset(pictures, decodings):
    def current(size=8, **options):
        return levels(Folder(path="pictures", size=size, **options))

    current()
    write(pictures / "005.png", 99)  # second by name
    assert current() == [0, 99, *ALL[1:]]
    assert len(decodings) == 13
    (pictures / "03.png").unlink()
    assert current() == [0, 99, 20, 40, *ALL[4:]]
    before = (pictures / "04.png").stat()
    write(pictures / "04.png", 81)
    os.utime(pictures / "04.png", ns=(before.st_atime_ns, before.st_mtime_ns))  # as if unchanged
    assert (pictures / "04.png").stat().st_size == before.st_size
    assert current() == [0, 99, 20, 40, 81, *ALL[5:]]
    assert len(decodings) == 14
    assert Folder(path="pictures", size=12).fields["image"].shape == (1, 12, 12)
    assert current(12) == current()
    assert len(decodings) == 26


def test_renamed_moved_and_copied_files_keep_their_pixels(pictures, decodings):
    Folder(path="pictures", size=8)
    (pictures / "00.png").rename(pictures / "zz.png")
    (pictures / "01.png").touch()
    shutil.copy(pictures / "02.png", pictures / "twin.png")
    assert levels(Folder(path="pictures", size=8)) == [*ALL[1:], 40, 0]
    assert len(decodings) == 12 + 3
    pictures.rename("moved")
    assert levels(Folder(path="moved", size=8)) == [*ALL[1:], 40, 0]
    shutil.copytree("moved", "copied")
    assert levels(Folder(path="copied", size=8)) == [*ALL[1:], 40, 0]


def test_one_picture_in_color_makes_all_of_them_color_until_it_is_removed(pictures):
    Folder(path="pictures", size=8)
    write(pictures / "red.png", (255, 0, 0))
    dataset = Folder(path="pictures", size=8)
    assert dataset.fields["image"].shape == (3, 8, 8)
    assert dataset.tensors()["image"][:, :, 0, 0].tolist() == [[level] * 3 for level in ALL] + [[255, 0, 0]]
    assert Folder(path="pictures", size=8, channels="gray").fields["image"].shape == (1, 8, 8)
    (pictures / "red.png").unlink()
    assert Folder(path="pictures", size=8).fields["image"].shape == (1, 8, 8)
    assert Folder(path="pictures", size=8, channels="color").fields["image"].shape == (3, 8, 8)
    assert levels(Folder(path="pictures", size=8)) == ALL


def test_subfolders_are_classes(pictures):
    for name, level in (("cat/deep/a.png", 5), ("Zebra/b.png", 6), ("Äpfel/c.png", 7), ("cat/.hidden/x.png", 8)):
        write(Path("zoo", name), level)
    Path("zoo/empty").mkdir()
    Path("zoo/.git").mkdir()
    shutil.copy("zoo/cat/deep/a.png", "zoo/.git/a.png")
    Path("zoo/link").symlink_to(Path("zoo").absolute())  # a loop
    dataset = Folder(path="zoo", size=8)
    assert dataset.fields["label"].class_names == ("Zebra", "cat", "Äpfel")
    assert dataset.tensors()["label"].tolist() == [0, 1, 2]
    assert levels(dataset) == [6, 5, 7]
    assert (dataset.fields["label"].classes, dataset.fields["label"].dtype) == (3, torch.int64)
    assert dataset[1]["label"] == 1


def test_classes_are_in_natural_order(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    names = ["10", "2", "1", "01", "b10", "b9", "B1", "v1.10", "v1.9"]
    for name in names:
        write(workplace / "numbered" / name / "x.png", 90)
    found = Folder(path=str(workplace / "numbered")).fields["label"].class_names
    assert found == ("01", "1", "2", "10", "B1", "b9", "b10", "v1.9", "v1.10")


def test_train_and_valid_folders_are_splits_with_the_classes_in_them(workplace, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    root = workplace / "set"
    for split, level in (("train", 20), ("valid", 60)):
        for kind in ("cat", "dog"):
            write(root / split / kind / "a.png", level)
    train = Folder(path=str(root))
    assert levels(train) == [20, 20]
    assert train.fields["label"].class_names == ("cat", "dog")
    assert "these files are left out: 2 in other splits" in capsys.readouterr().err
    assert levels(Folder(path=str(root), split="validation")) == [60, 60]
    with pytest.raises(UsageError, match=r"data\.split = 'test': .* Available: train, validation\."):
        Folder(path=str(root), split="test")
    write(root / "valid" / "bee" / "a.png", 70)
    names = [Folder(path=str(root), split=split).fields["label"].class_names for split in ("train", "validation")]
    assert names == [("bee", "cat", "dog")] * 2  # a number means the same class in both
    write(root / "train.png", 90)  # beside folders that are no splits then
    capsys.readouterr()
    assert len(Folder(path=str(root))) == 6
    assert "has other folders beside train and valid, so these are no splits" in capsys.readouterr().err


def test_splits_without_classes_have_no_labels(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    for split in ("Train", "val"):
        write(workplace / "set" / split / "a.png", 90)
    assert list(Folder(path=str(workplace / "set")).fields) == ["image"]
    for kind in ("train", "car"):
        write(workplace / "vehicles" / kind / "a.png", 90)
    assert Folder(path=str(workplace / "vehicles")).fields["label"].class_names == ("car", "train")


def test_what_is_left_out_is_said_by_count_and_suffix(pictures, capsys):
    for name in ("a.heic", "b.HEIC", "notes.txt", "readme"):
        (pictures / name).write_text("x")
    monkeypatched = listing.suffixes() - {".heic"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "suffixes", lambda: monkeypatched)
        Folder(path=str(pictures))
    said = capsys.readouterr().err
    assert "2 with .heic, 1 with .txt, 1 with no suffix (pip install pillow-heif reads these)" in said


def test_equal_reasons_are_said_once(pictures, capsys):
    for i in range(12):
        (pictures / f"broken{i:02d}.png").write_bytes(b"")
    (pictures / "other.png").write_bytes(b"no picture")
    Folder(path=str(pictures))
    said = capsys.readouterr().err
    assert said.count("it is empty") == 1
    assert "broken09.png and 2 more (it is empty); other.png (cannot identify" in said


def test_pictures_that_are_almost_black_give_a_hint(workplace, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    (workplace / "scans").mkdir()
    for i in range(3):
        levels_of = np.full((8, 8), 1000 + 1000 * i, np.uint16)
        Image.fromarray(levels_of).save(workplace / f"scans/{i}.png")
    Folder(path=str(workplace / "scans"))
    assert "almost black. If they are gray, 12 bits of 16: --set data.range=[0,4095]" in capsys.readouterr().err
    bright = Folder(path=str(workplace / "scans"), range=(0, 4095))
    assert levels(bright) == [62, 125, 187]
    assert "black" not in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"data\.range = \[5.0, 5.0\]: the level of black must be lower"):
        Folder(path=str(workplace / "scans"), range=(5.0, 5.0))


def test_close_ranges_have_caches_of_their_own(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    (workplace / "floats").mkdir()
    Image.fromarray(np.full((8, 8), 1000001, np.float32)).save(workplace / "floats/a.tiff")
    found = [levels(Folder(path=str(workplace / "floats"), range=(1000000, high))) for high in (1000001, 1000002)]
    assert found == [[255], [128]]


def test_mirror_mirrors_half_of_the_pictures(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    (workplace / "one").mkdir()
    Image.fromarray(np.array([[0, 255] * 4] * 8, np.uint8)).save(workplace / "one/a.png")
    dataset = Folder(path=str(workplace / "one"), size=8, mirror=True)
    torch.manual_seed(0)
    stored = {"image": dataset[0]["image"].expand(400, 1, 8, 8)}
    first = dataset.prepare(stored)["image"][:, 0, 0, 0]
    assert 150 < (first == 1).sum() < 250
    assert set(first.tolist()) == {-1.0, 1.0}
    assert (Folder(path=str(workplace / "one"), size=8).prepare(stored)["image"][:, 0, 0, 0] == -1).all()


def test_pictures_beside_subfolders_have_no_classes_and_give_a_warning(pictures, capsys):
    write(pictures / "more/a.png", 1)
    assert "label" not in Folder(path="pictures", size=8).fields
    assert "all are used, without classes" in capsys.readouterr().err


def test_broken_pictures_are_named_and_left_out_or_refused(pictures, capsys):
    for i in range(13):
        (pictures / f"x{i:02d}.jpg").write_bytes(b"nothing" * i)
    (pictures / "dangling.png").symlink_to("nowhere.png")
    for _ in range(2):
        assert levels(Folder(path="pictures", size=8)) == ALL
        said = capsys.readouterr().err
        assert "14 of 26 pictures in pictures cannot be read and are left out: dangling.png (No such file" in said
        assert "; x00.jpg (it is empty); x01.jpg, x02.jpg, x03.jpg" in said
        assert "x10.jpg and 2 more (cannot identify image file)" in said
        assert "x11.jpg" not in said
    with pytest.raises(UsageError, match=r"cannot be read: dangling\.png"):
        Folder(path="pictures", size=8, broken="stop")
    write(pictures / "x00.jpg", 250)  # repaired; a JPEG this time
    assert levels(Folder(path="pictures", size=8))[12] == 250


def test_a_folder_without_pictures_is_refused(pictures):
    for name in ("bad/a.txt", "bad/b.TXT", "bad/c", "bad/.d.png", "broken/a.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("nothing")
    with pytest.raises(UsageError, match=r"3 other files were ignored \(2 with \.txt, 1 with no suffix\)"):
        Folder(path="bad")
    with pytest.raises(UsageError, match="1 of 1 pictures in broken cannot be read"):
        Folder(path="broken")
    with pytest.raises(UsageError, match="Did you mean 'pictures'"):
        Folder(path="picturs")
    with pytest.raises(UsageError, match="is a file"):
        Folder(path="bad/c")
    with pytest.raises(UsageError, match=r"cannot be used: .*--set data\.cache"):
        Folder(path="pictures", cache="bad/c")


def test_it_pickles_without_its_pixels_and_streams_the_same_batches(pictures):
    dataset = Folder(path="pictures", size=64, channels="color")
    content = pickle.dumps(dataset)
    assert len(content) < 3000
    assert torch.equal(pickle.loads(content).tensors()["image"], dataset.tensors()["image"])
    drawn = []
    for kept, workers in (("auto", 0), ("never", 0), ("never", 1)):
        settings = TrainSettings(batch_size=4, cache_on_device=kept, num_workers=workers)
        stream = BatchStream(dataset, ["image"], settings, torch.device("cpu"))
        assert (stream.cached is None) == (kept == "never")
        batches = stream.batches(0)
        drawn.append(torch.cat([next(batches)["image"] for _ in range(6)]))
    assert all(torch.equal(drawn[0], other) for other in drawn[1:])
    next(Path("cache").rglob("*.safetensors")).unlink()
    with pytest.raises(GanzooError, match="Start again"):
        pickle.loads(content)


def test_a_single_shard_is_mapped_without_a_copy_or_a_warning(pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = Folder(path="pictures", size=8)
        images = dataset.tensors()["image"]
        assert dataset.prepare({"image": images.index_select(0, torch.tensor([3, 1]))})["image"].shape == (2, 1, 8, 8)
    path = next(Path("cache").rglob("*.safetensors"))
    assert levels(dataset) == ALL
    with path.open("r+b") as file:  # a copy would not see this
        file.seek(-12 * 64, os.SEEK_END)
        file.write(bytes([200]))
    assert images[0, 0, 0, 0] == 200
    images[1, 0, 0, 0] = 7  # and the file does not see this
    assert 7 not in path.read_bytes()[-12 * 64 :]


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of five pictures: 12 pictures make three."""
    monkeypatch.setattr(cache, "PICTURES", 5)


def test_several_shards_are_one_dataset(pictures, small_shards, monkeypatch):
    write(pictures / "07.png", (140, 0, 0))
    (pictures / "11.png").write_bytes(b"broken")
    dataset = Folder(path="pictures", size=8)
    assert levels(dataset) == ALL[:11]
    assert dataset.tensors()["image"][[4, 5, 7, 10], :, 0, 0].tolist() == [[80] * 3, [100] * 3, [140, 0, 0], [200] * 3]
    assert dataset[-1]["image"].tolist() == dataset[10]["image"].tolist() == torch.full((3, 8, 8), 200).tolist()
    with pytest.raises(IndexError):
        dataset[11]
    content = pickle.dumps(dataset)
    assert len(content) < 3000
    assert levels(pickle.loads(content)) == ALL[:11]
    monkeypatch.setattr(folder, "memory", lambda: 2000)  # the pixels take more than half of it
    streamed = Folder(path="pictures", size=8)
    assert streamed.tensors() is None
    assert [int(streamed[i]["image"][0, 0, 0]) for i in range(11)] == ALL[:11]
    assert streamed.fingerprint() == dataset.fingerprint()
    pictures.rename("moved")
    assert Folder(path="moved", size=8).fingerprint() == dataset.fingerprint()
    write(Path("moved/03.png"), 61)
    assert Folder(path="moved", size=8).fingerprint() != dataset.fingerprint()


def test_a_changed_picture_renews_only_its_shard(pictures, small_shards, decodings):
    def shards():
        return {path.name for path in Path("cache").rglob("*.safetensors")}

    Folder(path="pictures", size=8)
    before = shards()
    assert len(before) == 3
    write(pictures / "06.png", 1)
    assert levels(Folder(path="pictures", size=8)) == [*ALL[:6], 1, *ALL[7:]]
    assert len(decodings) == 13
    assert len(shards() - before) == 1
    for path in Path("cache").rglob("*.safetensors"):
        os.utime(path, (0, 0))
    unfinished = path.with_name(".0123456789abcdef.tmp")
    unfinished.write_bytes(b"left by a killed process")
    os.utime(unfinished, (0, 0))
    path.with_name("other.tmp").write_bytes(b"not ours")
    os.utime(path.with_name("other.tmp"), (0, 0))
    current = shards()
    write(pictures / "12.png", 2)
    assert levels(Folder(path="pictures", size=8)) == [*ALL[:6], 1, *ALL[7:], 2]
    assert len(decodings) == 14
    assert len(shards()) == 3  # the older two are removed
    assert len(shards() & current) == 2
    assert {p.name for p in path.parent.iterdir()} == {*shards(), "other.tmp"}
