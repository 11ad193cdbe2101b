"""The bidirectional GAN: a generator, an encoder that goes the other way, and a discriminator of pairs.

Papers: Donahue et al., "Adversarial Feature Learning", 2017, https://arxiv.org/abs/1605.09782, section 3, equation 3
Dumoulin et al., "Adversarially Learned Inference", 2017, https://arxiv.org/abs/1606.00704, section 2
    real: (x, E(x))         fake: (G(z), z)         D(x, z) tells which; where nobody can, E inverts G
Departures: G, E and the part of D that sees x are those of DCGAN, also for MNIST (the first paper: perceptrons); E is
    deterministic, as in the first paper, and normalises each image by itself, not over the batch; z is normal, as in
    the second (the first: uniform), and has 16 numbers (there: 50), whose neighbours are found sooner; a linear layer
    looks at z before D sees it with x.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_dcgan.networks import Body, Generator, Norm, initialise
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option


class BiGAN(Model):
    """DCGAN's networks and an encoder, for images of 8 pixels or more, each side 4, 5, 6 or 7 times a power of two.

    ``judge`` asks the encoder where no z comes with the samples, as with real ones. The encoder learns from a loss that
    shows the generator the real scores too: ``bigan``, or a relativistic one.
    """

    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "discriminator": ("discriminator",),
        "generator": ("generator", "encoder"),
    }
    averaged = ("generator", "encoder")
    metrics = ("encoding-accuracy", "reconstruction")

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z, and in a code", ge=1, le=65536)] = 16,
        width: Annotated[int, Option("Channels next to the image; further away up to 8 times as many", ge=1)] = 32,
        hidden: Annotated[int, Option("Units with which the discriminator looks at z, and at both", ge=1)] = 256,
        norm: Annotated[Norm, Option("What the discriminator normalises over")] = "batch",
    ) -> None:
        super().__init__(fields)
        self.latent_dim = latent_dim
        shape = fields[self.target].shape
        self.generator = Generator(latent_dim, shape, width)
        body = Body(
            shape, width, "layer"
        )  # averaged weights (train.ema) do not go with the running statistics of others
        last = nn.Linear(body.features, latent_dim)
        initialise(last)
        self.encoder = nn.Sequential(body, last)
        self.discriminator = Pairs(shape, width, norm, latent_dim, hidden)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {"z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device)}

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"])  # (n, latent_dim) -> (n, C, H, W)

    def encode(self, image: Tensor) -> Tensor:
        """Return codes (n, latent_dim), distributed as z, of images (n, C, H, W) in [-1, 1]."""
        return self.encoder(image)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        z = given["z"] if "z" in given else self.encode(sample)
        return {"score": self.discriminator(sample, z)}  # (n, 1)

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        real = fixed[self.target]
        again = self.generate({"z": self.encode(real)})
        return {"real": real, "fake": self.generate(fixed), "reconstruction": again}


class Pairs(nn.Module):
    """Scores (n, 1) of pairs: images (n, C, H, W) and latents (n, latent_dim)."""

    def __init__(self, shape: tuple[int, int, int], width: int, norm: Norm, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.image = Body(shape, width, norm)
        self.latent = nn.Sequential(nn.Linear(latent_dim, hidden), nn.LeakyReLU(0.2))
        self.both = nn.Sequential(nn.Linear(self.image.features + hidden, hidden), nn.LeakyReLU(0.2))
        self.verdict = nn.Linear(hidden, 1)

    def forward(self, image: Tensor, latent: Tensor) -> Tensor:
        return self.verdict(self.both(torch.cat([self.image(image), self.latent(latent)], dim=1)))
