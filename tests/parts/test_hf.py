"""Datasets of the Hugging Face library: local files of its formats, streamed rows, and what is said without a network.
Nothing is downloaded."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import datasets
import fsspec
import numpy as np
import pytest
import torch
from ganzoo_hf import load as load_module
from ganzoo_hf.data import HuggingFace
from ganzoo_hf.stream import TOGETHER, RowGroups
from PIL import Image

import ganzoo as package
from ganzoo import UsageError
from ganzoo.training.batches import BatchStream
from ganzoo.training.settings import TrainSettings

SHORT = ("--batch-size", 4, "--device", "cpu", "--set", "train.sample_count=4", "--evaluate-every", 0)


@pytest.fixture
def place(workplace, monkeypatch):
    """A folder of pictures in two classes, and the same as Parquet with row groups of three."""
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", workplace / "cache")
    rng = np.random.default_rng(0)
    for i in range(24):
        path = workplace / f"pictures/{'cat' if i % 2 else 'dog'}/{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    rows = []
    for path in sorted(workplace.glob("pictures/*/*.png")):
        rows.append({"image": {"bytes": path.read_bytes(), "path": None}, "label": int(path.parent.name == "dog")})
    save("parquet/train-0.parquet", rows[:14])
    save("parquet/train-1.parquet", rows[14:])
    return workplace


def save(path, rows, **features):
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]), **features}
    table = datasets.Dataset.from_list(rows, features=datasets.Features({name: kinds[name] for name in rows[0]}))
    Path(path).parent.mkdir(exist_ok=True)
    table.to_parquet(path, batch_size=3)
    return table


def content(dataset):
    return [(dataset[i]["image"].sum().item(), int(dataset[i]["label"])) for i in range(len(dataset))]


def test_all_formats_hold_the_same(place):
    root = place / "pictures"
    expected = HuggingFace(path=str(root), size=16)
    assert (len(expected), expected.fields["label"].class_names) == (24, ("cat", "dog"))
    datasets.load_dataset("parquet", data_files=str(place / "parquet/*.parquet"), split="train").save_to_disk("saved")
    for path in ("parquet", "saved"):
        assert content(HuggingFace(path=str(place / path), size=16)) == content(expected), path
    streamed = HuggingFace(path=str(place / "parquet"), size=16, stream=True)
    assert content(streamed) == content(expected)
    assert len(HuggingFace(path=str(place / "parquet/train-1.parquet"), size=16)) == 10
    assert len(HuggingFace(path=str(root), size=16, split="train[:50%]")) == 12
    assert expected.fingerprint() == HuggingFace(path=str(place / "parquet"), size=16).fingerprint()


def test_columns_are_found_or_named(place):
    pixels = (place / "pictures/cat/01.png").read_bytes()
    rows = [{"id": i, "photo": {"bytes": pixels, "path": None}, "breed": "ab"[i % 2]} for i in range(4)]
    save(
        "other/train.parquet", rows, photo=datasets.Image(), id=datasets.Value("int64"), breed=datasets.Value("string")
    )
    plain = HuggingFace(path=str(place / "other"))
    assert set(plain.fields) == {"image"}
    named = HuggingFace(path=str(place / "other"), label="breed", image="photo")
    assert named.fields["label"].class_names == ("a", "b")
    for options, message in (
        ({"image": "id"}, r"data.image = 'id' is no column of pictures. Its columns are id \(int64\), photo"),
        ({"label": "race"}, "data.label = 'race' is no column of classes"),
        ({"split": "test"}, 'Unknown split "test"'),
        ({"config": "large"}, "'large' not found"),
        ({"stream": True, "split": "test"}, "only train can be streamed"),
    ):
        with pytest.raises(UsageError, match=message):
            HuggingFace(path=str(place / "other"), **options)


def test_rows_without_a_class_are_left_out(place, capsys):
    pixels = (place / "pictures/cat/01.png").read_bytes()
    save("some/train.parquet", [{"image": {"bytes": pixels, "path": None}, "label": i % 3 - 1} for i in range(9)])
    assert [label for _, label in content(HuggingFace(path=str(place / "some"), size=8))] == [0, 1] * 3
    assert "Rows without a class (label) are left out: 3." in capsys.readouterr().err
    with pytest.raises(UsageError, match="3 rows have no class"):
        HuggingFace(path=str(place / "some"), stream=True)


def test_an_unreadable_picture_gives_way_to_the_next(place, capsys):
    pictures = [(place / f"pictures/cat/0{i}.png").read_bytes() for i in (1, 3)]
    rows = [{"image": {"bytes": content, "path": None}} for content in (pictures[0], b"nothing", pictures[1])]
    save("bad/train.parquet", rows)
    for stream in (False, True):
        dataset = HuggingFace(path=str(place / "bad"), size=8, stream=stream)
        assert torch.equal(dataset[1]["image"], dataset[2]["image"])
        assert f"Row 1 of {place / 'bad'} cannot be read" in capsys.readouterr().err


def test_streamed_rows_are_shuffled_within_some_groups_and_read_once(place, monkeypatch):
    rows = [{"label": i % 2} for i in range(90)]
    save("many/train.parquet", rows)
    groups = RowGroups([str(place / "many/train.parquet")])
    read = []
    original = RowGroups._read
    monkeypatch.setattr(RowGroups, "_read", lambda self, *a: (read.append(a[0]), original(self, *a))[1])
    order = groups.order(torch.Generator().manual_seed(0))
    assert torch.equal(order.sort().values, torch.arange(90))
    assert [groups.value(i, "label") for i in order.tolist()] == [i % 2 for i in order.tolist()]
    assert sorted(read) == list(range(30))
    assert len(groups._held) == TOGETHER
    assert len({i // 3 for i in order[: 3 * TOGETHER].tolist()}) == TOGETHER
    assert not pickle.loads(pickle.dumps(groups))._held


def test_streamed_rows_may_be_elsewhere(place):
    """In another file system of fsspec, through which the Hub is read too."""
    with fsspec.open("memory://train.parquet", "wb") as file:
        file.write(Path("parquet/train-0.parquet").read_bytes())
    groups = RowGroups(["memory://train.parquet"])
    assert len(groups) == 14
    assert groups.column("label")[0] == 0
    assert groups.value(13, "image")["bytes"][:4] == b"\x89PNG"
    with pytest.raises(UsageError, match=r"memory://none\.parquet cannot be read as Parquet"):
        RowGroups(["memory://none.parquet"])


@pytest.mark.parametrize("stream", [False, True])
def test_any_number_of_processes_draws_the_same_batches(place, stream):
    drawn = []
    for workers in (0, 2):
        dataset = HuggingFace(path=str(place / "parquet"), size=8, stream=stream)
        settings = TrainSettings(batch_size=5, num_workers=workers)
        batches = BatchStream(dataset, ["image"], settings, torch.device("cpu")).batches(3)
        drawn.append(torch.cat([next(batches)["image"] for _ in range(5)]))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_run_that_stopped_within_an_epoch_resumes_bit_for_bit(ganzoo, place, stream):
    """24 pictures are 6 steps per epoch."""
    more = (*SHORT, "--set", "model.width=4", "--set", f"data.stream={stream}")
    result = ganzoo("run", "dcgan", "--data", "hf:./parquet", "--steps", 15, "--out", "through", *more)
    assert "dcgan-parquet: data hf (24, 2 classes: cat, dog)" in result.out, result.err
    assert ganzoo("run", "dcgan", "--data", "hf:./parquet", "--steps", 9, "--out", "stopped", *more).code == 0
    Path("parquet").rename("moved")
    assert ganzoo("resume", "stopped", "--steps", 15, "--set", f"data.path={place / 'moved'}").code == 0
    one, other = (package.load(path).model.state_dict() for path in ("through", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("hf:./none", "there is no .*none. A dataset on the Hub: --data hf:NAME."),
        ("hf:./empty", "doesn't contain any data files"),
        ("hf:./notes.txt", "must be a folder, or one of .parquet, .arrow"),
        ("hf:./bad.parquet", "cannot be opened"),
        ("hf:", "nothing after the colon"),
        ("fh:./parquet", "no datasets open fh:NAME. They open: .*hf:NAME"),
    ],
)
def test_what_cannot_be_opened_is_one_message(ganzoo, place, path, message):
    Path("empty").mkdir()
    Path("notes.txt").touch()
    Path("bad.parquet").write_bytes(b"PAR1 nothing")
    result = ganzoo("run", "dcgan", "--data", path, "--out", "run")
    assert result.code == 2
    lines = [line for line in result.err.splitlines() if line.startswith("Error")]
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines
    assert not Path("run").exists()


def test_only_parquet_is_streamed(place):
    with pytest.raises(UsageError, match="only Parquet files are streamed"):
        HuggingFace(path=str(place / "pictures"), stream=True)


def test_without_the_library_the_extra_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'torch-ganzoo\[hf\]'"):
        load_module.load("user/name", None, "train", None, None, False)


def test_without_a_network_the_way_round_is_said(place):
    command = [sys.executable, "-m", "ganzoo", "run", "dcgan", "--data", "hf:someone/cats", "--out", "run"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: The dataset 'someone/cats' is not in the cache {place / 'home'}")
    assert "--data hf:./FOLDER" in line
