"""Digits with their outlines: what an outline is, which pairs there are, and the distance from the truth."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_edges.data import MnistEdges, outline
from ganzoo_edges.metric import L1
from ganzoo_mnist.data import MNIST

import ganzoo as package
from ganzoo import UsageError


def test_an_outline_is_what_shares_a_side_with_the_ink():
    image = torch.zeros(1, 1, 5, 6, dtype=torch.uint8)
    image[0, 0, 1:4, 1:4] = torch.tensor([[128, 255, 200], [255, 127, 255], [255, 255, 255]])
    expected = torch.tensor(
        [[0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 0], [0, 1, 1, 1, 0, 0]]
    )
    assert torch.equal(outline(image)[0, 0], (255 * expected).to(torch.uint8))


def test_an_outline_does_not_depend_on_gray_levels():
    image = MNIST(split="test").tensors()["image"][:100]
    assert torch.equal(outline(image), outline(torch.where(image >= 128, 128, 0).to(torch.uint8)))
    assert not torch.equal(outline(image), image)


def test_pairs_belong_together():
    digits, dataset = MNIST(split="test").tensors(), MnistEdges(split="test")
    train, validation = MnistEdges().tensors(), MnistEdges(split="validation").tensors()
    assert len(validation["image"]) == 5000
    assert torch.equal(torch.cat([train["image"], validation["image"]]), MNIST().tensors()["image"])
    stored = dataset.tensors()
    assert dataset.target == "image"
    assert {name: field.shape for name, field in dataset.fields.items()} == {
        "image": (1, 28, 28),
        "source": (1, 28, 28),
        "label": (),
    }
    assert dataset.fields["label"].classes == 10
    assert all(torch.equal(stored[name], digits[name]) for name in digits)
    assert torch.equal(stored["source"], outline(digits["image"]))
    prepared = dataset.prepare({name: value[:9] for name, value in stored.items()})
    assert set(prepared["source"].unique().tolist()) == {-1, 1}


def test_unpaired_edges_are_complete_and_never_the_digits_own():
    paired, unpaired = MnistEdges(split="test").tensors(), MnistEdges(split="test", paired=False).tensors()
    assert torch.equal(paired["image"], unpaired["image"])
    assert torch.equal(paired["label"], unpaired["label"])
    own, other = paired["source"].flatten(1), unpaired["source"].flatten(1)
    assert (own != other).any(1).all()
    assert sorted(map(bytes, own.numpy())) == sorted(map(bytes, other.numpy()))
    assert torch.equal(unpaired["source"], MnistEdges(split="test", paired=False).tensors()["source"])


def test_the_distance_by_hand():
    real = SimpleNamespace(values=torch.tensor([[[[0, 255]]], [[[51, 0]]]], dtype=torch.uint8))
    values = torch.tensor([[[[255, 255]]], [[[0, 102]]]], dtype=torch.uint8)
    edges = torch.tensor([[[[-1.0, -1.0]]], [[[-1.0, 1.0]]]])  # black, black; black, white
    model = SimpleNamespace(condition_fields=("source",))
    score = L1().measure(SimpleNamespace(values=values, extras={"source": edges}, model=model), real)["l1"]
    assert score.value == pytest.approx((1 + 0 + 0.2 + 0.4) / 4)
    assert score.better == "lower"
    assert score.details["source"] == pytest.approx((0 + 1 + 0.2 + 1) / 4)


@pytest.mark.parametrize("metric", ["l1", "l1-back"])
@pytest.mark.parametrize("real", [False, True])
def test_the_distance_needs_a_model_with_condition_fields(trained, metric, real):
    message = f"'{metric}' needs samples of a model with 'condition_fields', which .* does not have"
    with pytest.raises(UsageError, match=message):
        package.load(trained).evaluate(metric, n=4, real=real)


def test_the_distance_needs_pairs():
    with pytest.raises(ValueError, match="its 'source' does not belong to its image"):
        L1().check(MnistEdges(split="test", paired=False))
    L1().check(MnistEdges(split="test"))
