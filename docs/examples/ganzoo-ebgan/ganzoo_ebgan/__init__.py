from pathlib import Path

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts():
    return {
        "models": {"autoencoding": "ganzoo_ebgan.model:Autoencoding"},
        "losses": {"energy": "ganzoo_ebgan.loss:Energy"},
        "penalties": {"pull-away": "ganzoo_ebgan.loss:PullAway"},
    }


@hookimpl
def ganzoo_registry():
    return Path(__file__).with_name("registry.toml")
