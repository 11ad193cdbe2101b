"""SNGAN: residual networks, and a discriminator whose layers are kept from stretching by spectral normalisation.

It builds on the plugin dcgan. This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"sngan": "ganzoo_sngan.model:SNGAN"}
