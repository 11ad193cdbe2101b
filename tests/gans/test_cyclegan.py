"""CycleGAN: its losses by hand, who moves what, the image pool, and the metric of the other direction."""

from types import SimpleNamespace

import pytest
import torch
from ganzoo_cyclegan.loss import CycleConsistency, ImagePool, discriminator_loss
from ganzoo_cyclegan.metric import L1Back
from ganzoo_cyclegan.model import CycleGAN, ResnetGenerator
from ganzoo_edges.data import MnistEdges

import ganzoo as package
from ganzoo import Field, UsageError
from ganzoo.runs import checkpoint

SMALL = {
    "data.split": "test",
    "data.paired": False,
    "model.width": 4,
    "model.blocks": 1,
    "model.discriminator_width": 4,
    "train.sample_count": 4,
    "train.log_every": 1,
}


def model_of(image=(1, 28, 28), source=None):
    fields = {"image": Field(image), "source": Field(source or image)}
    return CycleGAN(fields, width=4, blocks=1, discriminator_width=4)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def train(out, settings, **options):
    return package.train("cyclegan-mnist", out=out, settings=SMALL | settings, batch_size=4, device="cpu", **options)


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "source"),
    [((1, 28, 28), (1, 28, 28)), ((3, 32, 32), (1, 32, 32)), ((1, 8, 16), (2, 8, 16)), ((2, 48, 40), (3, 48, 40))],
)
def test_both_directions_work_for_many_sizes_and_channels(image, source):
    model = model_of(image, source)
    real = {"image": torch.rand(3, *image), "source": torch.rand(3, *source)}
    assert model.generate(model.generator_inputs(real, rng())).shape == (3, *image)
    assert model.translate_back(real["image"]).shape == (3, *source)
    scores = model.discriminate(real["image"], {})["score"], model.discriminate_back(real["source"])["score"]
    assert scores[0].shape == scores[1].shape == (3, (image[1] // 4) * (image[2] // 4))


def test_the_preview_shows_both_directions_and_both_cycles():
    model = model_of().eval()
    real = {"image": torch.rand(2, 1, 28, 28), "source": torch.rand(2, 1, 28, 28)}
    shown = model.preview(real)
    assert list(shown) == ["real", "source", "fake", "fake-source", "cycle", "cycle-source"]
    assert torch.equal(shown["cycle"], model.generator(model.generator_back(real["image"])))
    assert torch.equal(shown["cycle-source"], model.generator_back(model.generator(real["source"])))


def test_a_generator_sees_far_enough_to_tell_inside_from_outside():
    generator, image = ResnetGenerator(1, 1, 8, blocks=3), torch.rand(1, 1, 28, 28, requires_grad=True)
    for module in generator.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda features: features  # the norm looks at the entire image
    for parameter in generator.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    generator(image)[0, 0, 14, 14].backward()
    assert image.grad[0, 0].any(0).sum() >= 28


# --- the losses -----------------------------------------------------------------------------------------------------


class Arithmetic:
    """A model that is easy to calculate: G doubles, F halves and subtracts 1, scores are the values."""

    target, condition_fields = "image", ("source",)

    def generator_inputs(self, real, rng):
        return {"source": real["source"]}

    def generate(self, latent):
        return latent["source"] * 2

    def translate_back(self, image):
        return image / 2 - 1

    def discriminate(self, sample, condition):
        return {"score": sample}

    def discriminate_back(self, source):
        return {"score": source}


def loss_of(*shape, **options):
    loss = CycleConsistency(**options)
    loss.meet(Arithmetic, {"image": Field(shape), "source": Field(shape)})
    return loss


def test_the_losses_by_hand():
    loss = loss_of(1, cycle_weight=10, identity_weight=5, pool_size=0)
    real = {"image": torch.tensor([[4.0], [2.0]]), "source": torch.tensor([[1.0], [3.0]])}
    shared = loss.prepare_step(Arithmetic(), real, {"generators"}, rng())
    assert shared["fake"].tolist() == shared["pooled"].tolist() == [[2], [6]]
    assert shared["fake_back"].tolist() == shared["pooled_back"].tolist() == [[1], [0]]
    discriminators, generators = (turn.objective(Arithmetic(), real, shared) for turn in loss.turns())
    assert discriminators.losses == {
        "discriminator-image": ((9 + 1) / 2 + (4 + 36) / 2) / 2,
        "discriminator-source": ((0 + 4) / 2 + (1 + 0) / 2) / 2,
    }
    assert discriminators.metrics == {"C(image)": 3, "C(G(source))": 4, "C(source)": 2, "C(F(image))": 0.5}
    assert generators.losses == {
        "generator-image": (1 + 25) / 2,
        "generator-source": (0 + 1) / 2,
        "cycle-image": 10 * (abs(2 - 4) + abs(0 - 2)) / 2,
        "cycle-source": 10 * (abs(0 - 1) + abs(2 - 3)) / 2,
        "identity": 5 * ((4 + 2) / 2 + (abs(-0.5 - 1) + abs(0.5 - 3)) / 2),
    }


def test_the_default_weights_are_the_papers():
    loss = loss_of(1)
    assert (loss.cycle_weight, loss.identity_weight, loss.pool.size, loss.pool_back.size) == (10, 0, 50, 50)
    generators = loss.turns()[1].objective
    real = {"image": torch.ones(1, 1), "source": torch.ones(1, 1)}
    assert "identity" not in generators(Arithmetic(), real, loss.prepare_step(Arithmetic(), real, set(), rng())).losses


def test_discriminators_want_1_for_real_samples_and_0_for_generated_ones():
    real, fake = torch.tensor([[0.0, 1.0]], requires_grad=True), torch.tensor([[0.5, 0.0]], requires_grad=True)
    discriminator_loss(real, fake).backward()
    assert real.grad.tolist() == [[-0.5, 0]]
    assert fake.grad.tolist() == [[0.25, 0]]


def test_each_side_moves_both_of_its_networks_and_no_others():
    torch.manual_seed(0)
    model, loss = model_of(), loss_of(1, 28, 28)
    real = {"image": torch.rand(4, 1, 28, 28), "source": torch.rand(4, 1, 28, 28)}
    shared = loss.prepare_step(model, real, {"discriminators", "generators"}, rng())
    for turn in loss.turns():
        model.zero_grad()
        own = set(model.parameters_of(turn.player))
        total = sum(turn.objective(model, real, shared).losses.values())
        total.backward(inputs=list(own), retain_graph=True)
        assert all((p.grad is not None and p.grad.any()) == (p in own) for p in model.parameters())
    shared = loss.prepare_step(model, real, {"discriminators"}, rng())
    assert not shared["fake"].requires_grad  # the generators do not move


# --- the pool -------------------------------------------------------------------------------------------------------


def images(*values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def pool_of(size):
    pool = ImagePool(size)
    pool.allocate((1, 1, 1))
    return pool


def test_a_pool_shows_and_keeps_new_images_until_it_is_full():
    pool = pool_of(3)
    assert pool(images(1, 2, 3), rng()).flatten().tolist() == [1, 2, 3]
    assert sorted(pool.kept.flatten().tolist()) == [1, 2, 3]


def test_images_shown_instead_were_in_the_pool_and_leave_it():
    pool, draw = pool_of(50), rng()
    pool(images(*range(50)), draw)
    inside, swapped, shown = set(range(50)), 0, 0
    for batch in range(1, 100):
        new = [100 * batch + i for i in range(20)]
        seen = [int(value) for value in pool(images(*new), draw).flatten()]
        after = {int(value) for value in pool.kept.flatten()}
        instead = {old for old, own in zip(seen, new, strict=True) if old != own}
        assert instead <= inside  # earlier images, each once
        assert after == inside - instead | {own for old, own in zip(seen, new, strict=True) if old != own}
        inside, swapped, shown = after, swapped + len(instead), shown + 20
    assert swapped / shown == pytest.approx(0.5, abs=0.05)  # 1980 tosses: 4.5 standard deviations


def test_batches_larger_than_the_pool_and_no_pool():
    pool, draw = pool_of(2), rng()
    pool(images(1, 2), draw)
    shown = pool(images(3, 4, 5), draw).flatten().tolist()
    assert shown[2] == 5
    assert set(shown[:2]) <= {1, 2, 3, 4}
    assert pool_of(0)(images(1, 2), draw).flatten().tolist() == [1, 2]


def test_the_pool_draws_from_its_generator_only():
    def shown(seed):
        torch.manual_seed(seed)
        pool, draw = pool_of(8), rng(5)
        return torch.cat([pool(images(*range(k, k + 6)), draw) for k in range(0, 60, 6)])

    assert torch.equal(shown(1), shown(2))


# --- runs -----------------------------------------------------------------------------------------------------------


def test_both_directions_of_a_run_are_measured(workplace):
    run = train("run", {"loss.identity_weight": 5.0}, steps=2)
    assert "loss/identity" in run.metrics()[-1]
    records = {record["metric"]: record for record in run.evaluate(["l1", "l1-back", "accuracy"], n=200)}
    assert records["l1"]["data"] == {"name": "mnist-edges", "split": "test", "paired": True}
    assert records["l1-back"]["details"]["image"] == pytest.approx(records["l1"]["details"]["source"])
    assert records["l1"]["value"] != records["l1-back"]["value"]


def test_a_resumed_run_has_the_same_full_pool(workplace):
    train("full", {"loss.pool_size": 6}, steps=6)
    train("halves", {"loss.pool_size": 6}, steps=3)
    package.resume("halves", steps=6)
    full, halves = (
        checkpoint.load(workplace / name / "checkpoints" / "step-00000006").training for name in ("full", "halves")
    )
    pools = [name for name, value in full.items() if value.shape == (6, 1, 28, 28)]
    assert len(pools) == 2
    assert all(torch.equal(full[name], halves[name]) for name in pools)


def test_the_distance_of_the_other_direction_by_hand():
    real = SimpleNamespace(
        values=torch.tensor([[[[255, 0]]]], dtype=torch.uint8), extras={"source": torch.tensor([[[[-1.0, 0.0]]]])}
    )
    back = {"translate_back": lambda image: image / 2}  # white 0.5, black -0.5
    model = SimpleNamespace(condition_fields=("source",), device=torch.device("cpu"), **back)
    score = L1Back().measure(SimpleNamespace(model=model), real)["l1-back"]
    assert score.value == pytest.approx((1.5 + 0.5) / 2 / 2)
    assert (score.better, score.details) == ("lower", {"image": pytest.approx((2 + 1) / 2 / 2)})


def test_the_metric_needs_pairs():
    with pytest.raises(ValueError, match="its 'source' does not belong to its image"):
        L1Back().check(MnistEdges(split="test", paired=False))


def test_the_loss_needs_a_model_with_both_directions(workplace):
    message = r"needs a model with 'translate_back', which 'pix2pix' does not have.* cyclegan"
    with pytest.raises(UsageError, match=message):
        package.train("fc-mnist", data="mnist-edges", model="pix2pix", loss="cyclegan", steps=1, out="run")
    assert not list(workplace.iterdir())
