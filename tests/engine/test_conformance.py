"""The conformance kit: a valid recipe passes, and every kind of broken part is found, with a remedy."""

import pytest
import torch
from ganzoo_losses.classic import NonSaturating
from torch import nn

import ganzoo
from ganzoo import LatentModel, Model, Penalty, TensorDataset, Turn, testing
from ganzoo.recipes import PartChoice, Recipe


class Dots(TensorDataset):
    """Little gray pictures with labels."""

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(0)
        image = torch.randint(256, (64, 1, 8, 8), generator=rng).to(torch.uint8)
        super().__init__({"image": image, "label": torch.arange(64) % 4}, classes={"label": 4})


class Sound(LatentModel):
    """A model with nothing wrong; each of the others breaks one thing."""

    batch_dependent = False

    def __init__(self, fields) -> None:
        super().__init__(fields, latent_dim=4)
        shape = fields[self.target].shape
        size = torch.Size(shape).numel()
        self.generator = nn.Sequential(nn.Linear(4, size), nn.Tanh(), nn.Unflatten(1, shape))
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1))


class Global(Sound):
    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 4)}


class Few(Sound):
    def sample_latent(self, n, rng):
        return {"z": torch.randn(1, 4, generator=rng)}


class Wide(Sound):
    def generate(self, latent):
        return 9 + self.generator(latent["z"])


class Noisy(Sound):
    def generate(self, latent):
        return (self.generator(latent["z"]) + 0.1 * torch.randn(1)).clamp(-1, 1)


class Idle(Sound):
    players = {"discriminator": ("discriminator",), "generator": ("generator", "spare")}

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.spare = nn.Linear(3, 3)


class Orphan(Sound):
    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.head = nn.Parameter(torch.ones(1))

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample) * self.head}


class Mixing(Sound):
    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample - sample.mean(0))}


class Hidden(Sound):
    """Remembers something that is in no checkpoint."""

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.count = 0

    def discriminate(self, sample, condition):
        self.count += self.training
        return {"score": self.discriminator(sample) * (1 + self.count)}


class Stale(Sound):
    """Generates with a weight that is not in its state_dict."""

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.register_buffer("shift", 0.1 * torch.randn(1), persistent=False)

    def generate(self, latent):
        return (self.generator(latent["z"]) + self.shift).clamp(-1, 1)


class Unnamed(Sound):
    ema_networks = ("discriminator",)


class Alone(Sound):
    """Batch norm over single numbers, so a batch of one does not work."""

    batch_dependent = True

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.discriminator.append(nn.Linear(1, 4)).append(nn.BatchNorm1d(4)).append(nn.Linear(4, 1))


class Stubborn(Sound):
    """Breaks at other sizes, instead of refusing them."""

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.generator[2] = nn.Unflatten(1, (1, 8, 8))
        if fields[self.target].shape != (1, 8, 8):
            raise RuntimeError("size mismatch")


class Refusing(Sound):
    def __init__(self, fields) -> None:
        if fields["image"].shape != (1, 8, 8):
            raise ValueError("images of 1x8x8 only")
        super().__init__(fields)


class Meddling(NonSaturating):
    """The move of the generator changes the discriminator too."""

    def turns(self):
        first, second = super().turns()
        return [first, Turn(second.player, second.objective, after=lambda model: self._meddle(model))]

    def _meddle(self, model):
        model.discriminator[1].bias.add_(1.0)


class Exploding(NonSaturating):
    def generator(self, fake, real):
        return fake.mean() * float("inf")


class Unseeded(NonSaturating):
    """Draws random numbers from the operating system."""

    def generator(self, fake, real):
        import secrets

        return super().generator(fake * (1 + secrets.randbelow(1000) / 1000), real)


class Unexplained(NonSaturating):
    def __init__(self, *, strength: float = 1.0) -> None:
        super().__init__()


class Squash(Penalty):
    def term(self, model, real, shared):
        return model.discriminate(real[model.target], real)["score"].square().mean()


@pytest.fixture
def recipe(install):
    """A function that returns a recipe of classes of this module, which a plugin brings."""
    bases = {"models": Model, "losses": ganzoo.Loss, "datasets": TensorDataset, "penalties": Penalty}
    own = {name: v for name, v in globals().items() if isinstance(v, type) and v.__module__ == __name__}
    parts = {
        kind: {name.lower(): f"{__name__}:{name}" for name, value in own.items() if issubclass(value, base)}
        for kind, base in bases.items()
    }
    install("mutants", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts(): return {parts!r}\n")

    def make(model="sound", loss="non-saturating", **more):
        return Recipe("mutant", PartChoice("dots"), PartChoice(model), PartChoice(loss), **more)

    return make


def _problems(recipe):
    return {found.check: found for found in testing.examine(recipe) if found.state == "problem"}


def test_a_sound_recipe_passes(recipe):
    found = list(testing.examine(recipe(penalties={"squash": {"every": 3}})))
    assert {f.state for f in found} <= {"ok", "skipped"}, found
    assert next(f for f in found if f.check == "moves change their player only").text == ("discriminator, generator")
    testing.check(recipe("refusing"))


@pytest.mark.parametrize(
    ("parts", "check", "text"),
    [
        ({"model": "global"}, "latents depend on the generator only", "global generator"),
        ({"model": "few"}, "latents depend on the generator only", "returns 1 of 'z'"),
        ({"model": "wide"}, "samples are valid", "range from 8"),
        ({"model": "noisy"}, "samples are valid", "the same latents gave different samples"),
        ({"model": "orphan"}, "every parameter learns", "head: belong to no player that moves"),
        ({"model": "idle"}, "every parameter learns", "spare.weight, spare.bias: get no gradient"),
        ({"model": "mixing"}, "samples are scored independently", "depends on the others"),
        ({"model": "hidden"}, "resumes are identical", "differ after a resume"),
        ({"model": "stale"}, "weights can be loaded", "different samples"),
        ({"model": "unnamed"}, "averages are complete", "generator.0"),
        ({"model": "alone"}, "any batch size works", "batch size 1"),
        ({"model": "stubborn"}, "other image sizes work", "size mismatch"),
        ({"loss": "meddling"}, "moves change their player only", "move 2 (generator) changed discriminator.1.bias"),
        ({"loss": "exploding"}, "losses stay finite", "loss/generator"),
        ({"loss": "unseeded"}, "reruns are identical", "differ"),
        ({"loss": "unexplained"}, "options are explained", "strength of unexplained"),
    ],
)
def test_each_kind_of_problem_is_found(recipe, parts, check, text):
    problems = _problems(recipe(**parts))
    assert check in problems, problems
    assert text in problems[check].text
    assert problems[check].remedy


def test_parts_that_do_not_fit_are_the_last_finding(recipe):
    found = list(testing.examine(recipe(loss="unheard-of")))
    assert found[-1].state == "problem"
    assert "Unknown loss 'unheard-of'" in found[-1].text


def test_a_plugin_that_imports_torch_is_found(recipe, install):
    install("heavy", "import torch\nfrom ganzoo import hookimpl\n@hookimpl\ndef ganzoo_parts():\n"
            f"    return {{'models': {{'heavy': '{__name__}:Sound'}}}}\n")  # fmt: skip
    problems = _problems(recipe("heavy"))
    assert "heavy imports torch" in problems["plugins load quickly"].text


def test_check_raises_an_error_that_names_every_problem(recipe):
    with pytest.raises(AssertionError, match=r"wide[\s\S]*range from|range from[\s\S]*tanh"):
        testing.check(recipe("wide"))


def test_the_command_check_exits_with_0_if_all_checks_pass(ganzoo):
    result = ganzoo("check", "fc-ring8")
    assert result.code == 0, result.out
    assert "fc-ring8: all checks passed" in result.out
    assert ganzoo("check", "fc-rnig8").code == 2
    for setting, message in (
        ("model.widht=3", "Did you mean 'model.width'"),
        ("model.width=0", "width"),
        ("train.batch_size=3", "The checks set train.batch_size themselves"),
    ):
        result = ganzoo("check", "fc-ring8", "--set", setting)
        assert result.code == 2, result
        assert message in result.err
