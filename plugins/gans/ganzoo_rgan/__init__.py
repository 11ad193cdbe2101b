"""The recurrent GAN: series from a recurrent generator, scored step by step by a recurrent discriminator."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"rgan": "ganzoo_rgan.model:RGAN"}}
