"""Mixtures of Gaussians in the plane, and the metric that counts their modes: where a collapse is seen in seconds.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_data():
    """The data sets this plugin brings."""
    return {"ring8": "ganzoo_gaussians.data:Ring8", "grid25": "ganzoo_gaussians.data:Grid25"}


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"mlp": "ganzoo_gaussians.model:MLP"}


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {"gaussian": "ganzoo_gaussians.metric:GaussianModes"}
