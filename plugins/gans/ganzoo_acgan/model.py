"""The GAN with an auxiliary classifier: the discriminator also tells which class an image belongs to.

Paper: Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017,
    https://arxiv.org/abs/1610.09585, section 3
    L_S = E[log P(real | X_real)] + E[log P(fake | X_fake)]      L_C = E[log P(c | X_real)] + E[log P(c | X_fake)]
    D maximizes L_S + L_C        G maximizes L_C - L_S
Departures: G has the non-saturating form, it maximizes E[log P(real | X_fake)]; both players minimize, with log P(c)
    weighted by ``class_weight``; the networks are DCGAN's, without dropout; the class is a learned vector beside z; the
    recipe has the penalty R1 in place of D's batch normalization.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from ganzoo_networks.conditioning import ClassConditionalGenerator, ClassConditionalModel
from ganzoo_networks.conv import DiscriminatorNorm, DiscriminatorWidth, GeneratorWidth, Trunk, init_weights
from torch import Tensor, nn

from ganzoo import Batch, Field, LatentDim, Option


class ACGAN(ClassConditionalModel):
    """DCGAN's networks. The generator is told a class, and the discriminator has a second head that guesses it."""

    players: ClassVar = {"discriminator": ("trunk", "head", "classifier"), "generator": ("generator",)}

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 100,
        label_dim: Annotated[int, Option("Dimension of the class embedding", ge=1, le=65536)] = 10,
        generator_width: GeneratorWidth = 32,
        discriminator_width: DiscriminatorWidth = 32,
        norm: DiscriminatorNorm = "batch",
    ) -> None:
        super().__init__(fields, latent_dim)
        self.batch_dependent = norm == "batch"
        shape = fields[self.target].shape
        self.generator = ClassConditionalGenerator(latent_dim, self.classes, label_dim, shape, generator_width)
        self.trunk = Trunk(shape, discriminator_width, norm)
        self.head = nn.Linear(self.trunk.features, 1)
        self.classifier = nn.Linear(self.trunk.features, self.classes)
        init_weights(self.head)
        init_weights(self.classifier)

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return ``score`` (n, 1) and ``class`` (n, classes), both logits."""
        features = self.trunk(sample)
        return {"score": self.head(features), "class": self.classifier(features)}
