"""StyleGAN2.

Papers: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, https://arxiv.org/abs/1912.04958
Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
    https://arxiv.org/abs/1812.04948
    w = f(z),  x = g(w, noise): every layer of g is a convolution whose weights are scaled by a style A(w)
    D minimizes -[log D(x) + log(1 - D(G(z)))] + gamma / 2 E[|grad C(x)|^2]        (D = sigmoid(C); penalty r1)
    G minimizes -log D(G(z)) + weight E[(|J_w' y| - a)^2]                          (penalty path-length)
Departures: small networks, for small images; features are halved by strides (and averaged on the skip path), not by a
    wider filter; the minibatch standard deviation is taken over the entire batch; the recipe halves D's adversarial
    term, so that gamma counts twice as much as in the paper; no truncation. In eval mode pixels are clamped to [-1, 1].
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ganzoo import Batch, Field, LatentDim, Model, Option
from ganzoo_stylegan2.networks import Discriminator, MappingNetwork, SynthesisNetwork, channels_per_resolution


class StyleGAN2(Model):
    """A generator controlled by styles, and a residual discriminator, for square images with sides of 8, 16, 32, ...

    All noise is in the latent batch: ``z`` (n, latent_dim), ``noise`` (n, all numbers that the layers add), and in
    training ``other`` (n, latent_dim) and ``crossover`` (n,): from that layer on, the styles come from ``other``.
    """

    players: ClassVar = {"discriminator": ("discriminator",), "generator": ("mapping", "synthesis")}
    ema_networks = ("mapping", "synthesis")
    latent_distributions: ClassVar = {"z": "normal", "noise": "normal"}

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        latent_dim: LatentDim = 64,
        mapping_layers: Annotated[int, Option("Layers of the mapping network", ge=1)] = 8,
        width: Annotated[int, Option("Channel count at full resolution, doubled per halving", ge=1)] = 16,
        max_channels: Annotated[int, Option("Largest channel count at lower resolutions", ge=1)] = 64,
        mixing: Annotated[float, Option("Probability of style mixing for each training sample", ge=0, le=1)] = 0.9,
    ) -> None:
        super().__init__(fields)
        shape = fields[self.target].shape
        channels = channels_per_resolution(shape, width, max_channels)
        self.latent_dim, self.mixing = latent_dim, mixing
        self.mapping = MappingNetwork(latent_dim, mapping_layers)
        self.synthesis = SynthesisNetwork(shape, channels, latent_dim)
        self.discriminator = Discriminator(shape, channels)

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        dims = {"z": self.latent_dim, "noise": sum(self.synthesis.noise_dims)}
        if self.training:
            dims["other"] = self.latent_dim
        latent = {name: torch.randn(n, dim, generator=rng, device=rng.device) for name, dim in dims.items()}
        if self.training:
            chance, place = torch.rand(2, n, generator=rng, device=rng.device)
            layers = self.synthesis.num_styles
            crossover = 1 + (place * (layers - 1)).long()  # 1 to layers - 1
            latent["crossover"] = torch.where(chance < self.mixing, crossover, layers)
        return latent

    def styles(self, latent: Batch) -> Tensor:
        """Return a style per layer, (n, layers, latent_dim), mixed where the latents say so (2019, section 3.1)."""
        layers = self.synthesis.num_styles
        w: Tensor = self.mapping(latent["z"])[:, None].expand(-1, layers, -1)
        if "crossover" not in latent:
            return w
        other = self.mapping(latent["other"])[:, None]  # (n, 1, latent_dim)
        layer = torch.arange(layers, device=w.device)
        return torch.where((layer < latent["crossover"][:, None])[:, :, None], w, other)

    def synthesize(self, styles: Tensor, latent: Batch) -> Tensor:
        """Return images (n, C, H, W) of styles (n, layers, latent_dim) and the latents' noise."""
        image: Tensor = self.synthesis(styles, latent["noise"])
        return image

    def generate(self, latent: Batch) -> Tensor:
        image = self.synthesize(self.styles(latent), latent)
        return image if self.training else image.clamp(-1, 1)

    def discriminate(self, sample: Tensor, condition: Batch) -> Batch:
        return {"score": self.discriminator(sample)}  # (n, C, H, W) -> (n, 1)
