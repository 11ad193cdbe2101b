"""The classic losses and penalties."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "losses": {
            "non-saturating": "ganzoo_losses.classic:NonSaturating",
            "minimax": "ganzoo_losses.classic:Minimax",
            "least-squares": "ganzoo_losses.classic:LeastSquares",
            "wasserstein": "ganzoo_losses.classic:Wasserstein",
            "hinge": "ganzoo_losses.classic:Hinge",
            "relativistic": "ganzoo_losses.relativistic:Relativistic",
            "relativistic-average": "ganzoo_losses.relativistic:RelativisticAverage",
            "relativistic-paired": "ganzoo_losses.relativistic:RelativisticPaired",
        },
        "penalties": {
            "gradient-penalty": "ganzoo_losses.penalties:GradientPenalty",
            "one-sided": "ganzoo_losses.penalties:OneSided",
            "dragan": "ganzoo_losses.penalties:DRAGAN",
            "r1": "ganzoo_losses.penalties:R1",
            "r2": "ganzoo_losses.penalties:R2",
            "clip": "ganzoo_losses.penalties:Clip",
            "l1": "ganzoo_losses.penalties:L1",
        },
    }
