"""Path length regularisation: a step of one size in w is to change the image by as much, wherever and whereto it goes.

Paper: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, https://arxiv.org/abs/1912.04958,
    section 3.2, equation 4, and appendix B
    E[(|J_w' y| - a)^2]        J_w' y = gradient of the sum of G(w) y by w;  y normal;  a: running mean of |J_w' y|
The paper's weight is gamma = ln 2 / (r^2 (ln r - ln 2)) for images of side r, and |.| over the styles of all layers.
With y divided by r, and |.|^2 averaged over the 2 log2(r) - 2 layers, that is the weight 2, whatever the size.
Departure: the running mean starts at the first batch's mean. From 0 it would take some 800 steps to get there, and the
    generator, pulled to 0 meanwhile, would learn not to listen to its styles.
"""

import torch
from torch import Tensor

from ganzoo import Batch, Model, Penalty
from ganzoo.loss import Every, Weight


class PathLength(Penalty):
    """The generator's Jacobian by the styles is to have a length that is the same everywhere. It generates anew, from
    half of the latents: the generator has moved since it made the fakes, and the half is enough."""

    player = "generator"
    uses = ("synthesise", "styles")

    def __init__(self, *, weight: Weight = 2.0, every: Every = 8) -> None:
        super().__init__(weight=weight, every=every)
        self.register_buffer("mean", torch.zeros(()))

    def term(self, model: Model, real: Batch, now: Batch) -> Tensor:
        latent = {name: value[: (len(value) + 1) // 2] for name, value in now.items()}
        styles = model.styles(latent)  # (n, layers, d)
        length = lengths(model.synthesise(styles, latent), styles)  # (n,)
        with torch.no_grad():
            mean = length.mean()
            self.mean.copy_(torch.where(self.mean > 0, self.mean.lerp(mean, 0.01), mean))
        return (length - self.mean.clone()).square().mean()


def lengths(image: Tensor, styles: Tensor) -> Tensor:
    """Return |J' y| of each image (n, C, H, W) by its styles (n, layers, d), with y drawn anew: (n,), with a graph."""
    height, width = image.shape[2:]
    y = torch.randn_like(image) / (height * width) ** 0.5
    (gradient,) = torch.autograd.grad((image * y).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).add(1e-12).sqrt()
