"""Image data sets: any folder of pictures, and torchvision's Fashion-MNIST, CIFAR-10 and CelebA; and features of images
of any size that need no download.

This module is what the entry point names; it imports nothing heavy.
"""

from ganzoo import hookimpl


@hookimpl
def ganzoo_data():
    """The data sets this plugin brings."""
    return {
        "folder": "ganzoo_images.folder:Folder",
        "fashion-mnist": "ganzoo_images.downloads:FashionMNIST",
        "cifar10": "ganzoo_images.downloads:CIFAR10",
        "celeba": "ganzoo_images.downloads:CelebA",
    }


@hookimpl
def ganzoo_extractors():
    """The feature extractors this plugin brings."""
    return {"thumbnail": "ganzoo_images.thumbnail:Thumbnail"}
