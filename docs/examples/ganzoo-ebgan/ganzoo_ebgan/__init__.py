from pathlib import Path

from ganzoo import hookimpl


@hookimpl
def ganzoo_models():
    return {"autoencoding": "ganzoo_ebgan.model:Autoencoding"}


@hookimpl
def ganzoo_losses():
    return {"energy": "ganzoo_ebgan.loss:Energy"}


@hookimpl
def ganzoo_penalties():
    return {"pull-away": "ganzoo_ebgan.loss:PullAway"}


@hookimpl
def ganzoo_registry():
    return Path(__file__).with_name("registry.toml")
