"""Multilayer perceptrons, for points in the plane."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {"models": {"mlp": "ganzoo_mlp.model:MLP"}}
