"""InfoGAN: who moves what, what both players minimize, what the previews show, and what purity counts."""

import math

import pytest
import torch
from ganzoo_digits.classifier import MnistExtractor
from ganzoo_gaussians.data import Ring8
from ganzoo_infogan.loss import MutualInformation
from ganzoo_infogan.metric import Purity
from ganzoo_infogan.model import InfoGAN
from ganzoo_mnist.data import MNIST

import ganzoo as package
from ganzoo import Field, Samples, UsageError
from tests.conftest import TINY

SMALL = {"latent_dim": 6, "code_dim": 5, "generator_width": 4, "discriminator_width": 4, "hidden": 8}


def model_of(**options):
    torch.manual_seed(0)
    return InfoGAN({"image": Field((1, 28, 28))}, **{**SMALL, **options})


def latent_of(model, n):
    return model.sample_latent(n, torch.Generator().manual_seed(0))


def images(n):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- the model ------------------------------------------------------------------------------------------------------


def test_categories_and_styles_are_drawn_uniformly():
    latent = latent_of(model_of(categories=4), 4000)
    assert latent["code"].dtype == torch.int64
    assert (torch.bincount(latent["code"], minlength=5) / 1000 - torch.tensor([1, 1, 1, 1, 0])).abs().max() < 0.1
    style = latent["style"]
    assert (style.min(), style.max()) == (pytest.approx(-1, abs=0.01), pytest.approx(1, abs=0.01))
    assert style.std(0).tolist() == pytest.approx([1 / math.sqrt(3)] * 2, abs=0.02)


def test_each_code_changes_the_image():
    model = model_of()  # in training mode, where batch normalization makes differences large
    z = latent_of(model, 1)["z"].repeat(4, 1)
    style = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    image = model.generate({"z": z, "code": torch.tensor([0, 1, 0, 0]), "style": style}).flatten(1)
    assert torch.pdist(image).min() > 0.01


def test_the_discriminator_sees_noise_in_training_only():
    image = images(64)
    for model, noise in ((model_of(norm="none"), 0.3), (model_of(norm="none", noise=0.0), 0.0)):
        seen = []
        model.trunk.register_forward_pre_hook(lambda trunk, inputs, seen=seen: seen.append(inputs[0] - image))
        model.discriminate(image, {})
        model.eval().discriminate(image, {})
        assert seen[0].std().item() == pytest.approx(noise, rel=0.02)
        assert not seen[1].any()


def test_a_preview_varies_one_code_and_keeps_the_rest():
    model = model_of(categories=3, styles=2).eval()
    fixed = {"image": images(5), **latent_of(model, 5)}
    preview = model.preview(fixed)
    assert list(preview) == ["real", "fake", "code", "style-1", "style-2"]
    torch.testing.assert_close(preview["fake"], model.generate(fixed))

    def single(index, code, style):
        return model.generate({"z": fixed["z"][[index]], "code": torch.tensor([code]), "style": style[None]})

    row, column = 2, 4
    place = [row * 8 + column]
    torch.testing.assert_close(preview["code"][place], single(column, row, fixed["style"][column]))
    moved = fixed["style"][row].clone()
    moved[1] = -1 + 2 * column / 7
    torch.testing.assert_close(preview["style-2"][place], single(row, row, moved))
    assert all(len(preview[name]) == 3 * 8 for name in ("code", "style-1", "style-2"))


# --- the loss -------------------------------------------------------------------------------------------------------


def test_the_losses_are_the_negative_log_likelihood_of_the_codes():
    heads = {
        "code": torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]),
        "mean": torch.tensor([[0.5, 0.0], [-1.0, 0.2]]),
        "log_variance": torch.tensor([[0.0, math.log(0.25)], [math.log(4), -9.0]]),  # the last counts as 0.1
    }
    condition = {"code": torch.tensor([1, 2]), "style": torch.tensor([[0.0, 0.5], [0.0, 0.3]])}
    code = -(math.log(math.e**3 / (math.e + math.e**3 + math.e**2)) + math.log(1 / 3)) / 2
    density = lambda off, variance: math.exp(-(off**2) / variance / 2) / math.sqrt(2 * math.pi * variance)  # noqa: E731
    style = -sum(math.log(density(*pair)) for pair in ((0.5, 1), (0.5, 0.25), (1, 4), (0.1, 0.1))) / 4
    for weights in ({"code_weight": 1.0, "style_weight": 1.0}, {"code_weight": 2.0, "style_weight": 0.5}):
        terms = MutualInformation(**weights).fake_head_losses(heads, condition)
        assert terms["code"].item() == pytest.approx(weights["code_weight"] * code)
        assert terms["style"].item() == pytest.approx(weights["style_weight"] * style, rel=1e-5)


def test_both_players_move_the_recognition_network_in_addition_to_their_own():
    model, loss = model_of(), MutualInformation()
    real = {"image": images(4)}
    shared = loss.prepare_step(model, real, {"discriminator", "generator"}, torch.Generator().manual_seed(0))
    learning = {}
    for turn in loss.turns():
        model.zero_grad()
        sum(turn.objective(model, real, shared).losses.values()).backward()
        own = set(model.parameters_of(turn.player))
        found = {name for name, p in model.named_parameters() if p in own and p.grad is not None and p.grad.any()}
        learning[turn.player] = {name.partition(".")[0] for name in found}
        assert found == {name for name, p in model.named_parameters() if p in own}
    assert learning["discriminator"] == {"trunk", "head", "recognition"}
    assert learning["generator"] == {"generator", "recognition"}


def test_a_model_that_recognizes_no_codes_is_refused(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", "--loss", "infogan", "--steps", 2, *TINY)
    assert result.code == 2
    assert "returns 'code'; this one returns: score. Choose the model infogan, or another loss." in result.err
    assert not list(workplace.iterdir())


# --- purity ---------------------------------------------------------------------------------------------------------


def purity(code, digit):
    """Return the score of samples of these categories that look like these digits."""
    logits = torch.nn.functional.one_hot(torch.tensor(digit), 10).float()
    values = torch.zeros(len(digit), 1, 28, 28, dtype=torch.uint8)
    samples = Samples(values, {"code": torch.as_tensor(code)}, None, 0, None, {"isc": logits}.get)
    (name,) = scores = Purity().measure(samples, samples)
    assert name == "purity-mnist"
    assert scores[name].better == "higher"
    return scores[name].value, scores[name].details


def test_purity_is_the_share_of_the_most_frequent_digit_of_each_category():
    value, details = purity([0, 0, 0, 0, 1, 1, 1, 3], [5, 5, 5, 2, 7, 7, 1, 5])
    assert value == (3 + 2 + 1) / 8
    assert details == {"digits": [5, 7, None, 5], "shares": [0.75, 2 / 3, None, 1.0]}


def test_only_categories_that_are_digits_are_pure_in_any_order():
    digit = list(range(10)) * 10
    assert purity([(d + 3) % 10 for d in digit], digit)[0] == 1
    assert purity([0] * 100, digit)[0] == 0.1
    assert purity([i // 10 for i in range(100)], digit)[0] == 0.1
    assert purity([40 + d // 2 for d in digit], digit)[0] == 0.5


def test_real_digits_are_as_pure_as_the_classifier_is_accurate():
    tensors = MNIST(split="test").tensors()
    image, label = tensors["image"][:1000], tensors["label"][:1000]
    logits = MnistExtractor("mnist", ["logits"])(image.expand(-1, 3, -1, -1))[0]
    samples = Samples(image, {"code": 9 - label}, None, 0, None, {"isc": logits}.get)
    assert Purity().measure(samples, samples)["purity-mnist"].value > 0.985


@pytest.mark.parametrize("code", [[[0], [1]], [0.0, 1.0], [-1, 0]])
def test_codes_that_are_not_categories_are_refused(code):
    with pytest.raises(UsageError, match="one category per sample"):
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


def test_a_run_is_also_measured_by_its_purity(workplace):
    settings = {"data.split": "test", **{f"model.{name}": value for name, value in SMALL.items()}}
    run = package.train("infogan-mnist", steps=2, batch_size=8, device="cpu", settings=settings, out="run")
    names = [record["metric"] for record in run.evaluate(n=1000)]
    assert names[0] == "fd-mnist"
    assert names[-1] == "purity-mnist"
    assert "accuracy-mnist" not in names  # it knows no labels
    previews = {path.name.rpartition("-")[0] for path in (workplace / "run" / "samples").iterdir()}
    assert previews >= {"fake", "code", "style-1", "style-2"}
    with pytest.raises(UsageError, match="class"):
        run.sample(1, label=3)
