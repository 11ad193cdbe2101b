"""Pictures with any number of channels: in NumPy files, and in TIFFs."""

import sys

import numpy as np
import pytest
import tifffile
import torch
from ganzoo_images.arrays import Arrays
from ganzoo_images.folder import Folder
from PIL import Image

from ganzoo import UsageError, images


def random(*shape, most=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, most, shape).astype(dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_arrays_of_either_layout_are_the_same_pictures(workplace, channels):
    first = random(6, channels, 16, 20)
    np.save("first.npy", first)
    np.save("last.npy", np.moveaxis(first, 1, 3))
    np.savez("one.npz", pictures=first)
    for name in ("first.npy", "last.npy", "one.npz"):
        dataset = Arrays(path=name)
        assert dataset.fields["image"].shape == (channels, 16, 20)
        assert torch.equal(dataset.tensors()["image"], torch.from_numpy(first))
    turned = Arrays(path="first.npy", layout="channels-last", size=8)
    assert turned.fields["image"].shape == (20, 8, 8)


def test_numbers_become_bytes_by_their_range(workplace):
    np.save("x.npy", np.linspace(0, 1, 4 * 3 * 8 * 8).reshape(4, 3, 8, 8).astype(np.float32))
    with pytest.raises(UsageError, match=r"numbers \(float32\) from 0 to 1\. Say which .* data.range=\[0,1\]"):
        Arrays(path="x.npy")
    expected = torch.from_numpy((np.load("x.npy") * 255 + 0.5).astype(np.uint8))
    for bounds in ((0, 1), "measured"):
        assert torch.equal(Arrays(path="x.npy", range=bounds).tensors()["image"], expected)
    np.save("deep.npy", random(4, 8, 8, 1, most=4096, dtype=np.uint16))
    assert Arrays(path="deep.npy", range=(0, 4095)).tensors()["image"].max() > 250
    np.save("yes.npy", random(4, 1, 8, 8, most=2).astype(bool))
    assert Arrays(path="yes.npy").tensors()["image"].unique().tolist() == [0, 255]
    np.save("nan.npy", np.full((4, 1, 8, 8), np.nan))
    with pytest.raises(UsageError, match="not finite"):
        Arrays(path="nan.npy", range="measured")


def test_a_smaller_size_is_the_mean_of_the_center(workplace):
    picture = np.zeros((1, 5, 8, 16), np.uint8)
    picture[:, :, :, 4:12] = 100  # the center
    np.save("x.npy", picture)
    small = Arrays(path="x.npy", size=4).tensors()["image"]
    assert small.shape == (1, 5, 4, 4)
    assert (small == 100).all()


def test_labels_and_their_names_are_read(workplace):
    np.savez("x.npz", x=random(6, 8, 8, 3), y=np.array([0, 1, 1, 0, 2, 1]), class_names=np.array(["cat", "dog", "owl"]))
    dataset = Arrays(path="x.npz")
    assert dataset.fields["label"].class_names == ("cat", "dog", "owl")
    assert dataset.tensors()["label"].tolist() == [0, 1, 1, 0, 2, 1]
    np.savez("bare.npz", x=random(6, 8, 8, 3), label=np.array([0, 1, 1, 0, 2, 1]))
    assert Arrays(path="bare.npz").fields["label"].classes == 3


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": random(4, 8)}, r"It has: x \(4, 8\)\."),
        ({"x": random(4, 3, 8, 8), "z": random(4, 3, 8, 8)}, "must have one array"),
        ({"x": random(4, 90, 80, 80)}, "80|90 channels, and at most 64"),
        ({"x": random(4, 3, 8, 8), "y": random(3)}, "labels must be integers"),
        (
            {"x": random(4, 3, 8, 8), "y": np.arange(4), "class_names": np.array(["a"])},
            "1 class_names, and a label is 3",
        ),
        ({"x": np.full((4, 3, 8, 8), "text")}, "has no pictures"),
        ({"x": random(0, 3, 8, 8)}, "has no pictures"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(workplace, arrays, complaint):
    np.savez("x.npz", **arrays)
    with pytest.raises(UsageError, match=complaint):
        Arrays(path="x.npz")


def test_a_file_that_is_no_array_or_missing(ganzoo, workplace):
    (workplace / "x.npy").write_text("no array")
    result = ganzoo("run", "dcgan", "--data", "x.npy")
    assert result.code == 2
    assert "x.npy is not an array of numbers" in result.err
    with pytest.raises(UsageError, match=r"data\.path = 'y.npy': No such file"):
        Arrays(path="y.npy")


def test_five_channels_are_trained_on_sampled_and_reported(ganzoo, workplace):
    np.save("bands.npy", random(60, 32, 32, 5))
    np.save("waves.npy", random(60, 12, 3).astype(np.float32))
    result = ganzoo("run", "dcgan", "--data", "bands.npy", "--steps", 2, "--batch-size", 4, "--out", "run")
    assert result.code == 0, result.err
    assert "bands.npy: 60 pictures of 5x32x32" in result.err
    assert Image.open("run/samples/fake-00000002.png").mode == "RGB"
    assert ganzoo("sample", "run", "-n", 3, "-o", "grid.png").code == 0
    assert ganzoo("sample", "run", "-n", 3, "-o", "made").code == 0
    assert Image.open("made/00000.png").size == Image.open("made/00002.png").size
    assert ganzoo("sample", "run", "-n", 50, "-o", "made.npz").code == 0
    assert np.load("made.npz")["samples"].shape == (50, 5, 32, 32)
    result = ganzoo("evaluate", "run", "-n", 50, "--metrics", "kd")
    assert result.code == 0, result.err
    assert "kd-pyramid" in result.out
    assert ganzoo("report", "run").code == 0
    report = (workplace / "run/report.html").read_text()
    assert "not pictures" not in report
    assert "This could not be made" not in report
    result = ganzoo("run", "rgan", "--data", "waves.npy", "--steps", 1, "--batch-size", 4, "--out", "series")
    assert result.code == 0, result.err


def test_what_is_shown_of_channels():
    samples = torch.rand(2, 6, 4, 4)
    assert torch.equal(images.shown(samples), samples[:, :3])
    assert torch.equal(images.shown(samples[:, :2]), samples[:, :2].mean(1, keepdim=True))
    assert torch.equal(images.shown(samples[:, :3]), samples[:, :3])
    assert images.shown(samples[:, :4]).shape == (2, 3, 4, 4)
    assert images.shown((samples[:, :2] * 255).to(torch.uint8)).dtype == torch.uint8


# --- TIFFs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["contig", "separate"])
def test_all_channels_of_a_tiff_are_kept(workplace, plan):
    (workplace / "bands").mkdir()
    first = random(5, 16, 24)
    shaped = first if plan == "separate" else np.moveaxis(first, 0, 2)
    tifffile.imwrite("bands/a.tif", shaped, photometric="minisblack", planarconfig=plan)
    pixels = Folder(path="bands", channels=5, size="16x24", cache="c").tensors()["image"]
    assert torch.equal(pixels, torch.from_numpy(first)[None])
    assert Folder(path="bands", channels=5, size=8, fit="pad", cache="c").fields["image"].shape == (5, 8, 8)


def test_deep_channels_have_a_range_and_other_numbers_of_channels_are_left_out(workplace, capsys):
    (workplace / "bands").mkdir()
    deep = random(3, 16, 16, 5, most=4096, dtype=np.uint16)
    with tifffile.TiffWriter("bands/a.tif") as file:  # three pages
        for page in deep:
            file.write(page, photometric="minisblack", planarconfig="contig")
    Image.new("RGB", (16, 16)).save("bands/b.png")
    found = Folder(path="bands", channels=5, size=16, range=(0, 4095), cache="c")
    expected = (deep.astype(np.float64) / 4095 * 255 + 0.5).astype(np.uint8)
    assert torch.equal(found.tensors()["image"], torch.from_numpy(np.moveaxis(expected, 3, 1)))
    assert "b.png (it has 3 channels, not 5)" in capsys.readouterr().err
    Folder(path="bands", channels=5, size=16, range="measured", cache="c")
    assert f"data.range = [{deep.min()}, {deep.max()}]" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"cannot identify image file; if it has more than four .* data.channels = N"):
        Folder(path="bands", broken="stop", cache="c")
    with pytest.raises(UsageError, match=r"data.channels = 65: a number must be 1 to 64"):
        Folder(path="bands", channels=65, cache="c")


def test_four_channels_of_any_file(workplace):
    (workplace / "four").mkdir()
    pixels = random(16, 16, 4)
    Image.fromarray(pixels, "CMYK").save("four/a.tif")
    Image.fromarray(pixels, "RGBA").save("four/b.png")
    found = Folder(path="four", channels=4, size=16, cache="c").tensors()["image"]
    assert torch.equal(found, torch.from_numpy(np.moveaxis(pixels, 2, 0)).expand(2, -1, -1, -1))


def test_without_tifffile_the_message_says_how_to_get_it(workplace, monkeypatch):
    (workplace / "bands").mkdir()
    tifffile.imwrite("bands/a.tif", random(16, 16, 5), photometric="minisblack", planarconfig="contig")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UsageError, match=r'tifffile, which is not installed: pip install "torch-ganzoo\[tiff\]"'):
        Folder(path="bands", channels=5, cache="c")
