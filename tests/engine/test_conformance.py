"""The conformance kit: every recipe of ours conforms, and each kind of broken part is found out, with a remedy."""

import pytest
import torch
from ganzoo_losses.non_saturating import NonSaturating
from torch import nn

import ganzoo
from ganzoo import Model, Penalty, TensorDataset, Turn, testing
from ganzoo.recipes import PartChoice, Recipe


class Dots(TensorDataset):
    """Little grey pictures with labels."""

    def __init__(self) -> None:
        rng = torch.Generator().manual_seed(0)
        image = torch.randint(256, (64, 1, 8, 8), generator=rng).to(torch.uint8)
        super().__init__({"image": image, "label": torch.arange(64) % 4}, classes={"label": 4})


class Sound(Model):
    """A model with nothing wrong; the others break one thing each."""

    batch_dependent = False

    def __init__(self, fields) -> None:
        super().__init__(fields)
        shape = fields[self.target].shape
        size = torch.Size(shape).numel()
        self.generator = nn.Sequential(nn.Linear(4, size), nn.Tanh(), nn.Unflatten(1, shape))
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(size, 1))

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 4, generator=rng, device=rng.device)}

    def generate(self, latent):
        return self.generator(latent["z"])

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample)}


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


class Across(Sound):
    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample - sample.mean(0))}


class Hidden(Sound):
    """Remembers something that no checkpoint holds."""

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
    """Batch norm over single numbers: no batch of one."""

    batch_dependent = True

    def __init__(self, fields) -> None:
        super().__init__(fields)
        self.discriminator.append(nn.Linear(1, 4)).append(nn.BatchNorm1d(4)).append(nn.Linear(4, 1))


class Stubborn(Sound):
    """Breaks, instead of refusing, where the size is another."""

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
    """The generator's move changes the discriminator too."""

    def turns(self):
        first, second = super().turns()
        return [first, Turn(second.player, second.objective, after=lambda model: self._meddle(model))]

    def _meddle(self, model):
        model.discriminator[1].bias.add_(1.0)


class Exploding(NonSaturating):
    def generator(self, fake, real):
        return fake.mean() * float("inf")


class Unseeded(NonSaturating):
    """Draws from the operating system."""

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
    """A function: a recipe of classes of this module, brought by a plugin."""
    kinds = {"models": Model, "losses": ganzoo.Loss, "data": TensorDataset, "penalties": Penalty}
    lines = ["from ganzoo import hookimpl"]
    for kind, base in kinds.items():
        found = [k for k, v in globals().items() if isinstance(v, type) and issubclass(v, base) and v is not base]
        named = {name.lower(): f"tests.test_conformance:{name}" for name in found if name != "NonSaturating"}
        lines += ["@hookimpl", f"def ganzoo_{kind}():", f"    return {named!r}"]
    install("mutants", "\n".join(lines))

    def make(model="sound", loss="non-saturating", **more):
        return Recipe("mutant", PartChoice("dots"), PartChoice(model), PartChoice(loss), **more)

    return make


def _problems(recipe):
    return {found.check: found for found in testing.examine(recipe) if found.state == "problem"}


def test_what_is_sound_passes(recipe):
    found = list(testing.examine(recipe(penalties={"squash": {"every": 3}})))
    assert {f.state for f in found} <= {"ok", "skipped"}, found
    assert next(f for f in found if f.check == "only the mover moves").text == (
        "discriminator, discriminator every 3, generator"
    )
    testing.check(recipe("refusing"))


@pytest.mark.parametrize(
    ("parts", "check", "text"),
    [
        ({"model": "global"}, "latents come from the generator", "global generator"),
        ({"model": "few"}, "latents come from the generator", "another number"),
        ({"model": "wide"}, "samples keep their promise", "range from 8"),
        ({"model": "noisy"}, "samples keep their promise", "other samples"),
        ({"model": "orphan"}, "every parameter learns", "head: are moved by nobody"),
        ({"model": "idle"}, "every parameter learns", "spare.weight, spare.bias: get no gradient"),
        ({"model": "across"}, "judges each sample alone", "depends on the others"),
        ({"model": "hidden"}, "resumes are identical", "differ after a resume"),
        ({"model": "stale"}, "weights can be loaded", "other samples"),
        ({"model": "unnamed"}, "averages are complete", "generator.0"),
        ({"model": "alone"}, "any batch size", "batch size 1"),
        ({"model": "stubborn"}, "other images", "size mismatch"),
        ({"loss": "meddling"}, "only the mover moves", "move 2 (generator) changed discriminator.1.bias"),
        ({"loss": "exploding"}, "losses stay finite", "loss/generator"),
        ({"loss": "unseeded"}, "reruns are identical", "differ"),
        ({"loss": "unexplained"}, "options are explained", "strength of unexplained"),
    ],
)
def test_each_kind_of_trouble_is_found(recipe, parts, check, text):
    problems = _problems(recipe(**parts))
    assert check in problems, problems
    assert text in problems[check].text
    assert problems[check].remedy


def test_what_does_not_fit_is_the_last_finding(recipe):
    found = list(testing.examine(recipe(loss="unheard-of")))
    assert found[-1].state == "problem"
    assert "Unknown loss 'unheard-of'" in found[-1].text


def test_a_plugin_that_imports_torch_at_once(recipe, install):
    install("heavy", "import torch\nfrom ganzoo import hookimpl\n@hookimpl\ndef ganzoo_models():\n"
            "    return {'heavy': 'tests.test_conformance:Sound'}\n")  # fmt: skip
    problems = _problems(recipe("heavy"))
    assert "heavy imports torch" in problems["plugins load in a blink"].text


def test_check_raises_with_all_that_is_wrong(recipe):
    with pytest.raises(AssertionError, match=r"wide[\s\S]*range from|range from[\s\S]*tanh"):
        testing.check(recipe("wide"))


def test_the_command(ganzoo):
    result = ganzoo("check", "fc-ring8")
    assert result.code == 0, result.out
    assert "everything holds" in result.out
    assert ganzoo("check", "fc-rnig8").code == 2
    for setting, message in (
        ("model.widht=3", "Did you mean 'model.width'"),
        ("model.width=0", "width"),
        ("train.batch_size=3", "The check sets train.batch_size itself"),
    ):
        result = ganzoo("check", "fc-ring8", "--set", setting)
        assert result.code == 2, result
        assert message in result.err
