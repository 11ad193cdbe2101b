"""InfoGAN: part of what the generator is given can be read off its images, and so comes to mean something.

Paper: Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
    Nets", 2016, https://arxiv.org/abs/1606.03657, sections 4 to 6 and appendix C.1
    G(z, c): noise z, and codes c = (a category, uniform in [-1, 1] each)
    D(x), and Q(c | x): two heads on one body; Q gives the category's probabilities, each style's mean and variance
Departures: the networks are DCGAN's, and follow the size of the data; the category enters as a learned vector, not
    one-hot; z is normal, not uniform; while it trains D and Q see every image with some noise on it (Sonderby et al.,
    "Amortised MAP Inference for Image Super-resolution", 2017, https://arxiv.org/abs/1610.04490, have it for
    D), so that G cannot write the codes in specks too small to matter to D for Q to read.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from ganzoo_dcgan.networks import Body, Generator, Norm, initialise
from torch import Tensor, nn

from ganzoo import Batch, Field, Model, Option

COLUMNS = 8  # of the grid that a preview becomes
ROWS = 16  # at most


class CodeGenerator(nn.Module):
    """z (n, latent_dim), categories (n,) and styles (n, styles) -> images (n, *shape) in [-1, 1]. A category is a
    vector of ``code_dim`` numbers, which start as N(0, code_scale)."""

    def __init__(
        self, inputs: int, code_dim: int, code_scale: float, categories: int, shape: tuple[int, ...], width: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(categories, code_dim)
        nn.init.normal_(self.embedding.weight, 0.0, code_scale)
        self.image = Generator(inputs + code_dim, shape, width)

    def forward(self, z: Tensor, code: Tensor, style: Tensor) -> Tensor:
        return self.image(torch.cat([z, style, self.embedding(code)], 1))


class InfoGAN(Model):
    """DCGAN's networks with a second head, the recognition network, that both players move."""

    players: ClassVar = {
        "discriminator": ("body", "verdict", "recognition"),
        "generator": ("generator", "recognition"),
    }
    metrics = ("purity",)

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in the noise z", ge=1, le=65536)] = 62,
        categories: Annotated[int, Option("Values of the category, the code of which each image has one", ge=2)] = 10,
        code_dim: Annotated[int, Option("Numbers in the vector that stands for a category", ge=1, le=65536)] = 10,
        code_scale: Annotated[
            float, Option("The vectors' deviation at first; large: categories differ much, images of one little", gt=0)
        ] = 1.0,
        styles: Annotated[int, Option("Continuous codes, each from -1 to 1", ge=1, le=1024)] = 2,
        generator_width: Annotated[int, Option("The generator's channels next to the image; up to 8 times", ge=1)] = 32,
        discriminator_width: Annotated[int, Option("The discriminator's channels, likewise", ge=1)] = 32,
        hidden: Annotated[int, Option("Units in the recognition network's hidden layer", ge=1)] = 128,
        norm: Annotated[Norm, Option("What the discriminator normalises over")] = "batch",
        noise: Annotated[
            float, Option("Deviation of the noise on every image, real or fake, that the discriminator sees", ge=0)
        ] = 0.3,
    ) -> None:
        super().__init__(fields)
        self.latent_dim, self.categories, self.styles = latent_dim, categories, styles
        self.across, self.noise = norm == "batch", noise
        shape = fields[self.target].shape
        self.generator = CodeGenerator(latent_dim + styles, code_dim, code_scale, categories, shape, generator_width)
        self.body = Body(shape, discriminator_width, norm)
        self.verdict = nn.Linear(self.body.features, 1)
        self.recognition = nn.Sequential(
            nn.Linear(self.body.features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, categories + 2 * styles)
        )
        initialise(self.verdict)
        initialise(self.recognition)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        """Draw ``z`` (n, latent_dim), ``code`` (n,) from 0 to categories - 1, and ``style`` (n, styles) in [-1, 1]."""
        return {
            "z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device),
            "code": torch.randint(self.categories, (n,), generator=rng, device=rng.device),
            "style": torch.rand(n, self.styles, generator=rng, device=rng.device) * 2 - 1,
        }

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"], latent["code"], latent["style"])  # (n, C, H, W)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        """Return ``score`` (n, 1); and what is recognised: ``code`` (n, categories), logits, and of the styles
        ``mean`` and ``log_variance``, (n, styles) each."""
        if self.training:
            sample = sample + self.noise * torch.randn_like(sample)
        features = self.body(sample)
        seen = self.recognition(features).split([self.categories, self.styles, self.styles], 1)
        return {
            "score": self.verdict(features),
            **dict(zip(("code", "mean", "log_variance"), seen, strict=True)),
        }

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return real images and fakes; ``code``: a category for each row, all else for each column; and ``style-1``,
        ``style-2``, ...: that code from -1 to 1 along each row of one category and one z."""
        rows = torch.arange(min(self.categories, ROWS), device=fixed["code"].device).repeat_interleave(COLUMNS)
        columns = torch.arange(COLUMNS, device=rows.device).repeat(len(rows) // COLUMNS)
        n = len(fixed["z"])

        def drawn(index: Tensor, style: Tensor) -> Tensor:
            return self.generate({"z": fixed["z"][index % n], "code": rows, "style": style})

        pictures = {"code": drawn(columns, fixed["style"][columns % n])}
        for number in range(self.styles):
            style = fixed["style"][rows % n].clone()
            style[:, number] = columns * (2 / (COLUMNS - 1)) - 1
            pictures[f"style-{number + 1}"] = drawn(rows, style)
        return {"real": fixed[self.target], "fake": self.generate(fixed), **pictures}
