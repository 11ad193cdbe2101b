"""Exporting: what generates, as a file that runs without ganzoo and without the plugin it came from.

``generate`` becomes a function of the tensors that the model's ``latent`` (and ``given``) hold, in eval mode, for any
number of samples at once. The file is loaded again and compared with the model before it is put in place.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from ganzoo.data import Batch, Field
from ganzoo.errors import UsageError, unknown
from ganzoo.export import formats
from ganzoo.export.inputs import Input, describe
from ganzoo.model import Model
from ganzoo.trained import Run
from ganzoo.training import randomness
from ganzoo.training.files import write_atomically

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
"""Format -> how its files' names end."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path, format: where it is, and of which format.
        inputs: what it takes.
        difference: the largest from the model's own samples that was seen.
    """

    path: Path
    format: str
    inputs: tuple[Input, ...]
    difference: float

    def usage(self) -> list[str]:
        """Return three lines of Python that draw 8 samples with the file."""
        if self.format == "torch":
            arguments = ", ".join(f"{entry.name}={entry.torch}" for entry in self.inputs)
            load = f"generate = torch.export.load({str(self.path)!r}).module()"
            return ["import torch", load, f"sample = generate({arguments})"]
        feeds = ", ".join(f'"{entry.name}": {entry.numpy}' for entry in self.inputs)
        load = f"session = onnxruntime.InferenceSession({str(self.path)!r})"
        return ["import numpy as np, onnxruntime", load, f'(sample,) = session.run(["sample"], {{{feeds}}})']


def save(run: Run, path: str | PathLike[str] | None = None, *, format: str | None = None) -> Exported:  # noqa: A002
    """Export what generates the samples of a run, and return what was written.

    Args:
        run: a trained run (``ganzoo.load``), whose checkpoint is exported.
        path: the file; ``generator.onnx`` or ``generator.pt2`` in the run directory if None.
        format: ``"onnx"`` or ``"torch"`` (an ExportedProgram); by the file's name if None, else ``"onnx"``.

    Raises:
        UsageError: the name and the format do not fit, the folder does not exist, or libraries are missing.
        GanzooError: the model cannot be exported, or the file does not do what the model does; nothing was written.
    """
    format, path = destination(run.directory, Path(path) if path is not None else None, format)  # noqa: A001
    model = _on_the_host(run.model)
    drawn = _draw(model, run.fields, sum(formats.BATCHES))
    content, difference = formats.export(model, drawn, format)
    write_atomically(path, content)
    many = _draw(model, run.fields, max(16, min(4096, 10**6 // sum(value[0].numel() for value in drawn.values()))))
    inputs = [describe(name, value, run.fields.get(name), name in model.given) for name, value in many.items()]
    return Exported(path, format, tuple(inputs), difference)


def check(model: Model, inputs: Batch) -> str:
    """Export a model to ONNX and compare, without writing anything; return what was found, in words.

    Args:
        model: in eval mode.
        inputs: what ``generate`` takes, some rows of it.

    Raises:
        UsageError: libraries are missing.
        GanzooError: as ``save``.
    """
    _check_installed()
    content, difference = formats.export(
        _on_the_host(model), {name: value.cpu() for name, value in inputs.items()}, "onnx"
    )
    return f"ONNX of {len(content) / 2**20:.1f} MiB, which differs by at most {difference:.1e}"


def missing() -> list[str]:
    """Return those libraries that ONNX needs and that are not installed."""
    return [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]


def destination(directory: Path, path: Path | None, format: str | None) -> tuple[str, Path]:  # noqa: A002
    """Return format and file for what was asked; found out before the work whether they can be meant.

    Raises:
        UsageError: they cannot, or libraries are missing.
    """
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
    chosen = format or (by_suffix.get(path.suffix.lower()) if path else "onnx")
    if chosen is None:
        raise UsageError(f"Cannot tell what to export to {path}: name it .onnx or .pt2.")
    if chosen not in SUFFIXES:
        raise unknown("format", chosen, SUFFIXES)
    if chosen == "onnx":
        _check_installed()
    if path is None:
        return chosen, directory / f"generator{SUFFIXES[chosen]}"
    if path.suffix.lower() != SUFFIXES[chosen]:
        raise UsageError(f"The format {chosen} goes to a file {path.stem}{SUFFIXES[chosen]}, not {path.name}.")
    if path.is_dir() or not path.parent.is_dir():
        wrong = "is a folder" if path.is_dir() else f"lies in a folder that does not exist, {path.parent}"
        raise UsageError(f"{path} {wrong}. Give another name.")
    return chosen, path


def _check_installed() -> None:
    if absent := missing():
        raise UsageError(
            f'ONNX needs {", ".join(absent)}, not installed here: pip install "torch-ganzoo[export]". Or export '
            "with --format torch, which needs nothing more."
        )


def _on_the_host(model: Model) -> Model:
    """Return a copy that only generates."""
    return copy.deepcopy(model).cpu().eval().requires_grad_(False)


def _draw(model: Model, fields: Mapping[str, Field], n: int) -> dict[str, Tensor]:
    """Return what ``generate`` takes for ``n`` samples; in place of the data's fields, noise that looks like them."""
    rng = randomness.generator(0, "export")
    real = {}
    for name, field in fields.items():
        shape = (n, *field.shape)
        if field.dtype.is_floating_point:
            real[name] = (torch.rand(shape, generator=rng) * 2 - 1).to(field.dtype)
        else:
            real[name] = torch.randint(field.classes or 2, shape, generator=rng).to(field.dtype)
    return dict(model.inputs(real, rng))
