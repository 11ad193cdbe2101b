"""CycleGAN: its terms by hand, who moves what, the pool of earlier fakes, and that a resumed run has the same pool."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_cyclegan.loss import CycleConsistency, Pool, critic, distance
from ganzoo_cyclegan.metric import L1Back
from ganzoo_cyclegan.model import CycleGAN, Translator

import ganzoo as package
from ganzoo import Field, UsageError
from ganzoo.training import checkpoint

SMALL = {
    "data.split": "test",
    "data.paired": False,
    "model.width": 4,
    "model.blocks": 1,
    "model.discriminator_width": 4,
    "train.sample_count": 4,
    "train.log_every": 1,
}
PARTS = {"data": "mnist-edges", "model": "cyclegan", "loss": "cyclegan", "batch_size": 4, "device": "cpu"}


def model_of(image=(1, 28, 28), edges=None):
    fields = {"image": Field(image), "edges": Field(edges or image)}
    return CycleGAN(fields, width=4, blocks=1, discriminator_width=4)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def train(out, settings=None, **changes):
    return package.train("fc-mnist", out=out, settings=SMALL | (settings or {}), **PARTS, **changes)


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "edges"),
    [((1, 28, 28), (1, 28, 28)), ((3, 32, 32), (1, 32, 32)), ((1, 8, 16), (2, 8, 16)), ((2, 48, 40), (3, 48, 40))],
)
def test_both_ways_on_many_sizes_and_channels(image, edges):
    model = model_of(image, edges)
    real = {"image": torch.rand(3, *image), "edges": torch.rand(3, *edges)}
    assert model.generate(model.inputs(real, rng())).shape == (3, *image)
    assert model.translate_back(real["image"]).shape == (3, *edges)
    patches = (3, (image[1] // 4) * (image[2] // 4))
    assert model.judge(real["image"], {})["score"].shape == model.judge_back(real["edges"])["score"].shape == patches


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="4, 5, 6 or 7 times a power of two"):
        model_of((1, 27, 27))
    with pytest.raises(ValueError, match="edges of the same height and width"):
        model_of((1, 28, 28), (1, 32, 32))


def test_the_preview_goes_both_ways_and_around():
    model = model_of().eval()
    real = {"image": torch.rand(2, 1, 28, 28), "edges": torch.rand(2, 1, 28, 28)}
    shown = model.preview(real)
    assert list(shown) == ["real", "edges", "fake", "fake-edges", "cycle", "cycle-edges"]
    assert torch.equal(shown["cycle"], model.generator(model.generator_back(real["image"])))
    assert torch.equal(shown["cycle-edges"], model.generator_back(model.generator(real["edges"])))


def test_a_translator_sees_far_enough_to_tell_inside_from_outside():
    translator, image = Translator(1, 1, 8, blocks=3), torch.rand(1, 1, 28, 28, requires_grad=True)
    for block in translator.modules():
        if isinstance(block, torch.nn.GroupNorm):
            block.forward = lambda features: features  # it looks at all of the image
    for parameter in translator.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    translator(image)[0, 0, 14, 14].backward()
    assert image.grad[0, 0].any(0).sum() >= 28


# --- the terms ------------------------------------------------------------------------------------------------------


class Arithmetic:
    """A model of which all answers can be worked out: G doubles, F halves and takes 1 off, scores are the values."""

    target, given = "image", ("edges",)

    def inputs(self, real, rng):
        return {"edges": real["edges"]}

    def generate(self, latent):
        return latent["edges"] * 2

    def translate_back(self, image):
        return image / 2 - 1

    def judge(self, sample, given):
        return {"score": sample}

    def judge_back(self, edges):
        return {"score": edges}


def test_the_terms_by_hand():
    loss = CycleConsistency(cycle=10, identity=5, pool=0)
    real = {"image": torch.tensor([[4.0], [2.0]]), "edges": torch.tensor([[1.0], [3.0]])}
    now = loss.begin(Arithmetic(), real, {"generators"}, rng())
    assert now["fake"].tolist() == now["shown"].tolist() == [[2], [6]]
    assert now["fake_back"].tolist() == now["shown_back"].tolist() == [[1], [0]]
    critics, generators = (turn.objective(Arithmetic(), real, now) for turn in loss.turns())
    assert critics.loss == {
        "critic-image": ((9 + 1) / 2 + (4 + 36) / 2) / 2,
        "critic-edges": ((0 + 4) / 2 + (1 + 0) / 2) / 2,
    }
    assert critics.watch == {"C(image)": 3, "C(G(edges))": 4, "C(edges)": 2, "C(F(image))": 0.5}
    assert generators.loss == {
        "generator-image": (1 + 25) / 2,
        "generator-edges": (0 + 1) / 2,
        "cycle-image": 10 * (abs(2 - 4) + abs(0 - 2)) / 2,
        "cycle-edges": 10 * (abs(0 - 1) + abs(2 - 3)) / 2,
        "identity": 5 * ((4 + 2) / 2 + (abs(-0.5 - 1) + abs(0.5 - 3)) / 2),
    }


def test_the_paper_s_weights_are_the_default():
    loss = CycleConsistency()
    assert (loss.cycle, loss.identity, loss.pool.places, loss.pool_back.places) == (10, 0, 50, 50)
    generators = loss.turns()[1].objective
    real = {"image": torch.ones(1, 1), "edges": torch.ones(1, 1)}
    assert "identity" not in generators(Arithmetic(), real, loss.begin(Arithmetic(), real, set(), rng())).loss


def test_critics_want_1_for_real_and_0_for_fakes():
    real, fake = torch.tensor([[0.0, 1.0]], requires_grad=True), torch.tensor([[0.5, 0.0]], requires_grad=True)
    critic(real, fake).backward()
    assert real.grad.tolist() == [[-0.5, 0]]
    assert fake.grad.tolist() == [[0.25, 0]]
    assert distance(real, fake) == 0.75


def test_each_side_moves_both_of_its_networks_and_no_others():
    torch.manual_seed(0)
    model, loss = model_of(), CycleConsistency()
    real = {"image": torch.rand(4, 1, 28, 28), "edges": torch.rand(4, 1, 28, 28)}
    now = loss.begin(model, real, {"discriminators", "generators"}, rng())
    for turn in loss.turns():
        model.zero_grad()
        own = {id(p) for name in model.players[turn.player] for p in getattr(model, name).parameters()}
        total = sum(turn.objective(model, real, now).loss.values())
        total.backward(inputs=[p for p in model.parameters() if id(p) in own], retain_graph=True)
        assert all((p.grad is not None and p.grad.any()) == (id(p) in own) for p in model.parameters())
    fakes = loss.begin(model, real, {"discriminators"}, rng())
    assert not fakes["fake"].requires_grad  # nobody who owns them moves


# --- the pool -------------------------------------------------------------------------------------------------------


def images(*values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def test_a_pool_shows_new_fakes_until_it_is_full_and_keeps_them():
    pool = Pool(3)
    assert pool(images(1, 2, 3), rng()).flatten().tolist() == [1, 2, 3]
    assert sorted(pool.kept.flatten().tolist()) == [1, 2, 3]


def test_what_is_shown_instead_was_in_the_pool_and_has_left_it():
    pool, draw = Pool(50), rng()
    pool(images(*range(50)), draw)
    inside, swapped, shown = set(range(50)), 0, 0
    for batch in range(1, 100):
        new = [100 * batch + i for i in range(20)]
        seen = [int(value) for value in pool(images(*new), draw).flatten()]
        after = {int(value) for value in pool.kept.flatten()}
        instead = {old for old, own in zip(seen, new, strict=True) if old != own}
        assert instead <= inside  # earlier fakes, each once
        assert after == inside - instead | {own for old, own in zip(seen, new, strict=True) if old != own}
        inside, swapped, shown = after, swapped + len(instead), shown + 20
    assert swapped / shown == pytest.approx(0.5, abs=0.05)  # 1980 tosses: 4.5 standard deviations


def test_more_fakes_than_places_and_no_pool_at_all():
    pool, draw = Pool(2), rng()
    pool(images(1, 2), draw)
    shown = pool(images(3, 4, 5), draw).flatten().tolist()
    assert shown[2] == 5
    assert set(shown[:2]) <= {1, 2, 3, 4}
    assert Pool(0)(images(1, 2), draw).flatten().tolist() == [1, 2]


def test_the_pool_draws_from_its_generator_alone():
    def shown(seed):
        torch.manual_seed(seed)
        pool, draw = Pool(8), rng(5)
        return torch.cat([pool(images(*range(k, k + 6)), draw) for k in range(0, 60, 6)])

    assert torch.equal(shown(1), shown(2))


# --- all together ---------------------------------------------------------------------------------------------------


def test_it_trains_and_both_directions_are_measured(workplace):
    run = train("run", steps=2, settings={"loss.identity": 5.0})
    names = {"critic-image", "critic-edges", "generator-image", "generator-edges", "cycle-image", "cycle-edges"}
    assert {f"loss/{name}" for name in names | {"identity"}} <= run.metrics()[-1].keys()
    cards = {card["metric"]: card for card in run.evaluate(["l1", "l1-back", "accuracy"], n=200)}
    assert cards["l1"]["data"] == {"name": "mnist-edges", "split": "test", "paired": True}
    assert cards["l1-back"]["details"]["image"] == pytest.approx(cards["l1"]["details"]["edges"])
    assert cards["l1"]["value"] != cards["l1-back"]["value"]
    pictures = {path.name.rpartition("-")[0] for path in (workplace / "run" / "samples").iterdir()}
    assert pictures == {"real", "edges", "fake", "fake-edges", "cycle", "cycle-edges"}


def test_a_resumed_run_has_the_same_pool_and_ends_the_same(workplace):
    settings = {"loss.pool": 6}
    train("whole", steps=6, settings=settings)
    train("halves", steps=3, settings=settings)
    package.resume("halves", steps=6)
    whole, halves = (
        checkpoint.load(workplace / name / "checkpoints" / "step-00000006") for name in ("whole", "halves")
    )
    assert any(value.shape == (6, 1, 28, 28) for value in whole.training.values())
    for left, right in ((whole.weights, halves.weights), (whole.training, halves.training)):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_way_back_by_hand():
    real = SimpleNamespace(
        values=torch.tensor([[[[255, 0]]]], dtype=torch.uint8), given={"edges": torch.tensor([[[[-1.0, 0.0]]]])}
    )
    model = torch.nn.Linear(1, 1)
    model.given, model.translate_back = ("edges",), lambda image: image / 2  # white 0.5, black -0.5
    score = L1Back().measure(SimpleNamespace(model=model), real)["l1-back"]
    assert score.value == pytest.approx((1.5 + 0.5) / 2 / 2)
    assert (score.better, score.details) == ("lower", {"image": pytest.approx((2 + 1) / 2 / 2)})


def test_there_is_no_way_back_elsewhere():
    with pytest.raises(UsageError, match="translate both ways"):
        L1Back().measure(SimpleNamespace(model=None), None)


def test_the_loss_asks_for_a_model_that_goes_both_ways(workplace):
    with pytest.raises(
        UsageError, match=r"asks the model for 'translate_back', which 'pix2pix' does not have.* cyclegan"
    ):
        package.train("fc-mnist", data="mnist-edges", model="pix2pix", loss="cyclegan", steps=1, out="run")
    assert not list(workplace.iterdir())
