"""ACGAN and the projection discriminator: what a class changes, what each player minimises, and who is refused."""

import math

import pytest
import torch
from ganzoo_conditional.acgan import ACGAN, AuxiliaryClassifier
from ganzoo_conditional.projection import Projection
from torch import nn

import ganzoo as package
from ganzoo import UsageError
from ganzoo.data import Field
from ganzoo.testing import examine
from tests.conftest import TINY

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 40, 24)]
SMALL = {"latent_dim": 6, "label_dim": 5, "generator_width": 4, "discriminator_width": 4}
KINDS = {"acgan": (ACGAN, "acgan"), "projection": (Projection, "hinge")}
QUICK = {"data.split": "test", "train.log_every": 1, **{f"model.{name}": value for name, value in SMALL.items()}}
pytestmark = pytest.mark.filterwarnings("error")


def built(name, shape=(1, 28, 28), classes=10, **options):
    torch.manual_seed(0)
    fields = {"image": Field(shape), "label": Field((), torch.int64, classes)}
    return KINDS[name][0](fields, **{**SMALL, **options})


def drawn(model, n, seed=0):
    return model.latent(n, torch.Generator().manual_seed(seed))


def images(n, shape=(1, 28, 28)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def train(name, steps, **more):
    loss = KINDS[name][1]
    return package.train(
        "fc-mnist", model=name, loss=loss, steps=steps, batch_size=8, device="cpu", settings=QUICK, **more
    )


# --- the models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KINDS)
def test_images_of_many_sizes_come_out_and_are_judged(name, shape):
    model = built(name, shape, classes=3)
    latent = drawn(model, 4)
    image = model.generate(latent)
    assert image.shape == (4, *shape)
    assert image.abs().max() <= 1
    heads = {head: value.shape for head, value in model.judge(image, latent).items()}
    assert heads == {"score": (4, 1), **({"class": (4, 3)} if name == "acgan" else {})}


@pytest.mark.parametrize("name", KINDS)
def test_labels_are_drawn_from_all_classes_alike(name):
    label = drawn(built(name, classes=4), 4000)["label"]
    assert label.dtype == torch.int64
    assert (torch.bincount(label, minlength=5) / 1000 - torch.tensor([1, 1, 1, 1, 0])).abs().max() < 0.1


@pytest.mark.parametrize("name", KINDS)
def test_another_label_makes_another_image_of_the_same_noise(name):
    model = built(name)  # in training mode, where batch normalisation makes differences large
    z = drawn(model, 1)["z"].repeat(10, 1)
    image = model.generate({"z": z, "label": torch.arange(10)}).flatten(1)
    assert torch.pdist(image).min() > 0.01


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"image": Field((1, 27, 27)), "label": Field((), torch.int64, 10)}, "not 27x27"),
        ({"point": Field((2,)), "label": Field((), torch.int64, 10)}, "images"),
        ({"image": Field((1, 28, 28)), "label": Field((), torch.int64)}, "a known number of classes only"),
        ({"image": Field((1, 28, 28)), "label": Field((40,), torch.int64, 2)}, "int64 \\(40,\\) of 2 classes"),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_data_that_do_not_fit_are_refused(name, fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        KINDS[name][0](fields)


@pytest.mark.parametrize("name", KINDS)
def test_a_preview_has_a_row_for_each_class_and_a_noise_for_each_column(name):
    model = built(name, classes=3).eval()
    fixed = {"image": images(5), **drawn(model, 5)}
    preview = model.preview(fixed)
    assert torch.equal(preview["real"], fixed["image"])
    assert torch.equal(preview["fake"], model.generate(fixed))  # as many as are real, so that they can be compared
    assert preview["class"].shape == (24, 1, 28, 28)
    alone = model.generate({"z": fixed["z"][[2]], "label": torch.tensor([1])})
    torch.testing.assert_close(preview["class"][[8 + 2]], alone)
    torch.testing.assert_close(preview["class"][[8 + 2 + 5]], alone)  # there are only five noises


def test_a_preview_of_many_classes_stays_small():
    model = built("acgan", classes=1000)
    assert len(model.preview({"image": images(2), **drawn(model, 2)})["class"]) == 16 * 8


def test_acgan_judges_a_batch_together_only_if_it_normalises_over_it():
    assert built("acgan").across
    assert not built("acgan", norm="layer").across


# --- the projection discriminator -----------------------------------------------------------------------------------


def test_the_score_is_that_of_the_image_and_its_product_with_the_class():
    model = built("projection").eval()
    network, image, label = model.discriminator, images(3), torch.tensor([4, 0, 4])
    features = network.body(image)
    expected = features @ network.score.weight[0]
    expected += torch.stack([features[i] @ network.projection.weight[label[i]] for i in range(3)])
    torch.testing.assert_close(model.judge(image, {"label": label})["score"][:, 0], expected)
    other = model.judge(image, {"label": torch.tensor([5, 0, 4])})["score"][:, 0]
    assert ((other - expected).abs() > 1e-4).tolist() == [True, False, False]


def test_every_layer_of_the_discriminator_keeps_a_spectral_norm_of_one(workplace):
    network = train("projection", 30).model.discriminator
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 3 + 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.15)


def test_samples_are_judged_one_by_one():
    model = built("projection").eval()
    image, label = images(6), torch.arange(6)
    together = model.judge(image, {"label": label})["score"]
    apart = [model.judge(image[i : i + 1], {"label": label[i : i + 1]})["score"] for i in range(6)]
    torch.testing.assert_close(together, torch.cat(apart))


# --- the loss of ACGAN ----------------------------------------------------------------------------------------------


def test_the_terms_are_those_of_the_paper():
    loss = AuxiliaryClassifier()
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[-1.0], [1.0]])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = -(math.log(0.5) + math.log(sigmoid(2))) / 2
    expected -= (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2
    assert loss.discriminator(real, fake).item() == pytest.approx(expected)
    assert loss.generator(fake, None).item() == pytest.approx(-(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2)
    judged = {"class": torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]), "score": real}
    given = {"label": torch.tensor([1, 2])}
    of_class = -(math.log(math.e**3 / (math.e + math.e**3 + math.e**2)) + math.log(1 / 3)) / 2
    for weight in (1.0, 0.5):
        loss = AuxiliaryClassifier(class_weight=weight)
        (of_real,), (of_fake,) = (terms(judged, given).values() for terms in (loss.real_terms, loss.fake_terms))
        assert of_real.item() == of_fake.item() == pytest.approx(weight * of_class)


def test_both_players_look_at_the_class_of_fakes_and_one_at_that_of_real_images():
    model, loss = built("acgan"), AuxiliaryClassifier(class_weight=1)
    real = {"image": images(4), "label": torch.arange(4)}
    now = loss.begin(model, real, {"discriminator", "generator"}, torch.Generator().manual_seed(0))
    terms = {turn.player: turn.objective(model, real, now).loss for turn in loss.turns()}
    assert list(terms["discriminator"]) == ["discriminator", "discriminator-class-real", "discriminator-class"]
    assert list(terms["generator"]) == ["generator", "generator-class"]
    terms["generator"]["generator-class"].backward()
    assert model.generator.embedding.weight.grad.abs().sum() > 0


def test_what_a_model_lacks_is_named():
    loss = AuxiliaryClassifier()
    with pytest.raises(UsageError, match="a model that judges with a 'class'; this one gives: score"):
        loss.fake_terms({"score": torch.zeros(1, 1)}, {"label": torch.zeros(1)})
    with pytest.raises(UsageError, match="draws latents with a 'label'; this one gives: z"):
        loss.fake_terms({"score": torch.zeros(1, 1), "class": torch.zeros(1, 10)}, {"z": torch.zeros(1)})


# --- from the command line ------------------------------------------------------------------------------------------


def test_another_model_is_refused_with_this_loss_and_nothing_is_written(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", "--loss", "acgan", "--steps", 2, *TINY)
    assert result.code == 2
    assert "Take the model acgan, or another loss." in result.err
    assert not list(workplace.iterdir())


@pytest.mark.parametrize("name", KINDS)
def test_data_without_labels_are_refused_and_nothing_is_written(ganzoo, workplace, name):
    result = ganzoo("run", "fc-ring8", "--model", name, "--loss", "hinge", "--steps", 2)
    assert result.code == 2
    assert "label" in result.err
    assert not list(workplace.iterdir())


@pytest.mark.parametrize("name", KINDS)
def test_a_run_is_asked_for_classes_and_measured_by_them(ganzoo, workplace, name):
    run = train(name, 2, out="run")
    names = [card["metric"] for card in run.evaluate(["fd", "accuracy"], n=100)]
    assert names == ["fd-mnist", "accuracy-mnist"]
    same = [run.sample(4, seed=1, label=label) for label in (7, 7, 3)]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])
    assert ganzoo("sample", "run", "-n", 4, "--label", 7, "-o", "seven.png").code == 0
    assert (workplace / "seven.png").exists()


def test_a_gradient_penalty_joins_the_projection_discriminator(workplace):
    run = train("projection", 2, penalties=["gradient-penalty"], out="run")
    assert "loss/gradient-penalty" in (run.directory / "metrics.jsonl").read_text()


@pytest.mark.parametrize("name", KINDS)
def test_it_conforms(name, workplace):
    recipe = workplace / "recipe.toml"
    data, model, loss = '{ name = "mnist", split = "test" }', name, KINDS[name][1]
    recipe.write_text(
        f'[tiny]\ntitle = "Tiny"\ntask = "class-conditional"\ndata = {data}\nmodel = "{model}"\nloss = "{loss}"\n'
        "[tiny.train]\nema = 0.9\n"
    )
    settings = {f"model.{key}": value for key, value in SMALL.items()}
    found = [f for f in examine(recipe, settings=settings) if f.state == "problem"]
    assert not found
