"""Digits with their outlines, for image-to-image models; and how far a translation is from the truth."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "datasets": {"mnist-edges": "ganzoo_edges.data:MnistEdges"},
        "metrics": {"l1": "ganzoo_edges.metric:L1"},
    }
