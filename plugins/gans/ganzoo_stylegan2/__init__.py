"""StyleGAN2: a generator controlled by styles, and its path length penalty."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"stylegan2": "ganzoo_stylegan2.model:StyleGAN2"},
        "penalties": {"path-length": "ganzoo_stylegan2.penalty:PathLength"},
    }
