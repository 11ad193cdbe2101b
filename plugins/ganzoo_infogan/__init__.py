"""InfoGAN: codes that mean something, found without labels; and the metric that asks whether a category is a digit.

It builds on the plugin dcgan. This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"infogan": "ganzoo_infogan.model:InfoGAN"}


@hookimpl
def ganzoo_losses():
    """The rules of the game this plugin brings."""
    return {"infogan": "ganzoo_infogan.loss:MutualInformation"}


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {"purity": "ganzoo_infogan.metric:Purity"}
