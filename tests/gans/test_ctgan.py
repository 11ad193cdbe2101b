"""CTGAN: Gumbel softmax, the condition and packs."""

import pytest
import torch
from ganzoo_ctgan.model import CTGAN
from ganzoo_ctgan.penalty import Condition
from ganzoo_tables.columns import Category, Number, meta_of
from torch.nn.functional import one_hot

import ganzoo
import ganzoo.testing
from ganzoo import Field, UsageError

COLUMNS = [
    Category("city", ["Bern", "Oslo", "Rom"], [0.7, 0.2, 0.1]),
    Number("age", [20.0, 40.0], [5.0, 5.0], True, 15.0, 45.0, [15.0, 45.0], [0.05] * 20),
    Category("smoker", ["no", "yes"], [0.5, 0.5]),
]
FIELDS = {"row": Field((9,), meta=meta_of(COLUMNS, ",")), "label": Field((), torch.int64, 5)}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CTGAN(FIELDS, latent_dim=4, width=8)


def still(model, bias):
    """Make the generator say the same in each row."""
    model.generator.out.weight.data.zero_()
    model.generator.out.bias.data.copy_(torch.tensor(bias))


def test_choices_are_gumbel_softmax_and_numbers_are_tanh(model):
    still(model, [1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 2.0, 0.0, 0.0])
    latent = {"z": torch.zeros(1, 4), "u": torch.full((1, 8), 0.3), "label": torch.tensor([0])}
    (row,) = model.generate(latent)
    assert row[3].item() == pytest.approx(torch.tensor(0.5).tanh().item())
    for start, stop in ((0, 3), (4, 7), (7, 9)):
        assert row[start:stop].sum().item() == pytest.approx(1)
    assert (row[0] / row[1]).log().item() == pytest.approx(1 / 0.2, rel=1e-4)  # the same noise for all
    assert (row[6] / row[5]).log().item() == pytest.approx(2 / 0.2, rel=1e-4)
    latent["u"] = torch.tensor([[2 / torch.e - 1] + [0.0] * 7])  # u of e^-1 has no noise; of 1/2, -log log 2
    (row,) = model.generate(latent)
    noise = -torch.log(torch.log(torch.tensor(2.0)))
    assert (row[0] / row[1]).log().item() == pytest.approx((1 - noise.item()) / 0.2, rel=1e-4)


def test_categories_that_are_drawn_follow_the_probabilities(model):
    still(model, [1.0, 0.0, -1.0] + [0.0] * 6)
    rng = torch.Generator().manual_seed(0)
    rows = model.generate(model.sample_latent(20_000, rng))
    shares = rows[:, :3].argmax(1).bincount() / len(rows)
    assert shares.tolist() == pytest.approx(torch.tensor([1.0, 0.0, -1.0]).softmax(0).tolist(), abs=0.02)


def test_labels_are_drawn_as_often_as_in_the_table(model):
    label = model.sample_latent(50_000, torch.Generator().manual_seed(0))["label"]
    assert (label.bincount() / len(label)).tolist() == pytest.approx([0.35, 0.1, 0.05, 0.25, 0.25], abs=0.01)


def test_the_condition_is_the_cross_entropy_of_the_category_asked_for(model):
    still(model, [1.0, 0.0, -1.0, 0.0, 9.0, 9.0, 9.0, 0.0, 3.0])
    shared = {"z": torch.zeros(2, 4), "label": torch.tensor([1, 4])}
    expected = torch.tensor([1.0, 0.0, -1.0]).log_softmax(0)[1] + torch.tensor([0.0, 3.0]).log_softmax(0)[1]
    assert Condition().term(model, {}, shared).item() == pytest.approx(-expected.item() / 2)


def test_a_pack_is_a_row_with_those_after_it():
    model = CTGAN(FIELDS, latent_dim=4, width=8, pac=3)
    assert model.batch_dependent
    rows, label = torch.randn(5, 9), torch.tensor([0, 1, 2, 3, 4])
    packed = torch.cat([rows, one_hot(label, 5)], 1)
    expected = model.discriminator(torch.cat([packed[3], packed[4], packed[0]])[None])
    assert torch.allclose(model.discriminate(rows, {"label": label})["score"][3:4], expected, atol=1e-6)
    assert model.discriminate(rows[:1], {"label": label[:1]})["score"].shape == (1, 1)


def test_fakes_have_the_conditions_of_the_real_rows(model):
    real = {"row": torch.zeros(3, 9), "label": torch.tensor([4, 4, 2])}
    assert model.generator_inputs(real, torch.Generator().manual_seed(0))["label"].tolist() == [4, 4, 2]


def test_packs_conform():
    settings = {"model.pac": 4, "model.width": 16, "loss.n_critic": 1}
    ganzoo.testing.check("ctgan-gapminder", settings=settings)


def test_other_samples_are_refused():
    with pytest.raises(UsageError, match="label"):
        ganzoo.train("ctgan-gapminder", data="ring8", steps=1)
    with pytest.raises(ValueError, match="it needs a table"):
        CTGAN({"image": Field((1, 8, 8)), "label": Field((), torch.int64, 10)})
