"""MNIST's digits and their outlines: pairs of images for translation, made in a moment, without a download.

The outline is the external morphological gradient of the ink (what lies at 128 or above): its dilation by a cross of
3x3, less itself. It says where the ink ends, but not on which side of a line it is, nor how dark; so whoever makes the
digit from it has to see what is inside, and to invent the grey.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from ganzoo_fc_mnist.data import MNIST
from torch import Tensor
from torch.nn.functional import pad

from ganzoo import Option, TensorData

SEED = 2017
"""Of the unpaired order: a part of what the data set is. The run's seed only shuffles it."""
TRAINING = 55_000  # of MNIST's 60,000 training digits; by the others the best checkpoint is chosen


class MnistEdges(TensorData):
    """Digits ``image`` (1, 28, 28), to be imitated; their outlines ``edges`` (1, 28, 28), lines 1 and the rest -1;
    and the digit's ``label`` 0 to 9."""

    metrics = ("fd", "accuracy")
    extractor = "mnist"
    held_out: ClassVar[Mapping[str, Any]] = {"split": "test", "paired": True}
    validation: ClassVar[Mapping[str, Any]] = {"split": "validation"}

    def __init__(
        self,
        *,
        split: Annotated[
            Literal["train", "validation", "test"],
            Option("Of MNIST's training digits the first 55,000 or the last 5,000; or its 10,000 test digits"),
        ] = "train",
        paired: Annotated[bool, Option("Whether the edges are the digit's own, and not another's")] = True,
    ) -> None:
        part = {"train": slice(TRAINING), "validation": slice(TRAINING, None), "test": slice(None)}[split]
        digits = MNIST(split="test" if split == "test" else "train").tensors()
        image, label = digits["image"][part], digits["label"][part]
        edges = outline(image)
        if not paired:  # along one cycle through all, so that no digit has its own
            order = torch.randperm(len(edges), generator=torch.Generator().manual_seed(SEED))
            edges = torch.empty_like(edges).index_copy_(0, order, edges[order.roll(1)])
        super().__init__({"image": image, "edges": edges, "label": label}, classes={"label": 10})


def outline(image: Tensor) -> Tensor:
    """Return the outlines of uint8 images (n, C, H, W): 255 where a pixel below 128 touches one that is not, by a side;
    0 elsewhere."""
    ink = image >= 128
    wide = pad(ink, (1, 1, 1, 1))
    touched = wide[..., :-2, 1:-1] | wide[..., 2:, 1:-1] | wide[..., 1:-1, :-2] | wide[..., 1:-1, 2:]
    return (touched & ~ink).to(torch.uint8).mul_(255)
