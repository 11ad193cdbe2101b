"""DCGAN: two convolutional networks. With another norm in the discriminator, also the networks of WGAN-GP."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"dcgan": "ganzoo_dcgan.model:DCGAN"}}
