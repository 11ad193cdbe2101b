"""BiGAN: a GAN whose encoder finds the latents of real images.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"bigan": "ganzoo_bigan.model:BiGAN"}


@hookimpl
def ganzoo_losses():
    """The rules of the game this plugin brings."""
    return {"bigan": "ganzoo_bigan.loss:BiGANLoss"}


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {
        "encoding-accuracy": "ganzoo_bigan.metrics:EncodingAccuracy",
        "reconstruction": "ganzoo_bigan.metrics:Reconstruction",
    }
