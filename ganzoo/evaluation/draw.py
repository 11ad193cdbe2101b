"""Drawing samples, from a model and from real data. Noise and choice come from the host: every device sees the same."""

from collections.abc import Container, Iterator, Mapping

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.data import Batch, Data
from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model
from ganzoo.training import randomness

BATCH = 256


def generated(
    model: Model,
    n: int,
    rng: torch.Generator,
    device: torch.device,
    *,
    real: Iterator[tuple[Tensor, Batch]] | None = None,
    fixed: Mapping[str, int] | None = None,
) -> Iterator[tuple[Tensor, Batch]]:
    """Yield batches of ``n`` samples in all, float32 on the host, each with all that it was made from, and the rest of
    the real example where it was made from one; ``model`` is in eval mode on ``device``, and ``rng`` on the host.

    Args:
        real: what ``real`` yields of ``n`` examples, for a model that is ``given`` something of them.
        fixed: entries of the latent that are the same for all, such as a label.
    """
    for start in range(0, n, BATCH):
        if real:
            target, others = next(real)
            inputs = dict(model.inputs({**others, model.target: target}, rng))
        else:
            others, inputs = {}, dict(model.latent(min(BATCH, n - start), rng))
        for name, value in (fixed or {}).items():
            inputs[name] = torch.full_like(inputs[name], value)
        with torch.no_grad():
            sample = model.generate({name: value.to(device) for name, value in inputs.items()})
        yield sample.float().cpu(), {**others, **inputs}


def real(data: Data, target: str, n: int, seed: int, skip: int = 0) -> Iterator[tuple[Tensor, Batch]]:
    """Yield batches of ``n`` real samples, chosen by the seed, each with the other fields; ``skip`` leaves out that
    many of the choice, so that two draws with one seed have no sample in common.

    Raises:
        UsageError: there are not so many.
    """
    if n + skip > len(data):
        twice = f", and {skip} more to compare them with" if skip else ""
        raise UsageError(
            f"Cannot draw {n} real samples{twice}: the data set has {len(data)}. Measure fewer (-n, or "
            "train.evaluate_samples)."
        )
    order = torch.randperm(len(data), generator=randomness.generator(seed, "reference"))[skip : skip + n]
    tensors = data.tensors()
    for index in order.split(BATCH):
        if tensors is not None:
            stored = {name: value.index_select(0, index) for name, value in tensors.items()}
        else:
            examples = [data[int(i)] for i in index]
            stored = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
        batch = dict(data.prepare(stored))
        yield batch.pop(target), batch


def gather(
    batches: Iterator[tuple[Tensor, Batch]], data: Data, keep: Container[str] | None = None
) -> tuple[Tensor, Batch]:
    """Return all samples as metrics look at them, and what came with them, or those entries of it that are in ``keep``;
    images become uint8, as a viewer would see them.

    Raises:
        GanzooError: a sample is not finite.
    """
    samples: list[Tensor] = []
    given: dict[str, list[Tensor]] = {}
    for sample, others in batches:
        if sample.is_floating_point() and not sample.isfinite().all():
            raise GanzooError("There are samples with values that are not finite; there is nothing to measure.")
        seen = data.measured(sample)
        samples.append(images.to_bytes(seen) if images.drawable(seen) else seen)
        for name, value in others.items():
            if keep is None or name in keep:
                given.setdefault(name, []).append(value)
    return torch.cat(samples), {name: torch.cat(values) for name, values in given.items()}
