"""Image datasets: any folder of pictures, and torchvision's Fashion-MNIST, CIFAR-10 and CelebA. Also a feature
extractor for images of any size that needs no download."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "datasets": {
            "folder": "ganzoo_images.folder:Folder",
            "pairs": "ganzoo_images.pairs:Pairs",
            "low-resolution": "ganzoo_images.views:LowResolution",
            "masked": "ganzoo_images.views:Masked",
            "fashion-mnist": "ganzoo_images.downloads:FashionMNIST",
            "cifar10": "ganzoo_images.downloads:CIFAR10",
            "celeba": "ganzoo_images.downloads:CelebA",
        },
        "extractors": {"thumbnail": "ganzoo_images.thumbnail:Thumbnail"},
    }
