"""CycleGAN: translation both ways, learned without pairs.

This module is what the entry point names; it imports nothing heavy. The data are those of ganzoo_pix2pix.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"cyclegan": "ganzoo_cyclegan.model:CycleGAN"}


@hookimpl
def ganzoo_losses():
    """The rules of the game this plugin brings."""
    return {"cyclegan": "ganzoo_cyclegan.loss:CycleConsistency"}


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {"l1-back": "ganzoo_cyclegan.metric:L1Back"}
