"""Class-conditional images with a projection discriminator."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"projection": "ganzoo_projection.model:Projection"}}
