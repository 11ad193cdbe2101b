"""CycleGAN: translation in both directions, learned without pairs."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"cyclegan": "ganzoo_cyclegan.model:CycleGAN"},
        "losses": {"cyclegan": "ganzoo_cyclegan.loss:CycleConsistency"},
        "metrics": {"l1-back": "ganzoo_cyclegan.metric:L1Back"},
    }
