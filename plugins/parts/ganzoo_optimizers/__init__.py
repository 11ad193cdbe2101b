"""The optimizers of torch.optim that GANs are trained with."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "optimizers": {
            "adam": "ganzoo_optimizers.classic:Adam",
            "adamw": "ganzoo_optimizers.classic:AdamW",
            "rmsprop": "ganzoo_optimizers.classic:RMSprop",
            "sgd": "ganzoo_optimizers.classic:SGD",
        }
    }
