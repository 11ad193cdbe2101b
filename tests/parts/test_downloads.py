"""MNIST's sizes, and torchvision's datasets from small files in the original formats."""

import gzip
import hashlib
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from ganzoo_images.downloads import CIFAR10, CelebA, FashionMNIST
from ganzoo_mnist.data import MNIST
from PIL import Image

from ganzoo import GanzooError, UsageError

# --- MNIST ------------------------------------------------------------------------------------------------------------


def test_mnist_has_the_known_pixels_and_labels():
    tensors = MNIST(split="test").tensors()
    assert tensors["image"].shape == (10_000, 1, 28, 28)
    digest = hashlib.sha256(tensors["image"].numpy().tobytes() + tensors["label"].numpy().tobytes()).hexdigest()
    assert digest == "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891"
    assert MNIST(split="test").postprocess(tensors["image"]) is tensors["image"]


def test_padding_is_cut_off_exactly():
    plain, padded = MNIST(split="test").tensors()["image"], MNIST(split="test", size=32)
    images = padded.tensors()["image"]
    assert (images.shape, images.dtype) == ((10_000, 1, 32, 32), torch.uint8)
    assert padded.fields["image"].shape == (1, 32, 32)
    frame = torch.ones(32, 32, dtype=torch.bool)
    frame[2:30, 2:30] = False
    assert images[:, 0, frame].max() == 0
    assert torch.equal(padded.postprocess(images), plain)
    prepared = padded.prepare({"image": images[:9]})["image"]
    assert prepared[:, 0, frame].max() == -1
    assert torch.equal(padded.postprocess(prepared), prepared[..., 2:30, 2:30])


def test_resized_digits_are_resized_back():
    plain, resized = MNIST(split="test").tensors()["image"], MNIST(split="test", size=32, fit="resize")
    images = resized.tensors()["image"]
    pillow = np.asarray(Image.fromarray(plain[7, 0].numpy()).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(images[7, 0].numpy().astype(int) - pillow).max() <= 1
    back = resized.postprocess(images)
    assert back.shape == plain.shape
    differences = (back.float() - plain.float()).abs().mean()
    shuffled = (back.float() - plain.float().roll(1, 0)).abs().mean()
    assert differences < shuffled / 3


# --- torchvision's datasets, from small files in the original formats -------------------------------------------------


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx(values: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes())


@pytest.fixture
def fashion(workplace, monkeypatch):
    """Fashion-MNIST's four archives with 30 and 20 images, where torchvision would put its downloads."""
    rng = np.random.default_rng(0)
    kind = torchvision.datasets.FashionMNIST
    pixels = {
        "train": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "t10k": rng.integers(0, 256, (20, 28, 28), np.uint8),
    }
    raw = workplace / "data/FashionMNIST/raw"
    raw.mkdir(parents=True)
    resources = []
    for name, _ in kind.resources:
        images = pixels[name.partition("-")[0]]
        content = idx(images if "images" in name else np.arange(len(images), dtype=np.uint8) % 10)
        (raw / name).write_bytes(content)
        resources.append((name, md5(content)))
    monkeypatch.setattr(kind, "resources", resources)
    return pixels


def test_fashion_mnist_from_its_archives(fashion):
    dataset = FashionMNIST()
    assert torch.equal(dataset.tensors()["image"], torch.from_numpy(fashion["train"]).unsqueeze(1))
    assert dataset.tensors()["label"].tolist() == [i % 10 for i in range(30)]
    assert dataset.fields["label"].classes == 10
    assert dataset.fields["label"].class_names[9] == "Ankle boot"
    for packed in Path("data/FashionMNIST/raw").glob("*.gz"):
        packed.unlink()  # the unpacked files are enough
    assert len(FashionMNIST(split="test")) == 20


def test_a_damaged_archive_is_named(fashion):
    path = Path("data/FashionMNIST/raw/train-images-idx3-ubyte.gz")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte\.gz \(the file there has the wrong MD5"):
        FashionMNIST()


def test_damaged_unpacked_files_are_reported(fashion):
    FashionMNIST()
    path = Path("data/FashionMNIST/raw/train-images-idx3-ubyte")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(GanzooError, match="is damaged"):
        FashionMNIST()


@pytest.fixture
def cifar(workplace, monkeypatch):
    """CIFAR-10's archive with 4 images per batch, in data/."""
    rng = np.random.default_rng(0)
    kind = torchvision.datasets.CIFAR10
    names = [name for name, _ in kind.train_list + kind.test_list]
    pixels = {name: rng.integers(0, 256, (4, 3072), np.uint8) for name in names}
    contents = {name: pickle.dumps({"data": pixels[name], "labels": [3, 1, 4, 1]}) for name in names}
    meta = pickle.dumps({"label_names": list("abcdefghij")})
    folder = workplace / "data" / kind.base_folder
    folder.mkdir(parents=True)
    for name, content in {**contents, kind.meta["filename"]: meta}.items():
        (folder / name).write_bytes(content)
    with tarfile.open(workplace / "data" / kind.filename, "w:gz") as archive:
        archive.add(folder, kind.base_folder)
    shutil.rmtree(folder)
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(kind, part, [[name, md5(contents[name])] for name, _ in getattr(kind, part)])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})
    monkeypatch.setattr(kind, "tgz_md5", md5((workplace / "data" / kind.filename).read_bytes()))
    return pixels


def test_cifar10_from_its_archive(cifar):
    dataset = CIFAR10()
    images = dataset.tensors()["image"]
    assert (images.shape, images.dtype, images.is_contiguous()) == ((20, 3, 32, 32), torch.uint8, True)
    assert torch.equal(images[4].flatten(), torch.from_numpy(cifar["data_batch_2"][0]))  # CIFAR stores planes
    assert dataset.tensors()["label"].tolist() == [3, 1, 4, 1] * 5
    assert (dataset.fields["label"].classes, dataset.fields["label"].class_names) == (10, tuple("abcdefghij"))
    Path("data/cifar-10-python.tar.gz").unlink()
    assert len(CIFAR10(split="test")) == 4


@pytest.fixture
def celeba(workplace, monkeypatch):
    """CelebA's lists and zip archive with 12 pictures of 178x218 pixels: 6 training, 3 validation, 3 test."""
    kind = torchvision.datasets.CelebA
    folder = workplace / "data/celeba"
    folder.mkdir(parents=True)
    names = [f"{i + 1:06d}.jpg" for i in range(12)]
    header = {"list_attr_celeba.txt": "12\nSmiling\n", "list_bbox_celeba.txt": "12\nx_1\n"}
    header["list_landmarks_align_celeba.txt"] = "12\nlefteye_x\n"
    splits = [0] * 6 + [1] * 3 + [2] * 3
    files = []
    for _, _, name in kind.file_list:
        if name.endswith(".zip"):
            with zipfile.ZipFile(folder / name, "w") as archive:
                for number, picture in enumerate(names):
                    pixels = np.full((218, 178, 3), (number * 20, 0, 255), np.uint8)
                    pixels[:20], pixels[198:] = 255, 255  # outside the crop
                    Image.fromarray(pixels).save(folder / "picture.jpg", quality=95)
                    archive.write(folder / "picture.jpg", f"img_align_celeba/{picture}")
        else:
            values = splits if name == "list_eval_partition.txt" else [1] * 12
            lines = [f"{picture} {value}\n" for picture, value in zip(names, values, strict=True)]
            (folder / name).write_text(header.get(name, "") + "".join(lines))
        files.append(("key", md5((folder / name).read_bytes()), name))
    monkeypatch.setattr(kind, "file_list", files)
    return folder


def test_celeba_from_its_archive(celeba, workplace):
    dataset = CelebA(size=16, cache="kept")
    assert dataset.fields["image"].shape == (3, 16, 16)
    images = dataset.tensors()["image"]
    assert images.shape == (6, 3, 16, 16)
    expected = torch.tensor([[i * 20, 0, 255] for i in range(6)])[:, :, None, None]
    assert (images[:, :, 1:-1].int() - expected).abs().max() <= 4  # JPEG; nothing of the cropped border
    assert [len(CelebA(split=s, size=16, cache="kept")) for s in ("validation", "test", "all")] == [3, 3, 12]
    assert not (celeba / ".unpacking").exists()
    (celeba / "img_align_celeba/000003.jpg").unlink()
    with pytest.raises(GanzooError, match=r"1 of 6 pictures of CelebA are not in .*000003\.jpg"):
        CelebA(size=16, cache="kept")


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "celeba"])
def test_without_a_network_the_message_says_which_files_to_put_where(ganzoo, workplace, monkeypatch, name):
    """The proxies do not answer, so urllib cannot connect on any machine."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setitem(sys.modules, "gdown", None)  # as if not installed: it ignores the proxies
    result = ganzoo("run", "fc-mnist", "--data", name, "--steps", 3, "--out", "run")
    assert result.code == 2, result.err
    assert "could not be downloaded" in result.err
    assert "Files that were downloaded are kept" in result.err
    kinds = torchvision.datasets
    wanted = {
        "fashion-mnist": [f"to data/FashionMNIST/raw/{file}" for file, _ in kinds.FashionMNIST.resources],
        "cifar10": [kinds.CIFAR10.url, f"to data/{kinds.CIFAR10.filename}"],
        "celeba": [f"to data/celeba/{file}" for _, _, file in kinds.CelebA.file_list],
    }
    for text in wanted[name]:
        assert text in result.err
    assert not Path("run").exists()
