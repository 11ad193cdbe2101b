"""The bidirectional GAN: a generator, an encoder for the opposite direction, and a discriminator of pairs.

Papers: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, section 3, equation 3
Dumoulin et al., "Adversarially Learned Inference", 2017, https://arxiv.org/abs/1606.00704, section 2
    real: (x, E(x))         fake: (G(z), z)         D(x, z) tells them apart; when it cannot, E is the inverse of G
Departures: G, E and the part of D that sees x are those of DCGAN, also for MNIST (the first paper: perceptrons); E is
    deterministic, as in the first paper, and normalizes each image by itself, not over the batch; z is normal, as in
    the second (the first: uniform), and has 16 dimensions (the first: 50), in which neighbors are found sooner; a
    linear layer looks at z before D sees it together with x.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_networks.conv import DiscriminatorNorm, Generator, Norm, Trunk, Width, init_weights
from torch import Tensor, nn

from ganzoo import Batch, Field, LatentDim, LatentModel, Option


class BiGAN(LatentModel):
    """DCGAN's networks and an encoder, for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two.

    The encoder learns from a loss that shows the generator the scores of real samples too: ``bigan``, or a relativistic
    one.
    """

    players: ClassVar = {"discriminator": ("discriminator",), "generator": ("generator", "encoder")}
    ema_networks = ("generator", "encoder")
    metrics = ("encoding-accuracy", "reconstruction")
    augmentable = False  # the discriminator sees images together with their latents

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 16,
        width: Width = 32,
        hidden: Annotated[int, Option("Units of the discriminator's layers for z, and for image and z", ge=1)] = 256,
        norm: DiscriminatorNorm = "batch",
    ) -> None:
        super().__init__(fields, latent_dim)
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, width)
        trunk = Trunk(shape, width, "layer")  # batch norm's running statistics would not fit averaged weights
        head = nn.Linear(trunk.features, latent_dim)
        init_weights(head)
        self.encoder = nn.Sequential(trunk, head)
        self.discriminator = JointDiscriminator(shape, width, norm, latent_dim, hidden)

    def encode(self, image: Tensor) -> Tensor:
        """Return codes (n, latent_dim), distributed as z, of images (n, C, H, W) in [-1, 1]."""
        code: Tensor = self.encoder(image)
        return code

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return the ``score`` (n, 1) of samples and their z; real samples have none, and get the encoder's code."""
        z = condition["z"] if "z" in condition else self.encode(sample)
        return {"score": self.discriminator(sample, z)}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        reconstruction = self.generate({"z": self.encode(fixed[self.target])})
        return {**super().preview(fixed), "reconstruction": reconstruction}


class JointDiscriminator(nn.Module):
    """Images (n, C, H, W) and latents (n, latent_dim) -> scores (n, 1) of the pairs."""

    def __init__(self, shape: tuple[int, ...], width: int, norm: Norm, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.image = Trunk(shape, width, norm)
        self.latent = nn.Sequential(nn.Linear(latent_dim, hidden), nn.LeakyReLU(0.2))
        self.both = nn.Sequential(nn.Linear(self.image.features + hidden, hidden), nn.LeakyReLU(0.2))
        self.head = nn.Linear(hidden, 1)

    def forward(self, image: Tensor, latent: Tensor) -> Tensor:
        score: Tensor = self.head(self.both(torch.cat([self.image(image), self.latent(latent)], dim=1)))
        return score
