"""Augmentations: what keeps a discriminator from memorizing a small training set."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "augmentations": {
            "ada": "ganzoo_augment.ada:ADA",
            "apa": "ganzoo_augment.adaptive:APA",
            "diffaugment": "ganzoo_augment.diffaugment:DiffAugment",
            "instance-noise": "ganzoo_augment.noise:InstanceNoise",
        }
    }
