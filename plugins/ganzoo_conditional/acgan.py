"""The GAN with an auxiliary classifier: the discriminator also says of which class an image is.

Paper: Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017,
    https://arxiv.org/abs/1610.09585, section 3
    L_S = E[log P(real | X_real)] + E[log P(fake | X_fake)]      L_C = E[log P(c | X_real)] + E[log P(c | X_fake)]
    D maximises L_S + L_C        G maximises L_C - L_S
Departures: G has the non-saturating form, it maximises E[log P(real | X_fake)]; both players minimise, with log P(c)
    weighted by ``class_weight``; the networks are DCGAN's, without dropout; the class is a learned vector beside z; the
    recipe has the penalty R1 in place of D's batch normalisation.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_dcgan.networks import Body, Norm, initialise
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from ganzoo import AdversarialLoss, Batch, Field, Option, UsageError
from ganzoo.loss import GeneratorEvery
from ganzoo_conditional.base import ClassGenerator, Conditional


class ACGAN(Conditional):
    """DCGAN's networks; the generator is told a class, and the discriminator has a second head that guesses it."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 100,
        label_dim: Annotated[int, Option("Numbers in the vector that stands for a class", ge=1, le=65536)] = 10,
        generator_width: Annotated[int, Option("The generator's channels next to the image; up to 8 times", ge=1)] = 32,
        discriminator_width: Annotated[int, Option("The discriminator's channels, likewise", ge=1)] = 32,
        norm: Annotated[Norm, Option("What the discriminator normalises over")] = "batch",
    ) -> None:
        super().__init__(fields, latent_dim)
        self.across = norm == "batch"
        shape = fields[self.target].shape
        self.generator = ClassGenerator(latent_dim, label_dim, self.classes, shape, generator_width)
        body = Body(shape, discriminator_width, norm)
        heads = nn.ModuleDict({"score": nn.Linear(body.features, 1), "class": nn.Linear(body.features, self.classes)})
        initialise(heads)
        self.discriminator = nn.ModuleDict({"body": body, "heads": heads})

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        """Return ``score`` (n, 1) and ``class`` (n, classes), both logits."""
        features = self.discriminator["body"](sample)
        return {name: head(features) for name, head in self.discriminator["heads"].items()}


class AuxiliaryClassifier(AdversarialLoss):
    """The non-saturating game; and both players want the class of every image to be seen, D of the real ones too."""

    needs = ("label",)

    def __init__(
        self,
        *,
        class_weight: Annotated[float, Option("Of the terms for the class, beside those for real or fake", ge=0)] = 1.0,
        generator_every: GeneratorEvery = 1,
    ) -> None:
        super().__init__(generator_every=generator_every)
        self.class_weight = class_weight

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return softplus(-fake).mean()

    def real_terms(self, judged: Batch, given: Batch) -> Mapping[str, Tensor]:
        return {"class-real": self._term(judged, given)}

    def fake_terms(self, judged: Batch, given: Batch) -> Mapping[str, Tensor]:
        return {"class": self._term(judged, given)}

    def _term(self, judged: Batch, given: Batch) -> Tensor:
        for name, there, who in (("class", judged, "judges"), ("label", given, "draws latents")):
            if name not in there:
                raise UsageError(
                    f"The loss 'acgan' needs a model that {who} with a {name!r}; this one gives: "
                    f"{', '.join(sorted(there))}. Take the model acgan, or another loss."
                )
        return self.class_weight * cross_entropy(judged["class"], given["label"])
