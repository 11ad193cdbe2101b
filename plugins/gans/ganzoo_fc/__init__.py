"""The simple fully connected GAN: the plugin to read first and to copy."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"fc": "ganzoo_fc.model:FullyConnected"}}
