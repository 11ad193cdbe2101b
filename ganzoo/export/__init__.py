"""Export: the generator as a file that runs without ganzoo and without the plugin it came from.

``generate`` becomes a function of the latents and the condition fields, in eval mode, for any number of samples at
once. The file is loaded again and compared with the model before it is put in place.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from ganzoo import randomness
from ganzoo.data import Batch, Field
from ganzoo.errors import UsageError, unknown
from ganzoo.export import formats
from ganzoo.export.inputs import CLASS_NAMES, Input, describe
from ganzoo.files import write_atomically
from ganzoo.model import Model

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
"""Format -> suffix of its files."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path, format: where it is, and in which format.
        inputs: what it takes.
        difference: the largest difference from the model's own samples.
    """

    path: Path
    format: str
    inputs: tuple[Input, ...]
    difference: float

    def usage(self) -> list[str]:
        """Return lines of Python that draw 8 samples with the file. They look labels up by the names of the classes, if
        it has any."""
        named = any(entry.class_names for entry in self.inputs)
        if self.format == "torch":
            arguments = ", ".join(f"{entry.name}={entry.torch}" for entry in self.inputs)
            more = ", extra_files=files" if named else ""
            load = [f"generate = torch.export.load({str(self.path)!r}{more}).module()"]
            if named:
                load = [f'files = {{"{CLASS_NAMES}": ""}}', *load, f'names = json.loads(files["{CLASS_NAMES}"])']
            return [f"import {'json, ' * named}torch", *load, f"sample = generate({arguments})"]
        feeds = ", ".join(f'"{entry.name}": {entry.numpy}' for entry in self.inputs)
        load = [f"session = onnxruntime.InferenceSession({str(self.path)!r})"]
        if named:
            load += [f'names = json.loads(session.get_modelmeta().custom_metadata_map["{CLASS_NAMES}"])']
        draw = f'(sample,) = session.run(["sample"], {{{feeds}}})'
        return [f"import {'json, ' * named}numpy as np, onnxruntime", *load, draw]


def save(model: Model, fields: Mapping[str, Field], path: Path, format: str) -> Exported:  # noqa: A002
    """Export the generator of a model.

    Args:
        model: the networks.
        fields: those of the dataset it was trained on.
        path, format: what ``destination`` returned.

    Raises:
        GanzooError: the model cannot be exported, or the file does not behave like the model; nothing was written.
    """
    twin = _generator_on_cpu(model)
    drawn = _draw(twin, fields, sum(formats.BATCHES))
    named = {name: fields[name].class_names for name in drawn if name in fields and fields[name].class_names}
    metadata = {CLASS_NAMES: json.dumps(named, ensure_ascii=False)} if named else {}
    content, difference = formats.export(twin, drawn, format, metadata)
    write_atomically(path, content)
    numbers = sum(value[0].numel() for value in drawn.values())
    many = _draw(twin, fields, max(16, min(4096, 10**6 // numbers)))  # they show the range of integer latents
    inputs = [describe(name, value, fields.get(name), twin) for name, value in many.items()]
    return Exported(path, format, tuple(inputs), difference)


def check(model: Model, inputs: Batch) -> str:
    """Export a model to ONNX and compare, without writing anything; return the result in words.

    Args:
        model: in eval mode.
        inputs: some rows of what ``generate`` takes.

    Raises:
        UsageError: libraries are missing.
        GanzooError: as ``save``.
    """
    _check_installed()
    content, difference = formats.export(
        _generator_on_cpu(model), {name: value.cpu() for name, value in inputs.items()}, "onnx"
    )
    return f"ONNX, {len(content) / 2**20:.1f} MiB, differs by at most {difference:.1e}"


def missing() -> list[str]:
    """Return the libraries that ONNX needs and that are not installed."""
    return [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]


def destination(directory: Path, path: Path | None, format: str | None) -> tuple[str, Path]:  # noqa: A002
    """Return the format and the file of an export; checked before the work.

    Args:
        directory: the run directory; the default place.
        path: the file, or None.
        format: ``"onnx"``, ``"torch"`` (an ExportedProgram), or None: by the file's name, otherwise ONNX.

    Raises:
        UsageError: the name and the format do not fit, the folder does not exist, or libraries are missing.
    """
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
    chosen = format or (by_suffix.get(path.suffix.lower()) if path else "onnx")
    if chosen is None:
        raise UsageError(f"The format of {path} is unclear: name it .onnx or .pt2.")
    if chosen not in SUFFIXES:
        raise unknown("format", chosen, SUFFIXES)
    if chosen == "onnx":
        _check_installed()
    if path is None:
        return chosen, directory / f"generator{SUFFIXES[chosen]}"
    if path.suffix.lower() != SUFFIXES[chosen]:
        raise UsageError(f"A file in the format {chosen} must be named {path.stem}{SUFFIXES[chosen]}, not {path.name}.")
    if path.is_dir() or not path.parent.is_dir():
        wrong = "is a folder" if path.is_dir() else f"is in a folder that does not exist, {path.parent}"
        raise UsageError(f"{path} {wrong}. Give another name.")
    return chosen, path


def _check_installed() -> None:
    if absent := missing():
        raise UsageError(
            f'ONNX needs {", ".join(absent)}, which is not installed: pip install "torch-ganzoo[export]". Or use '
            "--format torch, which needs nothing else."
        )


def _generator_on_cpu(model: Model) -> Model:
    """Return a copy for generating only."""
    return copy.deepcopy(model).cpu().eval().requires_grad_(False)


def _draw(model: Model, fields: Mapping[str, Field], n: int) -> dict[str, Tensor]:
    """Return what ``generate`` takes for ``n`` samples, with noise in place of the dataset's fields."""
    rng = randomness.generator(0, "export")
    real = {}
    for name, field in fields.items():
        shape = (n, *field.shape)
        if field.dtype.is_floating_point:
            real[name] = (torch.rand(shape, generator=rng) * 2 - 1).to(field.dtype)
        else:
            real[name] = torch.randint(field.classes or 2, shape, generator=rng).to(field.dtype)
    return dict(model.generator_inputs(real, rng))
