"""DCGAN: two convolutional networks; and, with another norm in the discriminator, what WGAN-GP plays with.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"dcgan": "ganzoo_dcgan.model:DCGAN"}
