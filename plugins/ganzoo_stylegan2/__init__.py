"""StyleGAN2: a generator steered by styles, and the penalty that keeps its steps even.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    """The networks this plugin brings."""
    return {"stylegan2": "ganzoo_stylegan2.model:StyleGAN2"}


@hookimpl
def ganzoo_penalties():
    """The penalties this plugin brings."""
    return {"path-length": "ganzoo_stylegan2.penalty:PathLength"}
