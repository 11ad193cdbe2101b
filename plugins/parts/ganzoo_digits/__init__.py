"""A bundled classifier of handwritten digits: features without a download, and metrics per class."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "metrics": {"classes": "ganzoo_digits.metric:Classes", "accuracy": "ganzoo_digits.metric:Accuracy"},
        "extractors": {"mnist": "ganzoo_digits.classifier:MnistExtractor"},
    }
