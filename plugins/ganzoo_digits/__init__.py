"""A classifier of handwritten digits, shipped: features that need no download, and metrics by class."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_metrics():
    """The metrics this plugin brings."""
    return {"classes": "ganzoo_digits.metrics:Classes", "accuracy": "ganzoo_digits.metrics:Accuracy"}


@hookimpl
def ganzoo_extractors():
    """The feature extractors this plugin brings."""
    return {"mnist": "ganzoo_digits.classifier:MnistExtractor"}
