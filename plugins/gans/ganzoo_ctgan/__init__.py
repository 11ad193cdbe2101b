"""CTGAN: a conditional GAN for tables of numbers and categories."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"ctgan": "ganzoo_ctgan.model:CTGAN"},
        "penalties": {"condition": "ganzoo_ctgan.penalty:Condition"},
    }
