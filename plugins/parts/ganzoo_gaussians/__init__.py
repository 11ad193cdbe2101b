"""Mixtures of Gaussians in the plane, which show mode collapse in seconds, and the metric that counts their modes."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "datasets": {"ring8": "ganzoo_gaussians.data:Ring8", "grid25": "ganzoo_gaussians.data:Grid25"},
        "metrics": {"gaussian": "ganzoo_gaussians.metric:GaussianModes"},
    }
