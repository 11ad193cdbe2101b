"""The class-conditional GAN with a projection discriminator.

Papers: Miyato and Koyama, "cGANs with Projection Discriminator", 2018, https://arxiv.org/abs/1802.05637, section 2
    D(x, y) = y^T V phi(x) + psi(phi(x))        phi: the trunk, psi: a linear layer, V: a vector per class
Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, https://arxiv.org/abs/1802.05957
    every layer of D, and V, has the weight W / sigma(W)
Departures: the networks are DCGAN's, not residual; the class is a learned vector beside z (Mirza and Osindero, 2014),
    not the scales and shifts of batch normalization.
"""

from collections.abc import Mapping
from typing import Annotated

from ganzoo_networks.conditioning import ClassConditionalGenerator, ClassConditionalModel
from ganzoo_networks.conv import DiscriminatorWidth, GeneratorWidth, Trunk
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import Batch, Field, LatentDim, Option


class ProjectionDiscriminator(nn.Module):
    """Images (n, *shape) and labels (n,) -> scores (n, 1). All weights have spectral norm 1."""

    def __init__(self, shape: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(shape, width, "none")
        self.head = nn.Linear(self.trunk.features, 1, bias=False)  # the trunk has biases
        self.projection = nn.Embedding(classes, self.trunk.features)
        for layer in list(self.modules()):
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.init.xavier_uniform_(layer.weight)
                spectral_norm(layer)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        features = self.trunk(image)
        score: Tensor = self.head(features) + (self.projection(label) * features).sum(1, keepdim=True)
        return score


class Projection(ClassConditionalModel):
    """DCGAN's networks. The discriminator scores an image as a member of its class."""

    batch_dependent = False

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 100,
        label_dim: Annotated[int, Option("Dimension of the class embedding", ge=1, le=65536)] = 10,
        generator_width: GeneratorWidth = 32,
        discriminator_width: DiscriminatorWidth = 32,
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        self.generator = ClassConditionalGenerator(latent_dim, self.classes, label_dim, shape, generator_width)
        self.discriminator = ProjectionDiscriminator(shape, discriminator_width, self.classes)

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        return {"score": self.discriminator(sample, condition["label"])}  # (n, *shape), (n,) -> (n, 1)
