"""ACGAN: class-conditional images; the discriminator has an auxiliary classifier."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"acgan": "ganzoo_acgan.model:ACGAN"},
        "losses": {"acgan": "ganzoo_acgan.loss:AuxiliaryClassifier"},
    }
