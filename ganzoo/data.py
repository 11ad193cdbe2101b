"""The data interface: what one example looks like, how many there are, and how to get them.

The engine deals batches from a data set; the data set itself knows nothing of batches, devices or seeds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

Batch = Mapping[str, Tensor]
"""What a step plays with: name -> tensor whose first dimension is the example, on the training device."""


@dataclass(frozen=True)
class Field:
    """What one entry of a batch looks like, without the batch dimension.

    Attributes:
        shape: (C, H, W) for an image, () for a label, (2,) for a point in the plane.
        dtype: float32 for what a network takes in (images are in [-1, 1]), int64 for a label.
        classes: for a label, how many values it takes (0 to classes - 1).
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    classes: int | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it; ``Field.of`` turns it back."""
        return {"shape": list(self.shape), "dtype": str(self.dtype).removeprefix("torch."), "classes": self.classes}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Field":
        """Return the field that ``plain`` described."""
        return cls(tuple(plain["shape"]), getattr(torch, plain["dtype"]), plain["classes"])

    def __str__(self) -> str:
        classes = f" of {self.classes} classes" if self.classes else ""
        return f"{str(self.dtype).removeprefix('torch.')} {self.shape}{classes}"


class Data(ABC):
    """A data set. A subclass sets ``fields`` and gives ``__len__`` and ``__getitem__``; its constructor's keyword-only
    arguments are its options (``ganzoo.Option``).

    ``fields`` describes a *prepared* batch, and its **first entry is what models learn to imitate**; the others (a
    label, an edge map) are what they may be told.

    Attributes:
        metrics: what ``ganzoo evaluate`` measures unless told otherwise; the first is the headline, which decides what
            the best checkpoint is.
        extractor: whose features they are measured in; ``raw`` compares the samples as they are.
        held_out: the options with which ``ganzoo evaluate`` builds it, unless told otherwise: those of the test images
            where a model is given what it could have learnt by heart, such as the other half of a pair.
        validation: what is different for the evaluations while it trains: those choose the best checkpoint, which the
            images that are held out are then to judge.
    """

    fields: Mapping[str, Field]
    metrics: ClassVar[tuple[str, ...]] = ("fd", "prdc")
    extractor: ClassVar[str] = "raw"
    held_out: ClassVar[Mapping[str, Any]] = {}
    validation: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def __getitem__(self, index: int) -> Batch:
        """Return one example as it is stored, without the batch dimension: pixels stay uint8. It is called in worker
        processes when ``train.workers`` is above 0, so the data set must pickle."""

    def tensors(self) -> Batch | None:
        """Return the whole data set as stored, (len, ...) each, if it is in memory anyway; the engine then keeps it on
        the training device where it fits, which is far faster. None (the default) means: fetch example by example."""
        return None

    def prepare(self, stored: Batch) -> Batch:
        """Turn a stored batch into a training batch, on the training device: by default uint8 that ``fields`` calls
        floating is scaled from 0..255 to [-1, 1], and everything else passes unchanged."""
        return {name: _to_signed(value, self.fields[name]) for name, value in stored.items()}

    def measured(self, sample: Tensor) -> Tensor:
        """Return samples (n, *shape) as metrics are to look at them: by default as they are. Data that pad or enlarge
        their images undo it here, so that numbers of every size compare."""
        return sample


class TensorData(Data):
    """A data set that fits in memory: give it its tensors and it has all that ``Data`` asks for.

    Args:
        tensors: name -> (n, ...); uint8 images (n, C, H, W), int64 labels (n,), float32 points (n, 2). The first is
            what models imitate.
        classes: label name -> number of classes.

    Raises:
        ValueError: no tensors, or tensors of different lengths.
    """

    def __init__(self, tensors: Mapping[str, Tensor], classes: Mapping[str, int] | None = None) -> None:
        lengths = {name: len(value) for name, value in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"a data set needs tensors of one length, not {lengths}")
        self._tensors = dict(tensors)
        self.fields = {
            name: Field(
                tuple(value.shape[1:]),
                torch.float32 if value.dtype == torch.uint8 else value.dtype,
                (classes or {}).get(name),
            )
            for name, value in tensors.items()
        }

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def __getitem__(self, index: int) -> Batch:
        return {name: value[index] for name, value in self._tensors.items()}

    def tensors(self) -> Batch:
        return self._tensors


def _to_signed(value: Tensor, field: Field) -> Tensor:
    if value.dtype == torch.uint8 and field.dtype.is_floating_point:
        return value.to(field.dtype).div_(127.5).sub_(1.0)
    return value
