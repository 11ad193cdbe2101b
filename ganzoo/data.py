"""The dataset interface: what one example looks like, how many there are, and how to get them.

A dataset knows nothing about batches, devices or seeds; the engine draws batches from it.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganzoo import images

Batch = Mapping[str, Tensor]
"""A batch: name -> tensor whose first dimension is the batch."""


@dataclass(frozen=True)
class Field:
    """One field of a batch, without the batch dimension.

    Attributes:
        shape: (C, H, W) for an image, () for a label, (2,) for a point in the plane.
        dtype: float32 for network inputs (images are in [-1, 1]), int64 for a label.
        classes: number of classes of a label (its values are 0 to classes - 1), or None.
        class_names: names of the classes 0, 1, ..., if they have any.
        meta: other JSON values that are saved with the weights, such as the columns of a table. ``{"paired": False}``
            says that a condition does not belong to the target of its example.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        try:
            plain = json.loads(json.dumps(dict(self.meta), allow_nan=False))  # as a checkpoint returns it
        except (TypeError, ValueError) as error:
            raise ValueError(f"the meta of a field must be JSON values: {error}") from error
        object.__setattr__(self, "meta", plain)

    @property
    def paired(self) -> bool:
        """Whether the values of this field belong to the target of the same example. The conditions of a dataset for
        models that learn without pairs do not."""
        return self.meta.get("paired") is not False

    def plain(self) -> dict[str, Any]:
        """Return the field as JSON values; ``Field.of`` is the inverse."""
        plain = {"shape": list(self.shape), "dtype": str(self.dtype).removeprefix("torch."), "classes": self.classes}
        more = {"class_names": list(self.class_names), "meta": dict(self.meta)}
        return {**plain, **{key: value for key, value in more.items() if value}}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Field":
        """Return the field that ``plain`` describes."""
        names = tuple(plain.get("class_names", ()))
        return cls(
            tuple(plain["shape"]), getattr(torch, plain["dtype"]), plain["classes"], names, plain.get("meta", {})
        )

    def __str__(self) -> str:
        classes = f" of {self.classes} classes" if self.classes else ""
        return f"{str(self.dtype).removeprefix('torch.')} {self.shape}{classes}"


class Dataset(ABC):
    """A dataset. A subclass sets ``fields`` and implements ``__len__`` and ``__getitem__``. The keyword-only arguments
    of its constructor are its options (see ``ganzoo.Option``).

    ``fields`` describes a *prepared* batch. Its **first field is the target**: what models learn to imitate. The others
    (a label, an edge map) are conditions.

    Attributes:
        metrics: what ``ganzoo evaluate`` measures by default. The first metric decides which checkpoint is best.
        extractor: the default feature extractor; ``raw`` compares the samples themselves.
        eval_options: options that ``ganzoo evaluate`` overrides, such as ``{"split": "test"}``: an image-to-image model
            may have memorized its training images.
        validation_options: additional options that evaluations during training override. These evaluations choose the
            best checkpoint, so they should not use the data that ``eval_options`` select.
        location_options: options that only say where the data are. A run may be resumed with others.
        opens: what ``--data PATH`` gives to this dataset, as its option ``path``: suffixes such as ``".csv"``, ``"/"``
            for folders, and ``"/.tar"`` for folders that hold such files and no other folders. Of ``--data
            PREFIX:TEXT``, a dataset that opens ``"prefix:"`` gets the text. It is made an absolute path if it begins
            as a path does, with ``.``, ``~`` or ``/``.
        opens_for: fields, such as ``("source",)``. ``--data PATH`` gives a path to this dataset only if the model, the
            loss or a penalty needs all of these. If several datasets open it, the one with the most of them gets it.
        formats: suffixes of the files that ``encode`` makes, such as ``(".csv",)``.
    """

    fields: Mapping[str, Field]
    metrics: tuple[str, ...] = ("fd", "prdc")
    extractor: str = "raw"
    eval_options: ClassVar[Mapping[str, Any]] = {}
    validation_options: ClassVar[Mapping[str, Any]] = {}
    location_options: ClassVar[tuple[str, ...]] = ()
    opens: ClassVar[tuple[str, ...]] = ()
    opens_for: ClassVar[tuple[str, ...]] = ()
    formats: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Return whether this dataset opens a file or a folder of a kind that ``opens`` names; by default, any. Several
        datasets may open files of one suffix if their content says whose they are. It must be fast."""
        return True

    @property
    def target(self) -> str:
        """The field that models imitate: the first."""
        return next(iter(self.fields))

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def __getitem__(self, index: int) -> Batch:
        """Return one example as stored, without the batch dimension; pixels stay uint8. Called in worker processes if
        ``train.num_workers`` is above 0, so the dataset must be picklable."""

    def tensors(self) -> Batch | None:
        """Return the whole dataset as stored, (len, ...) each, if it is in memory anyway. The engine then keeps it on
        the training device where it fits, which is much faster. Return None (the default) to have examples fetched
        one at a time."""
        return None

    def order(self, epoch: int, rng: torch.Generator, fields: Collection[str]) -> Tensor:
        """Return the order of the examples in an epoch: int64 (len,), shuffled by default. An index may appear several
        times, or not at all, for example to draw small classes more often.

        Args:
            epoch: counted from 0.
            rng: the source of randomness; on the CPU, and seeded anew for each epoch.
            fields: the fields that the model and the other parts read. Without ``label`` among them, a model learns the
                frequencies of the examples as they are drawn.
        """
        return torch.randperm(len(self), generator=rng)

    def fingerprint(self) -> str:
        """Return a hash of what the dataset is, wherever it lies. A resume compares it, and refuses another dataset.

        By default it covers the fields, the length, and all bytes of ``tensors()``.
        A dataset that is not in memory should add a hash of its content, such as the names and sizes of
        its files. It must be the same in every process.
        """
        fields = {name: field.plain() for name, field in self.fields.items()}
        digest = hashlib.sha256(json.dumps([fields, len(self)]).encode())
        for name, value in (self.tensors() or {}).items():
            digest.update(f"\0{name} {value.dtype} {tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def prepare(self, stored: Batch) -> Batch:
        """Turn a stored batch into a training batch, on the training device. By default uint8 values of a floating
        field are scaled from 0..255 to [-1, 1], and everything else is unchanged. It may be random, for example mirror
        half of the images, with torch's global generator."""
        return {name: _prepared(value, self.fields[name]) for name, value in stored.items()}

    @classmethod
    def pictures(cls, sample: Tensor, field: Field) -> Tensor | None:
        """Return pictures of samples (n, *shape), float32 (m, C, H, W) in [-1, 1], or None if they cannot be drawn. By
        default, images are pictures of themselves, and points in the plane become one scatter plot.

        A method of the class, because a trained run is sampled without its data. ``field`` is the target's.
        """
        return images.pictures(sample)

    @classmethod
    def encode(cls, sample: Tensor, field: Field, format: str) -> bytes:  # noqa: A002
        """Return the content of a file of samples (n, *shape), for ``ganzoo sample -o``. ``format`` is its suffix, one
        of ``formats``; ``field`` is the target's."""
        raise NotImplementedError(f"{cls.__name__} names formats but has no encode()")

    @classmethod
    def decode_input(cls, content: bytes, field: Field, options: Mapping[str, Any]) -> Tensor:
        """Return what a file holds that a user brings for a condition field, for ``ganzoo sample --input``: float32
        (C, H, W) in [-1, 1] for a picture. By default, Pillow reads it, and its center is resized to the field's
        height and width. A method of the class, because the data may be gone. What the user should know about a file is
        a Python warning (``warnings.warn``), which is shown with the name of the file.

        Args:
            content: the bytes of the file.
            field: what the result must be. Sides of -1 stay as they are in the file.
            options: those of the dataset that the run was trained on.

        Raises:
            ValueError: it cannot be read; the message says why.
        """
        return images.decode(content, field.shape)

    def postprocess(self, sample: Tensor) -> Tensor:
        """Return samples (n, *shape) as metrics see them: by default unchanged. A dataset that pads or enlarges its
        images undoes that here, so that results are comparable across sizes."""
        return sample


class TensorDataset(Dataset):
    """A dataset in memory, made from its tensors.

    Args:
        tensors: name -> (n, ...): uint8 images (n, C, H, W), int64 labels (n,), float32 points (n, 2). The first is the
            target.
        classes: label name -> number of classes, or their names.
        meta: field name -> its ``Field.meta``.

    Raises:
        ValueError: no tensors, or tensors of different lengths.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        classes: Mapping[str, int | Sequence[str]] | None = None,
        meta: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        lengths = {name: len(value) for name, value in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"a dataset needs at least one tensor, all of the same length; got {lengths}")
        self._tensors = dict(tensors)
        self.fields = {}
        for name, value in tensors.items():
            found = (classes or {}).get(name)
            count, names = (found, ()) if found is None or isinstance(found, int) else (len(found), tuple(found))
            dtype = torch.float32 if value.dtype == torch.uint8 else value.dtype
            self.fields[name] = Field(tuple(value.shape[1:]), dtype, count, names, (meta or {}).get(name, {}))

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def __getitem__(self, index: int) -> Batch:
        return {name: value[index] for name, value in self._tensors.items()}

    def tensors(self) -> Batch:
        return self._tensors


def _prepared(value: Tensor, field: Field) -> Tensor:
    if value.dtype == torch.uint8 and field.dtype.is_floating_point:
        return images.from_bytes(value).to(field.dtype)
    return value
