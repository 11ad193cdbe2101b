"""StyleGAN2.

Papers: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, https://arxiv.org/abs/1912.04958
Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
    https://arxiv.org/abs/1812.04948
    w = f(z),  x = g(w, noise): every layer of g is a convolution whose weights are scaled by a style A(w)
    D minimises -[log D(x) + log(1 - D(G(z)))] + gamma / 2 E[|grad C(x)|^2]        (D = sigmoid(C); penalty r1)
    G minimises -log D(G(z)) + weight E[(|J_w' y| - a)^2]                          (penalty path-length)
Departures: small networks, for small images; features are halved by strides (and averaged on the skip path), not by a
    wider filter; the minibatch's deviation is taken over the whole batch; the loss ``non-saturating`` halves D's term,
    so that a gamma counts twice as much as in the paper; no truncation. In eval mode pixels are clamped to [-1, 1].
"""

from collections.abc import Mapping as Map
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ganzoo import Batch, Field, Model, Option
from ganzoo_stylegan2.networks import Discriminator, Mapping, Synthesis, widths_of


class StyleGAN2(Model):
    """A generator steered by styles, and a residual discriminator, for square images of 8, 16, 32, ... pixels a side.

    All noise is in the latent batch: ``z`` (n, latent_dim), ``noise`` (n, all numbers that the layers add), and while
    it trains ``other`` (n, latent_dim) and ``crossover`` (n,): from that layer on the styles come from ``other``.
    """

    players: ClassVar = {"discriminator": ("discriminator",), "generator": ("mapping", "synthesis")}
    averaged = ("mapping", "synthesis")

    def __init__(
        self,
        fields: Map[str, Field],
        *,
        latent_dim: Annotated[int, Option("Numbers in z and in a style w", ge=1, le=65536)] = 64,
        mapping_layers: Annotated[int, Option("Layers from z to w", ge=1)] = 8,
        width: Annotated[int, Option("Channels at the image's size; twice as many at half of it", ge=1)] = 16,
        widest: Annotated[int, Option("Channels that no size has more of", ge=1)] = 64,
        mixing: Annotated[float, Option("Share of the fakes in training made from two styles", ge=0, le=1)] = 0.9,
    ) -> None:
        super().__init__(fields)
        shape = fields[self.target].shape
        widths = widths_of(shape, width, widest)
        self.latent_dim, self.mixing = latent_dim, mixing
        self.mapping = Mapping(latent_dim, mapping_layers)
        self.synthesis = Synthesis(shape, widths, latent_dim)
        self.discriminator = Discriminator(shape, widths)

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        normal = {"z": self.latent_dim, "noise": sum(self.synthesis.noises)}
        if self.training:
            normal["other"] = self.latent_dim
        latent = {name: torch.randn(n, d, generator=rng, device=rng.device) for name, d in normal.items()}
        if self.training:
            chance, place = torch.rand(2, n, generator=rng, device=rng.device)
            layers = self.synthesis.styles
            crossover = 1 + (place * (layers - 1)).long()  # 1 to layers - 1
            latent["crossover"] = torch.where(chance < self.mixing, crossover, layers)
        return latent

    def styles(self, latent: Batch) -> Tensor:
        """Return a style for every layer, (n, layers, latent_dim), mixed where the latents say so (2019, section
        3.1)."""
        layers = self.synthesis.styles
        w = self.mapping(latent["z"])[:, None].expand(-1, layers, -1)
        if "crossover" not in latent:
            return w
        other = self.mapping(latent["other"])[:, None]  # (n, 1, latent_dim)
        layer = torch.arange(layers, device=w.device)
        return torch.where((layer < latent["crossover"][:, None])[:, :, None], w, other)

    def synthesise(self, styles: Tensor, latent: Batch) -> Tensor:
        """Return images (n, C, H, W) of styles (n, layers, latent_dim) and the latents' noise."""
        return self.synthesis(styles, latent["noise"])

    def generate(self, latent: Batch) -> Tensor:
        image = self.synthesise(self.styles(latent), latent)
        return image if self.training else image.clamp(-1, 1)

    def judge(self, sample: Tensor, given: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, C, H, W) -> (n, 1)
