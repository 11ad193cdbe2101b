"""pix2pix: an image made from another of the same thing; digits with their outlines; and how far off a translation is.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_data():
    """The data sets this plugin brings."""
    return {"mnist-edges": "ganzoo_pix2pix.data:MnistEdges"}


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"pix2pix": "ganzoo_pix2pix.model:Pix2Pix"}


@hookimpl
def ganzoo_penalties():
    """The penalties this plugin brings."""
    return {"l1": "ganzoo_pix2pix.penalty:L1"}


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {"l1": "ganzoo_pix2pix.metric:L1"}
