"""InfoGAN: part of the generator's input can be read off its images, and so becomes meaningful.

Paper: Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
    Nets", 2016, https://arxiv.org/abs/1606.03657, sections 4 to 6 and appendix C.1
    G(z, c): noise z, and latent codes c: a category (the field ``code``) and styles (``style``), uniform in [-1, 1]
    D(x), and Q(c | x): two heads on one trunk; Q gives the category's probabilities, each style's mean and variance
Departures: the networks are DCGAN's, and follow the size of the images; the category enters as a learned vector, not
    one-hot; z is normal, not uniform; in training, D and Q see every image with some noise added (Sonderby et al.,
    "Amortised MAP Inference for Image Super-resolution", 2017, https://arxiv.org/abs/1610.04490, do this for D), so
    that G cannot write the codes for Q in specks that are too small to matter to D.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_networks.conditioning import COLUMNS, ClassConditionalGenerator, preview_grid
from ganzoo_networks.conv import DiscriminatorNorm, DiscriminatorWidth, GeneratorWidth, Trunk, init_weights
from torch import Tensor, nn

from ganzoo import Batch, Field, LatentDim, Model, Option


class InfoGAN(Model):
    """DCGAN's networks with a second head, the recognition network, which both players update."""

    players: ClassVar = {"discriminator": ("trunk", "head", "recognition"), "generator": ("generator", "recognition")}
    metrics = ("purity",)
    latent_distributions: ClassVar = {"z": "normal", "style": "uniform"}

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 62,
        categories: Annotated[int, Option("Number of categories", ge=2)] = 10,
        code_dim: Annotated[int, Option("Dimension of the category embedding", ge=1, le=65536)] = 10,
        code_scale: Annotated[float, Option("Initial standard deviation of the category embeddings", gt=0)] = 1.0,
        styles: Annotated[int, Option("Number of styles (continuous codes in [-1, 1])", ge=1, le=1024)] = 2,
        generator_width: GeneratorWidth = 32,
        discriminator_width: DiscriminatorWidth = 32,
        hidden: Annotated[int, Option("Units in the recognition network's hidden layer", ge=1)] = 128,
        norm: DiscriminatorNorm = "batch",
        noise: Annotated[
            float, Option("Standard deviation of the noise on the discriminator's images in training", ge=0)
        ] = 0.3,
    ) -> None:
        super().__init__(fields)
        self.latent_dim, self.categories, self.styles = latent_dim, categories, styles
        self.batch_dependent, self.noise = norm == "batch", noise
        shape = fields[self.target].shape
        self.generator = ClassConditionalGenerator(
            latent_dim + styles, categories, code_dim, shape, generator_width, code_scale
        )
        self.trunk = Trunk(shape, discriminator_width, norm)
        self.head = nn.Linear(self.trunk.features, 1)
        self.recognition = nn.Sequential(
            nn.Linear(self.trunk.features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, categories + 2 * styles)
        )
        init_weights(self.head)
        init_weights(self.recognition)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw ``z`` (n, latent_dim), ``code`` (n,) from 0 to categories - 1, and ``style`` (n, styles) in [-1, 1]."""
        return {
            "z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device),
            "code": torch.randint(self.categories, (n,), generator=rng, device=rng.device),
            "style": torch.rand(n, self.styles, generator=rng, device=rng.device) * 2 - 1,
        }

    def generate(self, latent: Batch) -> Tensor:
        image: Tensor = self.generator(torch.cat([latent["z"], latent["style"]], 1), latent["code"])  # (n, C, H, W)
        return image

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        """Return ``score`` (n, 1), and what is recognized: ``code`` (n, categories), logits, and the ``mean`` and
        ``log_variance`` of the styles, (n, styles) each."""
        if self.training:
            sample = sample + self.noise * torch.randn_like(sample)
        features = self.trunk(sample)
        code, mean, log_variance = self.recognition(features).split([self.categories, self.styles, self.styles], 1)
        return {"score": self.head(features), "code": code, "mean": mean, "log_variance": log_variance}

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return real and generated images; ``code``: one row per category, and in each column the same z and styles;
        and ``style-1``, ``style-2``, ...: that style from -1 to 1 along each row, the rest unchanged in the row."""
        code, column = preview_grid(self.categories, self.device)
        n = len(fixed["z"])

        def images(index: Tensor, style: Tensor) -> Tensor:
            return self.generate({"z": fixed["z"][index % n], "code": code, "style": style})

        grids = {"code": images(column, fixed["style"][column % n])}
        for number in range(self.styles):
            style = fixed["style"][code % n].clone()
            style[:, number] = column * (2 / (COLUMNS - 1)) - 1
            grids[f"style-{number + 1}"] = images(code, style)
        return {**super().preview(fixed), **grids}
