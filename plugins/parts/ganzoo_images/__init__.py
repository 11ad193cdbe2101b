"""Image datasets: any folder of pictures, and torchvision's Fashion-MNIST, CIFAR-10 and CelebA. Also two feature
extractors for images of any size that need no download."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "datasets": {
            "folder": "ganzoo_images.folder:Folder",
            "arrays": "ganzoo_images.arrays:Arrays",
            "pairs": "ganzoo_images.pairs:Pairs",
            "low-resolution": "ganzoo_images.views:LowResolution",
            "masked": "ganzoo_images.views:Masked",
            "fashion-mnist": "ganzoo_images.downloads:FashionMNIST",
            "cifar10": "ganzoo_images.downloads:CIFAR10",
            "celeba": "ganzoo_images.downloads:CelebA",
        },
        "extractors": {"pyramid": "ganzoo_images.pyramid:Pyramid", "lite0": "ganzoo_images.lite0:Lite0"},
    }
