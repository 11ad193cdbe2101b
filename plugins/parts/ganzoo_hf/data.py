"""Datasets of the Hugging Face Hub, and local files of its formats: Parquet, Arrow, and folders of pictures.

The library ``datasets`` converts them to Arrow files once, in its cache, and maps these into memory. So any row is
read at its place: an exact shuffle, and a resume at any step. stream.py reads Parquet files without a copy.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar

import torch
from ganzoo_images import options
from ganzoo_images.classes import numbered
from ganzoo_images.decode import Broken, Treatment, read
from ganzoo_images.pictures import EncodedPictures
from torch import Tensor

from ganzoo import Option, UsageError, warn
from ganzoo_hf.load import load
from ganzoo_hf.stream import RowGroups

_SEEN = 100  # pictures whose bytes are hashed
_PICTURE = {"bytes", "path"}  # the columns of a picture, where its type was not saved


class HuggingFace(EncodedPictures):
    """Pictures of a dataset on the Hugging Face Hub, or of local files: ``image`` (1, 3 or 4, size, size) in [-1, 1],
    and ``label`` if there is a column of classes. The rows may exceed memory.

    Raises:
        UsageError: the library is missing, the dataset cannot be opened, or it has no column of pictures.
    """

    location_options = ("path", "cache")
    opens: ClassVar[tuple[str, ...]] = ("hf:",)

    def __init__(
        self,
        *,
        path: Annotated[str, Option("Name on the Hub, or path of a folder, a .parquet or an .arrow", min_length=1)],
        config: Annotated[str | None, Option("Configuration of the dataset, if it has several")] = None,
        split: Annotated[str, Option("Split, or a part of it, such as train[:10%]", min_length=1)] = "train",
        revision: Annotated[str | None, Option("Revision on the Hub: a branch, a tag or a commit")] = None,
        stream: Annotated[bool, Option("Read Parquet files where they are, instead of a converted copy")] = False,
        image: Annotated[str | None, Option("Column of the pictures; by default the first of them")] = None,
        label: Annotated[str | None, Option("Column of the classes; by default the first of them")] = None,
        size: options.Size = 64,
        channels: options.GivenChannels = "color",
        background: options.Background = "white",
        fit: options.Fit = "crop",
        range: options.Range = None,  # noqa: A002
        mirror: options.Mirror = False,
        max_pixels: options.MaxPixels = None,
        broken: options.Broken = "skip",
        cache: Annotated[str | None, Option("Folder for downloads and Arrow files, instead of the library's")] = None,
    ) -> None:
        how = Treatment(size, channels, background, fit, range, max_pixels=max_pixels)
        found = load(path, config, split, revision, cache, stream)
        self._path = path
        self._column = _column(found.features, image, "image", _is_picture, path)
        labels, class_names = None, tuple[str, ...]()
        if label or any(map(_is_class, found.features.values())):
            column = _column(found.features, label, "label", _is_class, path)
            found, labels, class_names = _labeled(found, column)
        if not len(found):
            raise UsageError(f"The dataset {path!r} has no rows in data.split = {split!r}.")
        self._rows: Any = found if isinstance(found, RowGroups) else _with_bytes(found, self._column)
        super().__init__(how, labels, class_names, mirror=mirror, broken=broken)
        self[0]  # if nothing can be read, that is said now

    def __len__(self) -> int:
        return len(self._rows)

    def order(self, epoch: int, rng: torch.Generator, fields: Collection[str]) -> Tensor:
        """Return the order of an epoch. Streamed rows are shuffled within some row groups, see ``RowGroups.order``."""
        return self._rows.order(rng) if isinstance(self._rows, RowGroups) else super().order(epoch, rng, fields)

    def read(self, index: int) -> bytes:
        streamed = isinstance(self._rows, RowGroups)
        picture = (self._rows.value(index, self._column) if streamed else self._rows[index][self._column]) or {}
        if picture.get("bytes") is not None:
            content: bytes = picture["bytes"]
            return content
        if not picture.get("path"):
            raise Broken("it is missing")
        try:
            return read(picture["path"])
        except OSError as error:
            raise Broken(f"{picture['path']}: {error.strerror or error}") from error

    def name_of(self, index: int) -> str:
        return f"Row {index} of {self._path}"

    def fingerprint(self) -> str:
        """Return a hash of the fields, the number of rows, all classes, and a hundred of the pictures."""
        digest = hashlib.sha256(super().fingerprint().encode())
        if self._labels is not None:
            digest.update(self._labels.numpy().tobytes())
        if isinstance(self._rows, RowGroups):
            digest.update(self._rows.digest.encode())
            return digest.hexdigest()
        for index in {int(i) for i in torch.linspace(0, len(self) - 1, _SEEN, dtype=torch.float64)}:
            try:
                digest.update(hashlib.sha256(self.read(index)).digest())
            except Broken:
                digest.update(b"broken")
        return digest.hexdigest()


def _is_picture(feature: Any) -> bool:
    return type(feature).__name__ == "Image" or (isinstance(feature, Mapping) and set(feature) == _PICTURE)


def _is_class(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel"


def _column(features: Mapping[str, Any], given: str | None, option: str, fits: Any, path: str) -> str:
    """Return the column of that name, or the first that fits.

    Raises:
        UsageError: there is none.
    """
    names = [name for name, feature in features.items() if name == given or (given is None and fits(feature))]
    if not names or (option == "image" and not fits(features[names[0]])):
        what = f"data.{option} = {given!r} is no column" if given else "there is no column"
        kind = "of pictures" if option == "image" else "of classes"
        columns = ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())
        raise UsageError(f"The dataset {path!r}: {what} {kind}. Its columns are {columns}.")
    return names[0]


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or type(feature).__name__)


def _with_bytes(rows: Any, column: str) -> Any:
    """Return rows whose pictures are not decoded by the library."""
    from datasets import Image

    return rows.select_columns([column]).cast_column(column, Image(decode=False))


def _labeled(rows: Any, column: str) -> tuple[Any, Tensor, tuple[str, ...]]:
    """Return the rows that have a class, their labels int64 (n,), and the names of the classes."""
    streamed = isinstance(rows, RowGroups)
    values = (
        rows.column(column) if streamed else rows.select_columns([column]).with_format("arrow")[:][column].to_pylist()
    )
    feature = rows.features[column]
    has = [value is not None and value != -1 for value in values]  # -1 is the Hub's mark for an unknown class
    if not all(has) and streamed:
        raise UsageError(f"data.stream: {len(has) - sum(has):,} rows have no class ({column}). Do not stream them.")
    if not all(has):
        warn(f"Rows without a class ({column}) are left out: {len(has) - sum(has):,}.")
        rows = rows.select([index for index, there in enumerate(has) if there])
        values = [value for value, there in zip(values, has, strict=True) if there]
    if _is_class(feature):
        return rows, torch.tensor(values, dtype=torch.int64), tuple(feature.names)
    labels, names = numbered([str(value) for value in values], map(str, values))
    return rows, labels, names
