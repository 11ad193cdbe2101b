"""What class-conditional models share: a generator that is told a class, and previews with one row per class.

Paper: Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014, https://arxiv.org/abs/1411.1784
    G(z, y): the class enters together with the noise
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganzoo import Batch, Field, Model
from ganzoo_networks.conv import Generator

COLUMNS = 8  # of the grid that a preview becomes
MAX_ROWS = 16


def preview_grid(classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the class and the column of each image in a grid with one row per class (the first 16): (n,) each."""
    label = torch.arange(min(classes, MAX_ROWS), device=device).repeat_interleave(COLUMNS)
    return label, torch.arange(COLUMNS, device=device).repeat(len(label) // COLUMNS)


class ClassConditionalGenerator(nn.Module):
    """Features (n, in_features) and labels (n,) -> images (n, *shape) in [-1, 1]: DCGAN's generator, whose input is the
    features and a learned vector for the class.

    Args:
        in_features: number of features, such as the dimension of z.
        classes: number of classes.
        label_dim: dimension of the class embedding.
        shape, width: as for ``Generator``.
        scale: initial standard deviation of the embeddings. Small: at first, images differ by z more than by class.
    """

    def __init__(
        self, in_features: int, classes: int, label_dim: int, shape: tuple[int, ...], width: int, scale: float = 0.1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, label_dim)
        nn.init.normal_(self.embedding.weight, 0.0, scale)
        self.generator = Generator(in_features + label_dim, shape, width)

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        image: Tensor = self.generator(torch.cat([features, self.embedding(label)], 1))
        return image


class ClassConditionalModel(Model):
    """A model whose samples have the class that their ``label`` says. A subclass builds ``generator`` and its
    discriminator.

    Attributes:
        classes: number of classes.

    Raises:
        ValueError: the ``label`` of the dataset is not a class.
    """

    required_fields = ("label",)
    generator: ClassConditionalGenerator

    def __init__(self, fields: Mapping[str, Field], latent_dim: int) -> None:
        super().__init__(fields)
        label = fields["label"]
        if not label.classes or label.shape:
            raise ValueError(f"it needs a label that is one of a known number of classes, not {label}")
        self.classes, self.latent_dim = label.classes, latent_dim

    def sample_latent(self, n: int, rng: torch.Generator) -> Batch:
        return {
            "z": torch.randn(n, self.latent_dim, generator=rng, device=rng.device),
            "label": torch.randint(self.classes, (n,), generator=rng, device=rng.device),
        }

    def generate(self, latent: Batch) -> Tensor:
        image: Tensor = self.generator(latent["z"], latent["label"])  # (n, latent_dim), (n,) -> (n, C, H, W)
        return image

    def preview(self, fixed: Batch) -> Mapping[str, Tensor]:
        """Return real and generated images, and ``class``: one row per class, and in each column the same z."""
        label, column = preview_grid(self.classes, self.device)
        by_class = self.generate({"z": fixed["z"][column % len(fixed["z"])], "label": label})
        return {**super().preview(fixed), "class": by_class}
