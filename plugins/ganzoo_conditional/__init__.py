"""Class-conditional GANs on DCGAN's networks: ACGAN, and the projection discriminator.

It builds on the plugin dcgan. This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {
        "acgan": "ganzoo_conditional.acgan:ACGAN",
        "projection": "ganzoo_conditional.projection:Projection",
    }


@hookimpl
def ganzoo_losses():
    """The rules of the game this plugin brings."""
    return {"acgan": "ganzoo_conditional.acgan:AuxiliaryClassifier"}
