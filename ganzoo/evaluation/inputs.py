"""What a user brings for the condition fields of a model: tensors, or files that the class of the dataset decodes."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.data import Batch, Dataset, Field
from ganzoo.errors import GanzooError, UsageError, format_error, nearest, shortage, unknown, warn
from ganzoo.evaluation import draw
from ganzoo.model import Model

Given = Tensor | str | PathLike[str] | Sequence[str | PathLike[str]]
"""A tensor (n, *shape) or (*shape), or files and folders of files."""

OWN = -1
"""The size of inputs that keep their own sides."""

_LARGEST = 1.01  # absolute value in an image
_NAMED = 5  # files that are named
_NUMBERS = 1 << 24  # in the inputs of one batch


@dataclass(frozen=True)
class Inputs:
    """Inputs of a model.

    Attributes:
        values: condition field -> (n, *shape), or (1, *shape) for all samples.
        names: of the files that they come from, (n,) without suffixes; empty for tensors.
    """

    values: Batch
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return max(map(len, self.values.values()))

    def count(self, n: int | None) -> int:
        """Return the number of samples: as many as inputs; for a single input, as many as asked for.

        Raises:
            UsageError: another number is asked for.
        """
        if n is not None and len(self) not in (1, n):
            raise UsageError(f"There are {len(self)} inputs: leave out the number of samples (n), {n}.")
        return n or len(self)

    def names_of(self, n: int) -> list[str]:
        """Return a different name for each of ``n`` samples: that of its file, and a number if that is not enough."""
        if len(set(self.names)) == n:
            return list(self.names)
        stems = self.names if len(self.names) == n else [*self.names, ""][:1] * n
        return [f"{stem}-{number:05d}".lstrip("-") for number, stem in enumerate(stems)]

    def batches(self, n: int, model: Model, target: Field) -> Iterator[tuple[Tensor, Batch]]:
        """Yield the inputs of ``n`` samples as ``draw.real`` yields real examples. If the model does not read the
        target, zeros take its place."""
        spread = {name: value.expand(n, *value.shape[1:]) for name, value in self.values.items()}
        real = spread.get(model.target, torch.zeros(1).expand(n, *target.shape))
        for start in range(0, n, size := self.batch_size()):
            others = {name: value[start : start + size] for name, value in spread.items() if name != model.target}
            yield real[start : start + size], others

    def batch_size(self) -> int:
        """Return how many samples are generated at once: fewer if the inputs are large."""
        largest = max(value[0].numel() for value in self.values.values())
        return max(1, min(draw.BATCH, _NUMBERS // largest))


def read(
    given: Mapping[str, Given],
    model: Model,
    fields: Mapping[str, Field],
    dataset: type[Dataset],
    options: Mapping[str, Any],
    size: int | None = None,
) -> Inputs:
    """Return the inputs that a user gave, as the networks take them.

    Args:
        given: condition field -> what the user gave.
        model: takes them.
        fields: those of the dataset of the run.
        dataset: its class, which decodes files.
        options: the options of the dataset, for the same reason.
        size: pixels per side of the pictures in files; ``OWN`` keeps their own; None treats them as the run's data.

    Raises:
        UsageError: an unknown or missing field, a file that cannot be read, or tensors of a shape that does not fit.
    """
    known = model.condition_fields
    if not known:
        raise UsageError(f"The model {type(model).__name__} takes no inputs: its samples come from noise alone.")
    for name in given:
        if name not in known:
            raise unknown("input", name, known)
    if missing := [name for name in known if name not in given]:
        listed = ", ".join(known)
        raise UsageError(f"The model {type(model).__name__} also needs the input {missing[0]!r}. It takes: {listed}.")
    values: dict[str, Tensor] = {}
    names: list[str] = []
    for name, value in given.items():
        if isinstance(value, Tensor):
            values[name] = _checked(name, value, fields[name])
            continue
        paths = [value] if isinstance(value, str | PathLike) else value
        if not paths or not (isinstance(paths, Sequence) and all(isinstance(path, str | PathLike) for path in paths)):
            raise UsageError(f"The input {name!r} must be a tensor, a path, or paths, not {value!r:.80}.")
        files = [Path(fspath(path)).expanduser() for path in paths]
        found = _decoded(name, files, fields[name], dataset, options, size)
        values[name] = torch.stack(list(found.values()))
        names = [path.stem for path in found] if len(found) > len(names) else names
    n = max(map(len, values.values()))
    if wrong := [name for name, value in values.items() if len(value) not in (1, n)]:
        raise UsageError(f"There are {len(values[wrong[0]])} inputs {wrong[0]!r}, but {n} of another field.")
    return Inputs(values, names if len(names) == n else ())


def generated(
    model: Model,
    inputs: Inputs,
    n: int,
    rng: torch.Generator,
    device: torch.device,
    field: Field,
    fixed: Mapping[str, int],
) -> Iterator[tuple[Tensor, Batch]]:
    """Yield ``n`` samples made from inputs, as ``draw.generated`` does. ``field`` is the target's.

    Raises:
        UsageError: the networks cannot take inputs of this size.
    """
    real = inputs.batches(n, model, field)
    try:
        yield from draw.generated(model, n, rng, device, real=real, fixed=fixed, batch=inputs.batch_size())
    except GanzooError:
        raise
    except Exception as error:  # of the networks
        if lacking := shortage(error):
            raise GanzooError(f"{lacking[0]}, while samples were generated. Give smaller inputs.") from error
        shapes = ", ".join(f"{name} {_sides(value.shape[1:])}" for name, value in inputs.values.items())
        raise UsageError(
            f"The model {type(model).__name__} cannot take {shapes}: {format_error(error).rstrip('.')}. Without a "
            "size, files are treated as the data of the run were."
        ) from error


def _checked(name: str, value: Tensor, field: Field) -> Tensor:
    """Return a tensor as a batch on the CPU. Pictures may have other sides than those of the run.

    Raises:
        UsageError: its shape or its values do not fit the field.
    """
    value = value.detach().cpu()
    value = value[None] if value.dim() == len(field.shape) else value
    is_image = len(field.shape) == 3 and field.dtype.is_floating_point
    fits = value.dim() == len(field.shape) + 1 and (is_image or value.shape[1:] == field.shape)
    if not fits or not value.numel():
        raise UsageError(f"The input {name!r} must have the shape (n, *{field.shape}), not {tuple(value.shape)}.")
    if is_image and value.shape[1] != field.shape[0]:
        raise UsageError(f"The input {name!r} must have {field.shape[0]} channels, not {value.shape[1]}.")
    if is_image and value.dtype == torch.uint8:
        return images.from_bytes(value).to(field.dtype)
    if is_image and not value.abs().max() < _LARGEST:  # also if it is not a number
        reach = value.abs().max().item()
        raise UsageError(f"The input {name!r} must be in [-1, 1], or bytes (uint8); its values reach {reach:.3g}.")
    return value.to(field.dtype)


def _decoded(
    name: str,
    paths: Sequence[Path],
    field: Field,
    dataset: type[Dataset],
    options: Mapping[str, Any],
    size: int | None,
) -> dict[Path, Tensor]:
    """Return file -> its content. In a folder, files that cannot be read are left out, with a warning.

    Raises:
        UsageError: a file that was named, or every file of a folder, cannot be read; or their shapes differ.
    """
    if size is not None and len(field.shape) == 3:
        field = replace(field, shape=(field.shape[0], size, size))
    found: dict[Path, Tensor] = {}
    for path in paths:
        files = _files(path)
        broken: dict[str, str] = {}
        remarks: dict[str, list[str]] = {}
        for file in files:
            try:
                if not file.is_file():  # a pipe would be waited for
                    raise ValueError("it is not a regular file")
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", UserWarning)
                    found[file] = dataset.decode_input(file.read_bytes(), field, options)
                for remark in dict.fromkeys(str(one.message).rstrip(".") for one in caught):
                    remarks.setdefault(remark, []).append(str(file))
            except OSError as error:
                broken[file.name] = error.strerror or str(error)
            except Exception as error:  # plugins decode
                broken[file.name] = str(error) if isinstance(error, ValueError) else format_error(error)
        for remark, names in remarks.items():
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            warn(f"{', '.join(names[:_NAMED])}{more}: {remark}.")
        named = "; ".join(f"{file} ({why})" for file, why in list(broken.items())[:_NAMED])
        if broken and len(broken) == len(files):
            raise UsageError(f"The input {name!r} cannot be read from {path}: {named}.")
        if broken:
            warn(f"{path}: {len(broken):,} of {len(files):,} files cannot be read and are left out: {named}.")
    shapes = {_sides(value.shape) for value in found.values()}
    if len(shapes) > 1:
        listed = ", ".join(sorted(shapes)[:_NAMED])
        raise UsageError(f"The inputs {name!r} differ in size: {listed}. Give one at a time, or one size for all.")
    return found


def _files(path: Path) -> list[Path]:
    """Return the file, or the files of a folder by name, without hidden ones.

    Raises:
        UsageError: there is no such file, or none in the folder.
    """
    if not path.is_dir():
        if not path.exists():
            there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            close = f" {text}" if (text := nearest(path.name, there)).startswith("Did") else ""
            raise UsageError(f"There is no file or folder {path}.{close}")
        return [path]
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UsageError(f"Cannot read the folder {path}: {error.strerror or error}.") from error
    files = [entry for entry in entries if not entry.is_dir()]
    below = f"{len(entries) - len(files):,} subfolders of {path} are not searched" if len(files) < len(entries) else ""
    if not files:
        raise UsageError(f"The folder {path} has no files{f'; {below}' if below else ''}.")
    if below:
        warn(f"{below}.")
    return files


def _sides(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
