"""MNIST digits and their outlines (the field ``source``): pairs of images, computed in a moment, without a download.

The outline is the external morphological gradient of the ink (pixels at 128 or above): its dilation by a cross of 3x3,
minus the ink. It says where the ink ends, but not on which side of a line the ink is, nor how dark. A model that makes
the digit from it must recognize what is inside, and invent the gray levels.
"""

from typing import Annotated, ClassVar, Literal

import torch
from ganzoo_mnist.data import MNIST
from torch import Tensor
from torch.nn.functional import pad

from ganzoo import Option, TensorDataset

SEED = 2017
"""Seed of the unpaired order, which is part of the dataset. The seed of the run only shuffles it."""
TRAINING = 55_000  # of MNIST's 60,000 training digits; the others choose the best checkpoint


class MnistEdges(TensorDataset):
    """Digits ``image`` (1, 28, 28), the target; their outlines ``source`` (1, 28, 28), where lines are 1 and the rest
    is -1; and the digit's ``label`` 0 to 9."""

    metrics = ("fd", "accuracy")
    extractor = "mnist"
    eval_options: ClassVar = {"split": "test", "paired": True}
    validation_options: ClassVar = {"split": "validation"}

    def __init__(
        self,
        *,
        split: Annotated[
            Literal["train", "validation", "test"],
            Option("First 55,000 or last 5,000 training digits of MNIST, or its 10,000 test digits"),
        ] = "train",
        paired: Annotated[bool, Option("Whether each digit comes with its own edges")] = True,
    ) -> None:
        part = {"train": slice(TRAINING), "validation": slice(TRAINING, None), "test": slice(None)}[split]
        digits = MNIST(split="test" if split == "test" else "train").tensors()
        image, label = digits["image"][part], digits["label"][part]
        edges = outline(image)
        if not paired:  # one cycle through all digits, so that none keeps its own edges
            order = torch.randperm(len(edges), generator=torch.Generator().manual_seed(SEED))
            edges = torch.empty_like(edges).index_copy_(0, order, edges[order.roll(1)])
        meta = {} if paired else {"source": {"paired": False}}
        super().__init__({"image": image, "source": edges, "label": label}, classes={"label": 10}, meta=meta)


def outline(image: Tensor) -> Tensor:
    """Return the outlines of uint8 images (n, C, H, W): 255 where a pixel below 128 shares a side with one that is not;
    0 elsewhere."""
    ink = image >= 128
    wide = pad(ink, (1, 1, 1, 1))
    touched = wide[..., :-2, 1:-1] | wide[..., 2:, 1:-1] | wide[..., 1:-1, :-2] | wide[..., 1:-1, 2:]
    return (touched & ~ink).to(torch.uint8).mul_(255)
