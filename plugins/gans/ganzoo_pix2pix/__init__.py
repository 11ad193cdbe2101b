"""pix2pix: images from another picture of the same scene."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"pix2pix": "ganzoo_pix2pix.model:Pix2Pix"}}
