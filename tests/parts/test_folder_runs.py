"""Folders of pictures: training, and the page docs/data.md."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_edges.data import MnistEdges
from ganzoo_emoji.data import Emoji
from ganzoo_images.decode import FORMATS
from ganzoo_images.downloads import CIFAR10, CelebA, FashionMNIST
from ganzoo_images.folder import Folder
from ganzoo_images.pairs import Pairs
from ganzoo_images.views import LowResolution, Masked
from ganzoo_mnist.data import MNIST
from PIL import Image

import ganzoo as package
from ganzoo.options import options_of

# --- docs ---------------------------------------------------------------------------------------------------


def test_the_dataset_on_the_page_works_and_the_page_names_every_option():
    page = (Path(__file__).parent.parent.parent / "docs/data.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    scope: dict = {}
    exec(source, scope)
    dataset = scope["Stripes"](width=8)
    assert dataset.fields["image"].shape == (1, 32, 32)
    assert (len(dataset), dataset.fields["label"].classes) == (1000, 2)
    upright, lying = dataset.tensors()["image"][:2, 0]
    assert torch.equal(upright, lying.T)
    assert upright.unique().tolist() == [0, 255]
    for kind in (MNIST, Emoji, MnistEdges, FashionMNIST, CIFAR10, CelebA, Folder, Pairs, LowResolution, Masked):
        for option in options_of(kind):
            assert f"`{option.name}`" in page, option
    for name in FORMATS:
        assert re.search(rf"\b{name}\b", page.replace("JPEG 2000", "JPEG2000"), re.I), name


# --- from the command line --------------------------------------------------------------------------------------------


def test_a_run_on_a_folder_is_trained_resumed_and_measured(ganzoo, workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    rng = np.random.default_rng(0)
    for i in range(100):
        path = Path("zoo", "ab"[i % 2], f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (70, 64, 3), np.uint8)).save(path)
    options = ["--data", "folder", "--set", "data.path=zoo", "--batch-size", 8, "--device", "cpu", "--steps", 4]
    evaluate = ["--evaluate-every", 2, "--set", 'train.metrics=["kd-pyramid"]']
    result = ganzoo("run", "fc-mnist", *options, *evaluate, "--out", "run")
    assert result.code == 0, result.err
    assert "data folder (100, 2 classes: a, b)" in result.out
    assert ganzoo("resume", "run", "--steps", 6).code == 0
    result = ganzoo("evaluate", "run", "--extractor", "pyramid")
    assert result.code == 0, result.err
    assert "authenticity-pyramid" in result.out
    result = ganzoo("evaluate", "run", "--metrics", "authenticity-pyramid", "--real")
    assert result.code == 0, result.err
    assert package.load("run").sample(2).shape == (2, 3, 64, 64)


def test_500_mixed_pictures_train_dcgan_in_color(ganzoo, workplace, monkeypatch):
    """Gray, color, transparent, palette, odd sizes, and three broken files; the recipe also evaluates."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    rng = np.random.default_rng(0)
    folder = Path("pictures")
    folder.mkdir()
    for i in range(497):
        height, width = rng.integers(9, 90, 2)
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        mode = ("RGB", "L", "RGBA", "P", "LA")[i % 5]
        image.convert(mode).save(folder / f"{i:03d}.png")
    for name in ("a.png", "b.jpg", "c.webp"):
        (folder / name).write_bytes(rng.bytes(300))
    options = ["--data", "folder", "--set", "data.path=./pictures", "--set", "data.size=64", "--set", "model.width=4"]
    quick = ["--steps", 3, "--batch-size", 8, "--device", "cpu", "--out", "run"]
    result = ganzoo("run", "dcgan-mnist", *options, *quick, "--set", 'train.metrics=["kd-pyramid"]')
    assert result.code == 0, result.err
    assert "3 of 500 pictures in pictures cannot be read and are left out: a.png" in result.err
    assert "data folder (497)" in result.out
    assert "metric/kd-pyramid" in package.load("run").metrics()[-1]
    assert package.load("run").sample(2).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ([], "data.path is required"),
        (["data.path=nowhere"], "there is no folder"),
        (["data.pth=x"], "Did you mean 'data.path'?"),
        (["data.path=x", "data.size=0"], "data.size = 0: it must be 4 to 4096 pixels"),
        (["data.path=x", "data.channels=grayscale"], "'auto', 'gray', 'color' or 'alpha'"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(ganzoo, workplace, settings, complaint):
    assignments = [text for setting in settings for text in ("--set", setting)]
    result = ganzoo("run", "fc-mnist", "--data", "folder", *assignments)
    assert result.code == 2
    assert complaint in result.err
    assert not list(workplace.iterdir())
