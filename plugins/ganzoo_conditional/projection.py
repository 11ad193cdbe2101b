"""The class-conditional GAN with a projection discriminator.

Papers: Miyato and Koyama, "cGANs with Projection Discriminator", 2018, https://arxiv.org/abs/1802.05637, section 2
    D(x, y) = y^T V phi(x) + psi(phi(x))        phi: the body, psi: a linear layer, V: a vector for each class
Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, https://arxiv.org/abs/1802.05957
    every layer of D, and V, has the weight W / sigma(W)
Departures: the networks are DCGAN's, not residual; the class is a learned vector beside z (Mirza and Osindero, 2014),
    not the scales and shifts of batch normalisation.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_dcgan.networks import Body
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import Batch, Field, Option
from ganzoo_conditional.base import ClassGenerator, Conditional


class ProjectionDiscriminator(nn.Module):
    """Images (n, *shape) and labels (n,) -> scores (n, 1). All weights have spectral norm."""

    def __init__(self, shape: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        self.body = Body(shape, width, "none")
        self.score = nn.Linear(self.body.features, 1, bias=False)  # the body has biases
        self.projection = nn.Embedding(classes, self.body.features)
        for layer in list(self.modules()):
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.init.xavier_uniform_(layer.weight)
                spectral_norm(layer)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        features = self.body(image)
        return self.score(features) + (self.projection(label) * features).sum(1, keepdim=True)


class Projection(Conditional):
    """DCGAN's networks; the discriminator weighs what it sees by the class that is said to be there."""

    across = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 100,
        label_dim: Annotated[int, Option("Numbers in the vector that stands for a class", ge=1, le=65536)] = 10,
        generator_width: Annotated[int, Option("The generator's channels next to the image; up to 8 times", ge=1)] = 32,
        discriminator_width: Annotated[int, Option("The discriminator's channels, likewise", ge=1)] = 32,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        self.generator = ClassGenerator(latent_dim, label_dim, self.classes, shape, generator_width)
        self.discriminator = ProjectionDiscriminator(shape, discriminator_width, self.classes)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        """Return how real the samples (n, *shape) look as members of their classes, ``given["label"]``."""
        return {"score": self.discriminator(sample, given["label"])}  # (n, 1)
