"""SNGAN: residual networks and a discriminator with spectral normalization."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"sngan": "ganzoo_sngan.model:SNGAN"}}
