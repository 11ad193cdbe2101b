"""InfoGAN: interpretable codes, learned without labels; and a metric that tells whether its categories are digits."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"infogan": "ganzoo_infogan.model:InfoGAN"},
        "losses": {"infogan": "ganzoo_infogan.loss:MutualInformation"},
        "metrics": {"purity": "ganzoo_infogan.metric:Purity"},
    }
