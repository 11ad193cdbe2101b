"""The reference plugin: MNIST, the fully connected GAN and the non-saturating loss. The one to copy.

This module is what the entry point names; it imports nothing heavy, so that listing the zoo stays instant.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_data():
    """The data sets this plugin brings."""
    return {"mnist": "ganzoo_fc_mnist.data:MNIST"}


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"fc": "ganzoo_fc_mnist.model:FullyConnected"}


@hookimpl
def ganzoo_losses():
    """The rules of the game this plugin brings."""
    return {"non-saturating": "ganzoo_fc_mnist.loss:NonSaturating"}
