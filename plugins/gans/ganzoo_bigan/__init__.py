"""BiGAN: a GAN with an encoder that finds the latents of real images."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "models": {"bigan": "ganzoo_bigan.model:BiGAN"},
        "losses": {"bigan": "ganzoo_bigan.loss:BiGANLoss"},
        "metrics": {
            "encoding-accuracy": "ganzoo_bigan.metric:EncodingAccuracy",
            "reconstruction": "ganzoo_bigan.metric:Reconstruction",
        },
    }
