"""Export formats: trace the model, write it, load it again, and compare."""

import copy
import inspect
import io
import logging
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganzoo.data import Batch
from ganzoo.errors import GanzooError
from ganzoo.model import Model

BATCHES = (1, 3, 7)
"""Numbers of samples for which a file is compared with the model."""

TOLERANCE = 1e-4
"""The largest allowed difference from the model's own samples."""

Generate = Callable[[Batch], Tensor]


def export(
    model: Model,
    drawn: Mapping[str, Tensor],
    format: str,  # noqa: A002
    metadata: Mapping[str, str] | None = None,
) -> tuple[bytes, float]:
    """Return the content of a file, and its largest difference from the model.

    Args:
        model: on the CPU, in eval mode.
        drawn: some rows of what ``generate`` takes.
        format: ``"onnx"`` or ``"torch"``.
        metadata: texts that the file keeps: its ``metadata_props``, or its ``extra_files``.

    Raises:
        GanzooError: it cannot be traced, or the file does not behave like the model.
    """
    with _quiet(), torch.no_grad():
        try:
            program = _program(copy.deepcopy(model), drawn)
            content, load = (_torch if format == "torch" else _onnx)(program, list(drawn), metadata or {})
        except Exception as error:  # exporters raise many types
            raise GanzooError(
                f"The model {type(model).__name__} cannot be exported: {_reason(error)}\ngenerate() must do "
                "the same for any number of samples and any values: no .item(), and no branch on tensor values."
            ) from error
        return content, _difference(model, load(content), drawn)


class _Generator(nn.Module):
    """A model whose ``forward`` is ``generate``, with the entries of the latent batch as keyword arguments."""

    def __init__(self, model: Model, names: Iterable[str]) -> None:
        super().__init__()
        self.model = model

        def forward(**latent: Tensor) -> Tensor:
            return model.generate(latent)

        arguments = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        forward.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
        self.forward = forward


def _program(model: Model, drawn: Mapping[str, Tensor]) -> torch.export.ExportedProgram:
    """Return the traced program. Networks that ``generate`` does not use are removed from the model."""
    three = {name: value[_rows(0, 3, value)] for name, value in drawn.items()}
    shapes = {name: {0: torch.export.Dim("batch", min=1)} for name in three}

    def trace() -> torch.export.ExportedProgram:
        generator = _Generator(model, three)
        return torch.export.export(generator, (), three, dynamic_shapes=shapes, strict=False)

    traced = trace()
    used = {node.name for node in traced.graph.nodes if node.users}
    inputs = {**traced.graph_signature.inputs_to_parameters, **traced.graph_signature.inputs_to_buffers}
    every = {name: id(tensor) for name, tensor in _tensors(model)}
    needed = {every[name.removeprefix("model.")] for node, name in inputs.items() if node in used}
    for child, network in list(model.named_children()):
        own = {id(tensor) for _, tensor in _tensors(network)}
        if own and not own & needed:
            setattr(model, child, nn.Identity())
    return trace()


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers, shared ones under all their names."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _torch(
    program: torch.export.ExportedProgram, names: list[str], metadata: Mapping[str, str]
) -> tuple[bytes, Callable[[bytes], Generate]]:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files=dict(metadata))

    def load(content: bytes) -> Generate:
        module = torch.export.load(io.BytesIO(content)).module()
        return lambda latent: module(**latent)

    return buffer.getvalue(), load


def _onnx(
    program: torch.export.ExportedProgram, names: list[str], metadata: Mapping[str, str]
) -> tuple[bytes, Callable[[bytes], Generate]]:
    import onnx
    import onnxruntime

    shapes = {name: {0: "batch"} for name in names}
    made = torch.onnx.export(
        program, input_names=names, output_names=["sample"], dynamic_shapes=shapes, dynamo=True, verbose=False
    )
    assert made is not None
    file = made.model_proto
    for key, value in metadata.items():
        file.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(file, full_check=True)

    def load(content: bytes) -> Generate:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

        def generate(latent: Batch) -> Tensor:
            feeds = {name: value.contiguous().numpy() for name, value in latent.items()}
            return torch.from_numpy(session.run(["sample"], feeds)[0])

        return generate

    return file.SerializeToString(), load


def _difference(model: Model, generate: Generate, drawn: Mapping[str, Tensor]) -> float:
    """Return the largest difference between a loaded file and the model.

    Raises:
        GanzooError: it is too large, or some number of samples does not work.
    """
    largest, start = 0.0, 0
    for n in BATCHES:
        latent = {name: value[_rows(start, n, value)] for name, value in drawn.items()}
        start += n
        try:
            mine, theirs = model.generate(latent), generate(latent)
        except Exception as error:
            raise GanzooError(f"The exported file does not work with {n} samples: {_reason(error)}") from error
        if mine.shape != theirs.shape:
            raise GanzooError(f"The exported file returns {tuple(theirs.shape)}, the model {tuple(mine.shape)}.")
        difference = (mine - theirs).abs().max().item()
        if not difference <= TOLERANCE:  # also catches NaN
            raise GanzooError(
                f"The exported file differs from the model by {difference:.3g} with {n} samples; {TOLERANCE:g} is "
                "allowed. Does generate() draw noise? All noise belongs in sample_latent()."
            )
        largest = max(largest, difference)
    return largest


def _reason(error: BaseException) -> str:
    """Return what an exporter says, without the graph and the lists of steps that follow its first paragraph."""
    text = str(error).strip().split("\n\n")[0]
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("graph(", "%", "class GraphModule"))]
    return textwrap.shorten(f"{type(error).__name__}: {' '.join(lines)}", 300, placeholder=" ...")


def _rows(start: int, n: int, value: Tensor) -> Tensor:
    return torch.arange(start, start + n) % len(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporters' warnings within the block; they concern the exporters' own future."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
