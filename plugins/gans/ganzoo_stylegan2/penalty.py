"""Path length regularization: a step of a given size in w should change the image by the same amount, regardless of
where it starts and in which direction it goes.

Paper: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, https://arxiv.org/abs/1912.04958,
    section 3.2, equation 4, and appendix B
    E[(|J_w' y| - a)^2]     J_w' y: gradient of sum(G(w) * y) with respect to w; y: normal; a: running mean of |J_w' y|
The paper's weight is gamma = ln 2 / (r^2 (ln r - ln 2)) for images of side r, with |.| over the styles of all layers.
With y divided by r, and |.|^2 averaged over the 2 log2(r) - 2 layers, this is the weight 2 for any size.
Departure: the running mean starts at the mean of the first batch. From 0 it would need some 800 steps, and the
    generator, pulled to 0 meanwhile, would learn to ignore its styles.
"""

from typing import Any

import torch
from torch import Tensor

from ganzoo import Batch, Every, Penalty, Weight, distributed


class PathLength(Penalty):
    """The generator's Jacobian with respect to the styles should have the same length everywhere. The images are new
    ones, from half of the latents: the generator has moved since it made the shared ones, and half is enough."""

    player = "generator"
    required_methods = ("synthesize", "styles")
    mean: Tensor

    def __init__(self, *, weight: Weight = 2.0, every: Every = 8) -> None:
        super().__init__(weight=weight, every=every)
        self.register_buffer("mean", torch.zeros(()))

    def term(self, model: Any, real: Batch, shared: Batch) -> Tensor:
        latent = {name: value[: (len(value) + 1) // 2] for name, value in shared.items()}
        styles = model.styles(latent)  # (n, layers, d)
        lengths = path_lengths(model.synthesize(styles, latent), styles)  # (n,)
        with torch.no_grad():
            mean = distributed.average(lengths.mean())
            self.mean.copy_(torch.where(self.mean > 0, self.mean.lerp(mean, 0.01), mean))
        return (lengths - self.mean.clone()).square().mean()


def path_lengths(image: Tensor, styles: Tensor) -> Tensor:
    """Return |J' y| (n,) of images (n, C, H, W) with respect to their styles (n, layers, d), with a graph; y is new
    noise."""
    height, width = image.shape[2:]
    y = torch.randn_like(image) / (height * width) ** 0.5
    (gradient,) = torch.autograd.grad((image * y).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).add(1e-12).sqrt()
