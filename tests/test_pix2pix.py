"""pix2pix: the outlines are what they are said to be, the networks see what they should, and the distance is right."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_fc_mnist.data import MNIST
from ganzoo_pix2pix import metric, penalty
from ganzoo_pix2pix.data import MnistEdges, outline
from ganzoo_pix2pix.model import Pix2Pix
from ganzoo_pix2pix.networks import Patches

import ganzoo as package
from ganzoo import Field, UsageError

SMALL = {"data.split": "test", "model.width": 4, "model.discriminator_width": 4, "train.sample_count": 4}


def fields(image=(1, 28, 28), edges=None):
    return {"image": Field(image), "edges": Field(edges or image)}


def train(out, **changes):
    settings = SMALL | changes.pop("settings", {})
    parts = {"data": "mnist-edges", "model": "pix2pix", "penalties": ["l1"]}
    return package.train("fc-mnist", **parts, batch_size=8, device="cpu", out=out, settings=settings, **changes)


# --- the data -------------------------------------------------------------------------------------------------------


def test_an_outline_is_what_touches_the_ink_by_a_side():
    image = torch.zeros(1, 1, 5, 6, dtype=torch.uint8)
    image[0, 0, 1:4, 1:4] = torch.tensor([[128, 255, 200], [255, 127, 255], [255, 255, 255]])
    expected = torch.tensor(
        [[0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 0], [0, 1, 1, 1, 0, 0]]
    )
    assert torch.equal(outline(image)[0, 0], (255 * expected).to(torch.uint8))


def test_an_outline_says_nothing_of_the_grey():
    image = MNIST(split="test").tensors()["image"][:100]
    assert torch.equal(outline(image), outline(torch.where(image >= 128, 128, 0).to(torch.uint8)))
    assert not torch.equal(outline(image), image)


def test_pairs_belong_together():
    digits, data = MNIST(split="test").tensors(), MnistEdges(split="test")
    train, validation = MnistEdges().tensors(), MnistEdges(split="validation").tensors()
    assert len(validation["image"]) == 5000
    assert torch.equal(torch.cat([train["image"], validation["image"]]), MNIST().tensors()["image"])
    stored = data.tensors()
    assert list(data.fields) == ["image", "edges", "label"]  # the image is what is imitated
    assert {name: field.shape for name, field in data.fields.items()} == {
        "image": (1, 28, 28),
        "edges": (1, 28, 28),
        "label": (),
    }
    assert data.fields["label"].classes == 10
    assert all(torch.equal(stored[name], digits[name]) for name in digits)
    assert torch.equal(stored["edges"], outline(digits["image"]))
    prepared = data.prepare({name: value[:9] for name, value in stored.items()})
    assert set(prepared["edges"].unique().tolist()) == {-1, 1}


def test_unpaired_edges_are_all_there_and_none_is_the_digits_own():
    paired, unpaired = MnistEdges(split="test").tensors(), MnistEdges(split="test", paired=False).tensors()
    assert torch.equal(paired["image"], unpaired["image"])
    assert torch.equal(paired["label"], unpaired["label"])
    own, other = paired["edges"].flatten(1), unpaired["edges"].flatten(1)
    assert (own != other).any(1).all()
    assert sorted(map(bytes, own.numpy())) == sorted(map(bytes, other.numpy()))
    assert torch.equal(unpaired["edges"], MnistEdges(split="test", paired=False).tensors()["edges"])


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "edges"),
    [((1, 28, 28), (1, 28, 28)), ((3, 32, 32), (1, 32, 32)), ((1, 8, 16), (2, 8, 16)), ((2, 48, 40), (3, 48, 40))],
)
def test_images_of_many_sizes_and_channels(image, edges):
    model = Pix2Pix(fields(image, edges), width=4, discriminator_width=4)
    real = {"image": torch.rand(3, *image), "edges": torch.rand(3, *edges)}
    inputs = model.inputs(real, torch.Generator())
    assert list(inputs) == ["edges"]  # no noise
    sample = model.generate(inputs)
    assert sample.shape == (3, *image)
    assert sample.abs().max() <= 1
    assert model.judge(sample, inputs)["score"].shape == (3, (image[1] // 4) * (image[2] // 4))
    assert {name: value.shape for name, value in model.preview(real).items()} == {
        "real": (3, *image),
        "edges": (3, *edges),
        "fake": (3, *image),
    }


@pytest.mark.parametrize(
    ("image", "edges", "complaint"),
    [
        ((1, 30, 28), (1, 30, 28), "4, 5, 6 or 7 times a power of two"),
        ((2,), (2,), "images .* only"),
        ((1, 28, 28), (1, 14, 14), "edges of the same height and width"),
        ((1, 28, 28), (28,), "edges of the same height and width"),
    ],
)
def test_what_does_not_fit_is_said(image, edges, complaint):
    with pytest.raises(ValueError, match=complaint):
        Pix2Pix(fields(image, edges))


def test_each_score_is_of_a_patch_of_18_pixels_and_of_a_pair():
    patches = Patches(2, channels=2)
    torch.nn.init.constant_(patches.layers[0].weight, 0.1)
    torch.nn.init.constant_(patches.layers[-1].weight, 0.1)
    patches.layers[3] = torch.nn.Identity()  # the norm, which looks at all of the image
    pair = torch.rand(1, 2, 28, 28, requires_grad=True)
    patches(pair).view(7, 7)[3, 3].backward()
    seen = pair.grad[0].ne(0)
    assert torch.equal(seen[0], seen[1])
    rows, columns = seen[0].any(1).nonzero(), seen[0].any(0).nonzero()
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == [5, 22, 5, 22]


def test_the_discriminator_judges_image_and_edges_together():
    model, image, edges = Pix2Pix(fields(), discriminator_width=4), torch.rand(2, 1, 28, 28), torch.rand(2, 1, 28, 28)
    score = model.judge(image, {"edges": edges})["score"]
    assert not torch.allclose(score, model.judge(image, {"edges": edges.flip(0)})["score"])
    assert not torch.allclose(score, model.judge(image.flip(0), {"edges": edges})["score"])


def test_details_go_round_the_bottleneck():
    generator = Pix2Pix(fields(), width=4).eval().generator
    generator.middle.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    edges = torch.rand(1, 1, 28, 28, requires_grad=True)
    generator(edges)[0, 0, 14, 14].backward()
    assert edges.grad.count_nonzero() > 0


def test_dropout_is_for_training_alone():
    model, edges = Pix2Pix(fields(), width=4), {"edges": torch.rand(2, 1, 28, 28)}
    assert not torch.equal(model.generate(edges), model.generate(edges))
    assert torch.equal(model.eval().generate(edges), model.generate(edges))


# --- the penalty ----------------------------------------------------------------------------------------------------


def test_the_l1_term_by_hand():
    l1, model = penalty.L1(), SimpleNamespace(target="image", generate=lambda now: now["edges"] * 2)
    assert (l1.player, l1.weight, l1.every) == ("generator", 100, 1)
    real = {"image": torch.tensor([[1.0, -1.0], [0.5, 0.0]])}
    now = {"fake": torch.tensor([[0.0, -1.0], [0.0, 0.5]]), "edges": torch.tensor([[0.5, 0.0], [0.0, 0.0]])}
    assert l1.term(model, real, now) == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert penalty.L1(every=2).term(model, real, now) == pytest.approx((0 + 1 + 0.5 + 0) / 4)  # generated anew


def test_the_penalty_refuses_models_that_are_given_nothing(workplace):
    with pytest.raises(UsageError, match="penalty 'l1' asks the model for 'given'"):
        package.train("fc-mnist", penalties=["l1"], out="run", steps=1, settings={"data.split": "test"})
    assert not list(workplace.iterdir())


# --- the metric -----------------------------------------------------------------------------------------------------


def test_the_distance_by_hand():
    real = SimpleNamespace(values=torch.tensor([[[[0, 255]]], [[[51, 0]]]], dtype=torch.uint8))
    values = torch.tensor([[[[255, 255]]], [[[0, 102]]]], dtype=torch.uint8)
    edges = torch.tensor([[[[-1.0, -1.0]]], [[[-1.0, 1.0]]]])  # black, black; black, white
    fake = SimpleNamespace(values=values, given={"edges": edges}, model=SimpleNamespace(given=("edges",)))
    score = metric.L1().measure(fake, real)["l1"]
    assert score.value == pytest.approx((1 + 0 + 0.2 + 0.4) / 4)
    assert score.better == "lower"
    assert score.details["edges"] == pytest.approx((0 + 1 + 0.2 + 1) / 4)


@pytest.mark.parametrize("model", [None, SimpleNamespace(given=())])
def test_there_is_no_distance_where_nothing_is_given(model):
    with pytest.raises(UsageError, match="make images from images"):
        metric.L1().measure(SimpleNamespace(model=model), None)


# --- all together ---------------------------------------------------------------------------------------------------


def test_it_trains_and_is_measured_on_the_pairs_held_out(workplace):
    settings = {"data.paired": False, "train.evaluate_every": 2, "train.evaluate_samples": 20, "train.metrics": ["l1"]}
    run = train("run", steps=4, settings=settings | {"train.log_every": 1})
    assert [(card["metric"], card["step"]) for card in run.evaluations()] == [("l1", 2), ("l1", 4)]
    assert {"loss/generator", "loss/discriminator", "loss/l1", "D(x)"} <= run.metrics()[-1].keys()
    cards = {card["metric"]: card for card in run.evaluate(n=200)}
    assert {"fd-mnist", "accuracy-mnist", "l1"} == cards.keys()
    assert cards["l1"]["data"] == {"name": "mnist-edges", "split": "test", "paired": True}
    assert run.evaluations()[0]["data"] == {"name": "mnist-edges", "split": "validation", "paired": True}
    assert cards["l1"]["details"]["edges"] == pytest.approx(0.2, abs=0.02)
    assert run.sample(3).shape == (3, 1, 28, 28)


def test_a_lazy_l1_term_trains_too(workplace):
    run = train("run", steps=4, settings={"penalties.l1.every": 2, "train.log_every": 1})
    assert [("loss/l1" in line) for line in run.metrics()] == [False, True, False, True]


def test_the_l1_term_pulls_the_images_towards_the_real_ones(workplace):
    settings = {"optimizer.lr": 5e-3, "model.width": 8, "model.dropout": 0.0}
    near = train("near", steps=150, settings=settings).evaluate(["l1"], n=200)[0]["value"]
    assert near < 0.12  # black is 0.13, and the edges themselves 0.20
