"""MNIST, bundled: no download."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {"datasets": {"mnist": "ganzoo_mnist.data:MNIST"}}
