"""The classifier of digits: its accuracy, what it refuses, its training, and the metrics that use it."""

import hashlib
import json
import math

import pytest
import torch
from click.testing import CliRunner
from ganzoo_digits import classifier
from ganzoo_digits.classifier import WEIGHTS, MnistExtractor
from ganzoo_digits.metric import Accuracy, Classes
from ganzoo_digits.train import jitter, main
from ganzoo_mnist.data import MNIST
from safetensors import safe_open

import ganzoo
from ganzoo import GanzooError, UsageError
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.evaluation.extractors import Extractor
from ganzoo.images import from_bytes
from ganzoo.metric import Samples
from ganzoo.zoo import Zoo

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    """The 10,000 test digits: the dataset, uint8 images, labels, and the features of the bundled classifier."""
    dataset = MNIST(split="test")
    tensors = dataset.tensors()
    found = Extractor(Zoo(), "mnist", ["fid", "isc"], CPU)(tensors["image"])
    return dataset, tensors["image"], tensors["label"], found


def samples(digits, index, labels=None):
    """Some of the test digits as a metric sees them, with their own labels or with others."""
    dataset, images, own, found = digits
    label = own[index] if labels is None else labels
    return Samples(images[index], {"label": label}, dataset, 0, None, lambda kind: found[kind][index])


def samples_with(logits):
    """Samples of which only the logits (n, 10) matter."""
    return Samples(torch.zeros(len(logits), 1, 28, 28, dtype=torch.uint8), {}, None, 0, None, {"isc": logits}.get)


def test_the_bundled_classifier_recognizes_the_test_digits(digits):
    _, _, labels, found = digits
    right = (found["isc"].argmax(1) == labels).double().mean().item()
    assert right >= 0.993
    with safe_open(WEIGHTS, "pt") as file:
        notes = json.loads(file.metadata()["training"])
    assert notes["accuracy"] == pytest.approx(right, abs=0.0003)  # borderline digits differ between machines
    assert notes["digits"] == 60_000


def test_its_features_are_the_inputs_of_the_last_layer(digits):
    found, network = digits[3], MnistExtractor("mnist", ["64"]).classifier
    assert found["fid"].shape == (10_000, 64)
    assert (found["fid"] >= 0).all()
    assert (found["fid"].std(0) > 0).all()  # no dead feature
    torch.testing.assert_close(network.head(found["fid"]), found["isc"])


def test_the_bundled_file_is_small_and_has_the_declared_hash():
    content = WEIGHTS.read_bytes()
    assert len(content) < 2_000_000
    assert hashlib.sha256(content).hexdigest() == MnistExtractor.sha256
    assert Extractor(Zoo(), "mnist", ["fid"], CPU).sha256 == MnistExtractor.sha256


@pytest.mark.parametrize("position", [20, 100_000, -1])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, position):
    content = bytearray(WEIGHTS.read_bytes())
    content[position] ^= 1
    monkeypatch.setattr(classifier, "WEIGHTS", tmp_path / "damaged.safetensors")
    classifier.WEIGHTS.write_bytes(content)
    with pytest.raises(GanzooError, match=r"damaged.safetensors is damaged.*Install torch-ganzoo again"):
        Extractor(Zoo(), "mnist", ["fid"], CPU)
    classifier.WEIGHTS.unlink()
    with pytest.raises(GanzooError, match=r"No such file.*Install torch-ganzoo again"):
        Extractor(Zoo(), "mnist", ["fid"], CPU)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 28, 29), (1, 14, 56)])
def test_images_of_another_size_are_refused(shape):
    images = torch.zeros(20, *shape, dtype=torch.uint8)
    with pytest.raises(UsageError, match="uint8 images of 28x28 pixels, not"):
        Extractor(Zoo(), "mnist", ["fid"], CPU).check(images)
    with pytest.raises(UsageError, match="uint8 images of 28x28 pixels, not"):
        _evaluator(ganzoo.TensorDataset({"image": images}), "classes")


def test_points_are_refused():
    with pytest.raises(UsageError, match=r"'mnist' does not fit samples of shape \(2,\)"):
        _evaluator(ganzoo.TensorDataset({"point": torch.zeros(20, 2)}), "classes")


def _evaluator(dataset, *metrics, model=None, n=10):
    return Evaluator(Zoo(), dataset, model, metrics=metrics, n=n, seed=0, device=CPU)


def test_the_mean_over_the_channels_is_classified(digits):
    extractor = Extractor(Zoo(), "mnist", ["fid"], CPU)
    gray = digits[1][:50].clamp(10, 245)
    color = torch.cat([gray - 10, gray, gray + 10], 1)
    torch.testing.assert_close(extractor(color)["fid"], extractor(gray)["fid"])
    assert not torch.allclose(extractor(color[:, :1])["fid"], extractor(gray)["fid"])


def test_layers_come_in_the_requested_order(digits):
    rgb = digits[1][:3].expand(-1, 3, -1, -1)
    for layers in (["64", "logits"], ["logits", "64"], ["logits"]):
        extractor = MnistExtractor("mnist", layers)
        widths = {
            name: found.shape[1] for name, found in extractor.convert_features_tuple_to_dict(extractor(rgb)).items()
        }
        assert widths == {name: {"64": 64, "logits": 10}[name] for name in layers}


def test_classes_of_real_digits(digits):
    everything = samples(digits, torch.arange(10_000))
    found = Classes().measure(everything, everything)
    own = (digits[2].bincount() / 10_000).double()
    assert found["modes-mnist"].value == 10
    assert torch.tensor(found["modes-mnist"].details["shares"]) == pytest.approx(own, abs=0.002)
    assert found["entropy-mnist"].value == pytest.approx(-(own * own.log()).sum().item(), abs=0.001)
    assert found["confidence-mnist"].value > 0.99
    assert {score.better for score in found.values()} == {"higher"}


def test_classes_after_a_collapse(digits):
    sevens = samples(digits, torch.full((200,), (digits[2] == 7).nonzero()[0].item()))
    found = Classes().measure(sevens, sevens)
    assert (found["modes-mnist"].value, found["entropy-mnist"].value) == (1, 0)
    assert found["modes-mnist"].details["shares"][7] == 1


def test_classes_by_hand():
    probabilities = torch.full((100, 10), 0.1 / 9, dtype=torch.float64)  # 59 threes, 40 sevens, one eight
    for rows, digit, most in ((slice(59), 3, 0.9), (slice(59, 99), 7, 0.7), (slice(99, 100), 8, 0.4)):
        probabilities[rows] = (1 - most) / 9
        probabilities[rows, digit] = most
    few = samples_with(probabilities.log() + 5)  # logits: logarithms of the probabilities, plus a constant
    found = Classes().measure(few, few)
    assert found["modes-mnist"].value == 3  # the default share is 0.01
    assert found["modes-mnist"].details["shares"] == pytest.approx([0, 0, 0, 0.59, 0, 0, 0, 0.4, 0.01, 0])
    assert found["entropy-mnist"].value == pytest.approx(
        -(0.59 * math.log(0.59) + 0.4 * math.log(0.4) + 0.01 * math.log(0.01))
    )
    assert found["confidence-mnist"].value == pytest.approx(0.59 * 0.9 + 0.4 * 0.7 + 0.01 * 0.4)
    assert Classes(share=0.05).measure(few, few)["modes-mnist"].value == 2


def test_accuracy_with_right_and_with_shuffled_labels(digits):
    index = torch.arange(10_000)
    right = samples(digits, index)
    score = Accuracy().measure(right, right)["accuracy-mnist"]
    assert score.value >= 0.993
    assert len(score.details["classes"]) == 10
    assert min(score.details["classes"]) > 0.98
    shuffled = samples(digits, index, digits[2][torch.randperm(10_000, generator=torch.Generator().manual_seed(0))])
    assert Accuracy().measure(shuffled, right)["accuracy-mnist"].value == pytest.approx(0.1, abs=0.015)


def test_accuracy_by_class(digits):
    threes = (digits[2] == 3).nonzero().flatten()[:40]
    labels = torch.tensor([3] * 30 + [5] * 10)
    score = Accuracy().measure(samples(digits, threes, labels), samples(digits, threes))["accuracy-mnist"]
    guesses = digits[3]["isc"][threes].argmax(1)
    assert score.value == (guesses == labels).double().mean().item()
    by_class = [None, None, None, (guesses[:30] == 3).double().mean().item(), None, 0.0, None, None, None, None]
    assert score.details["classes"] == by_class
    assert by_class[3] > 0.9


@pytest.mark.parametrize("labels", [torch.full((40,), 10), torch.full((40,), -1), torch.zeros(40, 10), torch.zeros(40)])
def test_accuracy_needs_labels_of_digits(digits, labels):
    odd = samples(digits, torch.arange(40), labels)
    with pytest.raises(UsageError, match="needs samples of digits, each with a label from 0 to 9"):
        Accuracy().measure(odd, odd)


class Copyist(ganzoo.Model):
    """Generates test digits: of the requested label, or with labels that are off by ``off``."""

    def __init__(self, dataset, off):
        super().__init__(dataset.fields)
        self.tensors, self.off = dataset.tensors(), off

    def sample_latent(self, n, rng):
        which = torch.randint(10_000, (n,), generator=rng)
        return {"which": which, "label": (self.tensors["label"][which] + self.off) % 10}

    def generate(self, latent):
        return from_bytes(self.tensors["image"][latent["which"]])


@pytest.mark.parametrize(("off", "least", "most"), [(0, 0.97, 1), (1, 0, 0.03)])
def test_accuracy_of_a_conditional_model(digits, off, least, most):
    model = Copyist(digits[0], off)
    (result,) = _evaluator(digits[0], "accuracy", model=model, n=300).measure(model)
    assert result.name == "accuracy-mnist"
    assert (result.how["extractor"], result.how["extractor_sha256"]) == ("mnist", MnistExtractor.sha256)
    assert least <= result.score.value <= most


def test_jitter_makes_small_changes(digits):
    torch.manual_seed(0)
    before = from_bytes(digits[1][:200])
    after = jitter(before)
    assert after.shape == before.shape
    assert (after.min(), after.max()) == (-1, pytest.approx(1, abs=0.01))
    assert (after.mean((1, 2, 3)) - before.mean((1, 2, 3))).abs().max() < 0.15  # about the same amount of ink
    corner = torch.full((200, 1, 28, 28), -1.0)
    corner[:, :, 13:15, 13:15] = 1  # a dot in the middle
    heights, widths = ((jitter(corner) + 1).sum(axis).squeeze(1) / 2 for axis in (3, 2))
    for ink in (heights, widths):
        center = (ink * torch.arange(28)).sum(1) / ink.sum(1) - 13.5
        assert center.abs().max() <= 2.6  # two pixels, rotated and scaled
        assert center.abs().max() > 1.5


def _train(file, limit):
    result = CliRunner().invoke(main, ["--epochs", "1", "--seed", "3", "--limit", str(limit), "--out", str(file)])
    assert result.exit_code == 0, result.output
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert sha256 in result.output
    return sha256


def test_it_can_be_trained_again(tmp_path, digits):
    file = tmp_path / "own.safetensors"
    sha256 = _train(file, limit=3000)
    own = Extractor(Zoo(), "mnist", ["isc"], CPU, file, sha256)
    assert own.sha256 == sha256 != MnistExtractor.sha256
    right = own(digits[1][:1000])["isc"].argmax(1) == digits[2][:1000]
    assert right.double().mean() > 0.8  # after 24 steps


def test_the_same_seed_trains_the_same_file(tmp_path):
    assert _train(tmp_path / "one.safetensors", limit=500) == _train(tmp_path / "two.safetensors", limit=500)


def test_a_file_with_other_content_is_refused(tmp_path):
    file = tmp_path / "odd.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"odd.safetensors does not hold weights of 'mnist'"):
        Extractor(Zoo(), "mnist", ["isc"], CPU, file, hashlib.sha256(file.read_bytes()).hexdigest())


def test_training_refuses_a_missing_output_folder(tmp_path):
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "nowhere" / "file.safetensors")])
    assert result.exit_code == 2
    assert "There is no folder" in result.output
