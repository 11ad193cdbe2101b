"""Initial weights from another run: what fits by name and shape starts there, the rest is random as usual."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model
from ganzoo.runs.directory import RunDirectory
from ganzoo.runs.recovery import newest_checkpoint

_NAMED = 6  # tensors that are named


@dataclass(frozen=True)
class Source:
    """Weights to start from.

    Attributes:
        path: the run directory or the file that they are from.
        step: of the checkpoint; None for a file.
        tensors: by their ``state_dict`` names.
    """

    path: Path
    step: int | None
    tensors: Mapping[str, Tensor]


def read(path: Path) -> Source:
    """Read the weights of a run directory (the averaged ones if the run kept an average), or of a safetensors file.

    Raises:
        UsageError: there is no such run or file, or the run has no checkpoint yet.
        GanzooError: the file is damaged, or no checkpoint is valid.
    """
    if not path.is_file():
        if not path.exists():
            raise UsageError(f"--init: {path} does not exist. Give a run directory or a .safetensors file.")
        run = RunDirectory.open(path)
        saved = newest_checkpoint(run)
        if saved is None:
            raise UsageError(
                f"--init: {path} has no checkpoint yet. Train it first: ganzoo resume {shlex.quote(str(path))}"
            )
        return Source(path, saved.step, {**saved.weights, **saved.ema})
    try:
        return Source(path, None, load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise GanzooError(
            f"--init: {path} is damaged, or is not a safetensors file: {' '.join(str(error).split())}."
        ) from error


def initialize(model: Model, source: Source) -> dict[str, Any]:
    """Copy the tensors that fit by name and shape into a model, and return what run.json says about it: ``source``,
    ``step``, the number of ``tensors`` that were copied, the number ``of`` all tensors of the model, the ``share`` of
    its parameters that was copied, and the names in the source that were ``not_used``.

    Raises:
        UsageError: no parameter fits.
        GanzooError: a weight in the source is not finite.
    """
    own = model.state_dict()
    fitting = {name: value for name, value in source.tensors.items() if _fits(own.get(name), value)}
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters(remove_duplicate=False)}
    if not fitting.keys() & sizes.keys():
        raise UsageError(
            f"--init: no weight in {source.path} fits this model by name and shape. It has "
            f"{_listed(source.tensors)}; the model has {_listed({name: own[name] for name in sizes})}."
        )
    for name, value in fitting.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise GanzooError(f"--init: the weight {name} in {source.path} is not finite.")
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    return {
        "source": str(source.path),
        "step": source.step,
        "tensors": len(fitting),
        "of": len(own),
        "share": sum(sizes[name] for name in fitting if name in sizes) / max(1, sum(sizes.values())),
        "not_used": sorted(source.tensors.keys() - fitting.keys()),
    }


def in_words(done: Mapping[str, Any]) -> str:
    """Return one sentence about what ``initialize`` did."""
    unused = done["not_used"]
    more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
    rest = f"; not used: {', '.join(unused[:_NAMED])}{more}" if unused else ""
    percent = f"{100 * done['share']:.3g} % of the parameters"
    return f"Initialized {done['tensors']} of {done['of']} tensors ({percent}) from {done['source']}{rest}."


def _fits(own: Tensor | None, value: Tensor) -> bool:
    return own is not None and own.shape == value.shape and own.is_floating_point() == value.is_floating_point()


def _listed(tensors: Mapping[str, Tensor]) -> str:
    some = [f"{name} {tuple(value.shape)}" for name, value in sorted(tensors.items())[:_NAMED]]
    return ", ".join(some + ["..."] * (len(tensors) > _NAMED)) or "no tensors"
