"""EBGAN: the discriminator is an autoencoder, and its reconstruction error is an energy."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"ebgan": "ganzoo_ebgan.model:EBGAN"},
        "losses": {"ebgan": "ganzoo_ebgan.loss:EnergyMargin"},
        "penalties": {"pulling-away": "ganzoo_ebgan.penalty:PullingAway"},
    }
