from pathlib import Path

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts():
    return {
        "models": {"autoencoding": "my_ebgan.model:Autoencoding"},
        "losses": {"energy": "my_ebgan.loss:Energy"},
        "penalties": {"pull-away": "my_ebgan.loss:PullAway"},
    }


@hookimpl
def ganzoo_registry():
    return Path(__file__).with_name("registry.toml")
