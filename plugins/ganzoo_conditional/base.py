"""What the class-conditional models share: a generator that is told a class, and previews with a row for each.

Paper: Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014, https://arxiv.org/abs/1411.1784
    G(z, y): the class enters beside the noise
"""

from collections.abc import Mapping

import torch
from ganzoo_dcgan.networks import Generator
from torch import Tensor, nn

from ganzoo import Batch, Field, Model

COLUMNS = 8  # of the grid that a preview becomes
ROWS = 16  # at most


class ClassGenerator(nn.Module):
    """z (n, latent_dim) and labels (n,) -> images (n, *shape) in [-1, 1]: a learned vector for each class, of
    ``label_dim`` numbers, is put beside z; then DCGAN's generator. The vectors start small, as N(0, 0.1), so that at
    first images differ by z more than by class."""

    def __init__(self, latent_dim: int, label_dim: int, classes: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, label_dim)
        nn.init.normal_(self.embedding.weight, 0.0, 0.1)
        self.image = Generator(latent_dim + label_dim, shape, width)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        return self.image(torch.cat([z, self.embedding(label)], 1))


class Conditional(Model):
    """A model whose samples are of the class that their ``label`` says. A subclass builds ``generator``, a
    ``ClassGenerator``, and its discriminator.

    Attributes:
        classes: how many there are.

    Raises:
        ValueError: the data's ``label`` is not a class.
    """

    needs = ("label",)

    def __init__(self, fields: Mapping[str, Field], latent_dim: int) -> None:
        super().__init__(fields)
        label = fields["label"]
        if not label.classes or label.shape:
            raise ValueError(f"data whose label is one of a known number of classes only; this one is {label}")
        self.classes, self.latent_dim = label.classes, latent_dim

    def latent(self, n: int, rng: torch.Generator) -> Batch:
        return {
            "z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device),
            "label": torch.randint(self.classes, (n,), generator=rng, device=rng.device),
        }

    def generate(self, latent: Batch) -> Tensor:
        return self.generator(latent["z"], latent["label"])  # (n, latent_dim), (n,) -> (n, C, H, W)

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return real images and fakes; and ``class``: a class for each row (the first 16), a z for each column."""
        label = torch.arange(min(self.classes, ROWS), device=fixed["z"].device)
        column = torch.arange(COLUMNS, device=label.device) % len(fixed["z"])
        latent = {"z": fixed["z"][column].repeat(len(label), 1), "label": label.repeat_interleave(COLUMNS)}
        return {"real": fixed[self.target], "fake": self.generate(fixed), "class": self.generate(latent)}
