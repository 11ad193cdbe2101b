"""InfoGAN: who moves what, what both players minimise, what the pictures show, and what purity counts."""

import math

import pytest
import torch
from ganzoo_digits.classifier import MnistExtractor
from ganzoo_fc_mnist.data import MNIST
from ganzoo_gaussians.data import Ring8
from ganzoo_infogan.loss import MutualInformation
from ganzoo_infogan.metric import Purity
from ganzoo_infogan.model import InfoGAN

import ganzoo as package
from ganzoo import UsageError
from ganzoo.data import Field
from ganzoo.metric import Samples
from ganzoo.testing import examine
from tests.conftest import TINY

SMALL = {"latent_dim": 6, "code_dim": 5, "generator_width": 4, "discriminator_width": 4, "hidden": 8}
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 40, 24)]
QUICK = {"data.split": "test", "train.log_every": 1, **{f"model.{name}": value for name, value in SMALL.items()}}


def built(shape=(1, 28, 28), **options):
    torch.manual_seed(0)
    return InfoGAN({"image": Field(shape)}, **{**SMALL, **options})


def drawn(model, n, seed=0):
    return model.latent(n, torch.Generator().manual_seed(seed))


def images(n, shape=(1, 28, 28)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def train(steps, **more):
    parts = {"model": "infogan", "loss": "infogan", "batch_size": 8, "device": "cpu", "settings": QUICK}
    return package.train("fc-mnist", steps=steps, **{**parts, **more})


# --- the model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_many_sizes_come_out_and_are_recognised(shape):
    model = built(shape, categories=7, styles=3)
    latent = drawn(model, 4)
    assert {name: value.shape for name, value in latent.items()} == {"z": (4, 6), "code": (4,), "style": (4, 3)}
    image = model.generate(latent)
    assert image.shape == (4, *shape)
    assert image.abs().max() <= 1
    heads = {name: value.shape for name, value in model.judge(image, latent).items()}
    assert heads == {"score": (4, 1), "code": (4, 7), "mean": (4, 3), "log_variance": (4, 3)}


def test_codes_are_drawn_from_all_categories_and_styles_alike():
    latent = drawn(built(categories=4), 4000)
    assert latent["code"].dtype == torch.int64
    assert (torch.bincount(latent["code"], minlength=5) / 1000 - torch.tensor([1, 1, 1, 1, 0])).abs().max() < 0.1
    style = latent["style"]
    assert (style.min(), style.max()) == (pytest.approx(-1, abs=0.01), pytest.approx(1, abs=0.01))
    assert style.std(0).tolist() == pytest.approx([1 / math.sqrt(3)] * 2, abs=0.02)


def test_each_code_changes_the_image():
    model = built()  # in training mode, where batch normalisation makes differences large
    z = drawn(model, 1)["z"].repeat(4, 1)
    style = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    image = model.generate({"z": z, "code": torch.tensor([0, 1, 0, 0]), "style": style}).flatten(1)
    assert torch.pdist(image).min() > 0.01


def test_what_is_judged_has_noise_on_it_while_it_trains_and_only_then():
    image = images(64)
    for model, noise in ((built(norm="none"), 0.3), (built(norm="none", noise=0.0), 0.0)):
        seen = []
        model.body.register_forward_pre_hook(lambda body, inputs, seen=seen: seen.append(inputs[0] - image))
        model.judge(image, {})
        model.eval().judge(image, {})
        assert seen[0].std().item() == pytest.approx(noise, rel=0.02)
        assert not seen[1].any()


def test_it_needs_no_labels_and_says_which_images_fit():
    with pytest.raises(ValueError, match="not 27x27"):
        built((1, 27, 27))
    with pytest.raises(ValueError, match="images"):
        built((2,))


def test_a_preview_varies_one_code_and_keeps_the_rest():
    model = built(categories=3, styles=2).eval()
    fixed = {"image": images(5), **drawn(model, 5)}
    preview = model.preview(fixed)
    assert list(preview) == ["real", "fake", "code", "style-1", "style-2"]
    torch.testing.assert_close(preview["fake"], model.generate(fixed))

    def one(of, code, style):
        return model.generate({"z": fixed["z"][[of]], "code": torch.tensor([code]), "style": style[None]})

    row, column = 2, 4
    place = [row * 8 + column]
    torch.testing.assert_close(preview["code"][place], one(column, row, fixed["style"][column]))
    moved = fixed["style"][row].clone()
    moved[1] = -1 + 2 * column / 7
    torch.testing.assert_close(preview["style-2"][place], one(row, row, moved))
    assert all(len(preview[name]) == 3 * 8 for name in ("code", "style-1", "style-2"))


# --- the loss -------------------------------------------------------------------------------------------------------


def test_the_terms_are_the_negative_log_likelihood_of_the_codes():
    judged = {
        "code": torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]),
        "mean": torch.tensor([[0.5, 0.0], [-1.0, 0.2]]),
        "log_variance": torch.tensor([[0.0, math.log(0.25)], [math.log(4), -9.0]]),  # the last counts as 0.1
    }
    given = {"code": torch.tensor([1, 2]), "style": torch.tensor([[0.0, 0.5], [0.0, 0.3]])}
    code = -(math.log(math.e**3 / (math.e + math.e**3 + math.e**2)) + math.log(1 / 3)) / 2
    density = lambda off, variance: math.exp(-(off**2) / variance / 2) / math.sqrt(2 * math.pi * variance)  # noqa: E731
    style = -sum(math.log(density(*pair)) for pair in ((0.5, 1), (0.5, 0.25), (1, 4), (0.1, 0.1))) / 4
    for weights in ({"code_weight": 1.0, "style_weight": 1.0}, {"code_weight": 2.0, "style_weight": 0.5}):
        terms = MutualInformation(**weights).fake_terms(judged, given)
        assert terms["code"].item() == pytest.approx(weights["code_weight"] * code)
        assert terms["style"].item() == pytest.approx(weights["style_weight"] * style, rel=1e-5)


def test_the_game_itself_is_the_classic_one():
    loss = MutualInformation()
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[-1.0], [1.0]])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    expected = -(math.log(0.5) + math.log(sigmoid(2))) / 2
    expected -= (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2
    assert loss.discriminator(real, fake).item() == pytest.approx(expected)
    assert loss.generator(fake, None).item() == pytest.approx(-(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2)


def test_both_players_move_the_recognition_network_and_each_its_own():
    model, loss = built(), MutualInformation()
    real = {"image": images(4)}
    now = loss.begin(model, real, {"discriminator", "generator"}, torch.Generator().manual_seed(0))
    learning = {}
    for turn in loss.turns():
        model.zero_grad()
        sum(turn.objective(model, real, now).loss.values()).backward()
        own = {parameter for part in model.players[turn.player] for parameter in getattr(model, part).parameters()}
        found = {name for name, p in model.named_parameters() if p in own and p.grad is not None and p.grad.any()}
        learning[turn.player] = {name.partition(".")[0] for name in found}
        assert found == {name for name, p in model.named_parameters() if p in own}
    assert learning["discriminator"] == {"body", "verdict", "recognition"}
    assert learning["generator"] == {"generator", "recognition"}


def test_a_model_that_recognises_nothing_is_refused(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", "--loss", "infogan", "--steps", 2, *TINY)
    assert result.code == 2
    assert "with 'code'; this one gives: score. Take the model infogan, or another loss." in result.err
    assert not list(workplace.iterdir())


# --- purity ---------------------------------------------------------------------------------------------------------


def purity(code, digit, data=None):
    """The score of samples of these categories that look like these digits."""
    logits = torch.nn.functional.one_hot(torch.tensor(digit), 10).float()
    values = torch.zeros(len(digit), 1, 28, 28, dtype=torch.uint8)
    samples = Samples(values, {"code": torch.as_tensor(code)}, data, 0, None, {"isc": logits}.get)
    (name,) = scores = Purity().measure(samples, samples)
    assert name == "purity-mnist"
    assert scores[name].better == "higher"
    return scores[name].value, scores[name].details


def test_purity_is_the_share_of_the_commonest_digit_of_each_category():
    value, details = purity([0, 0, 0, 0, 1, 1, 1, 3], [5, 5, 5, 2, 7, 7, 1, 5])
    assert value == (3 + 2 + 1) / 8
    assert details == {"digits": [5, 7, None, 5], "shares": [0.75, 2 / 3, None, 1.0]}


def test_categories_that_are_digits_are_pure_in_any_order_and_others_are_not():
    digit = list(range(10)) * 10
    assert purity([(d + 3) % 10 for d in digit], digit)[0] == 1
    assert purity([0] * 100, digit)[0] == 0.1
    assert purity([i // 10 for i in range(100)], digit)[0] == 0.1
    assert purity([40 + d // 2 for d in digit], digit)[0] == 0.5


def test_real_digits_are_as_pure_as_the_classifier_is_right():
    tensors = MNIST(split="test").tensors()
    image, label = tensors["image"][:1000], tensors["label"][:1000]
    logits = MnistExtractor("mnist", ["logits"])(image.expand(-1, 3, -1, -1))[0]
    samples = Samples(image, {"code": 9 - label}, None, 0, None, {"isc": logits}.get)
    assert Purity().measure(samples, samples)["purity-mnist"].value > 0.985


@pytest.mark.parametrize("code", [[[0], [1]], [0.0, 1.0], [-1, 0]])
def test_codes_that_are_no_categories_are_refused(code):
    with pytest.raises(UsageError, match="a category with each sample"):
        purity(code, [1, 2])


def test_purity_is_for_digits():
    Purity().check(MNIST(split="test"))
    with pytest.raises(ValueError, match="handwritten digits"):
        Purity().check(Ring8(examples=8))


def test_samples_without_a_category_have_no_purity(ganzoo, trained):
    result = ganzoo("evaluate", trained, "--metrics", "purity", "-n", 50)
    assert result.code == 2
    assert "needs samples that come with 'code'" in result.err


# --- a run ----------------------------------------------------------------------------------------------------------


def test_a_run_is_measured_by_its_purity_besides(workplace):
    run = train(2, out="run")
    names = [card["metric"] for card in run.evaluate(n=1000)]
    assert names[0] == "fd-mnist"
    assert names[-1] == "purity-mnist"
    assert "accuracy-mnist" not in names  # it was told no digits
    pictures = {path.name.rpartition("-")[0] for path in (workplace / "run" / "samples").iterdir()}
    assert pictures >= {"fake", "code", "style-1", "style-2"}
    with pytest.raises(UsageError, match="class"):
        run.sample(1, label=3)


def test_it_conforms(workplace):
    recipe = workplace / "recipe.toml"
    recipe.write_text(
        '[tiny]\ntitle = "Tiny"\ntask = "unconditional"\ndata = { name = "mnist", split = "test" }\n'
        'model = "infogan"\nloss = "infogan"\n[tiny.train]\nema = 0.9\n'
    )
    settings = {f"model.{key}": value for key, value in SMALL.items()}
    found = [f for f in examine(recipe, settings=settings) if f.state == "problem"]
    assert not found
