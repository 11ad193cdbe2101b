"""Metrics of generated samples, most of them computed by torch-fidelity, and torch-fidelity's feature extractors."""

from collections.abc import Mapping

from ganzoo import hookimpl

_HOMES = {
    "inceptionv3:FeatureExtractorInceptionV3": ["inception-v3-compat"],
    "clip:FeatureExtractorCLIP": [
        *("clip-rn50", "clip-rn101", "clip-rn50x4", "clip-rn50x16", "clip-rn50x64"),
        *("clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14", "clip-vit-l-14-336px"),
    ],
    "dinov2:FeatureExtractorDinoV2": ["dinov2-vit-s-14", "dinov2-vit-b-14", "dinov2-vit-l-14", "dinov2-vit-g-14"],
}


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    homes = {name: f"torch_fidelity.feature_extractor_{home}" for home, names in _HOMES.items() for name in names}
    return {
        "metrics": {
            "fd": "ganzoo_fidelity.frechet:FrechetDistance",
            "fid": "ganzoo_fidelity.frechet:FrechetInceptionDistance",
            "kd": "ganzoo_fidelity.kernel:KernelDistance",
            "kid": "ganzoo_fidelity.kernel:KernelInceptionDistance",
            "is": "ganzoo_fidelity.score:ClassifierScore",
            "prdc": "ganzoo_fidelity.prdc:PrecisionRecallDensityCoverage",
            "authenticity": "ganzoo_fidelity.authenticity:Authenticity",
            "ppl": "ganzoo_fidelity.path:PerceptualPathLength",
        },
        "extractors": homes,  # weights are downloaded on first use, or given with --weights
    }
