"""Drawing samples from a model and from a dataset. Noise and choices are drawn on the CPU, so that they are the same on
every device."""

from collections.abc import Container, Iterator, Mapping

import torch
from torch import Tensor

from ganzoo import images, randomness
from ganzoo.data import Batch, Dataset
from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model

BATCH = 256


def generated(
    model: Model,
    n: int,
    rng: torch.Generator,
    device: torch.device,
    *,
    real: Iterator[tuple[Tensor, Batch]] | None = None,
    fixed: Mapping[str, int] | None = None,
    batch: int = BATCH,
) -> Iterator[tuple[Tensor, Batch]]:
    """Yield ``n`` generated samples in batches: float32 on the CPU, each batch with what it was made from, and with the
    rest of the real examples if it was made from some.

    Args:
        model: in eval mode, on ``device``.
        n: number of samples.
        rng: the source of all noise, on the CPU.
        device: where to generate.
        real: what ``real`` yields for ``n`` examples; needed by a model with condition fields.
        fixed: latents that are the same for all samples, such as a label.
        batch: how many are generated at once; ``real`` yields as many.
    """
    for start in range(0, n, batch):
        if real:
            target, others = next(real)
            inputs = dict(model.generator_inputs({**others, model.target: target}, rng))
        else:
            others, inputs = {}, dict(model.sample_latent(min(batch, n - start), rng))
        for name, value in (fixed or {}).items():
            inputs[name] = torch.full_like(inputs[name], value)
        with torch.no_grad():
            sample = model.generate({name: value.to(device) for name, value in inputs.items()})
        yield sample.float().cpu(), {**others, **inputs}


def real(dataset: Dataset, n: int, seed: int, skip: int = 0) -> Iterator[tuple[Tensor, Batch]]:
    """Yield ``n`` real samples in batches, chosen by the seed, each batch with its other fields.

    Args:
        dataset: where they come from.
        n: number of samples.
        seed: decides which.
        skip: leave out that many of the choice, so that two draws with one seed have no sample in common.

    Raises:
        UsageError: the dataset has fewer.
    """
    if n + skip > len(dataset):
        twice = f", and {skip} more to compare them with" if skip else ""
        raise UsageError(
            f"Cannot draw {n} real samples{twice}: the dataset has {len(dataset)}. Measure fewer (-n, or "
            "train.evaluate_samples)."
        )
    order = torch.randperm(len(dataset), generator=randomness.generator(seed, "reference"))[skip : skip + n]
    tensors = dataset.tensors()
    for index in order.split(BATCH):
        if tensors is not None:
            stored = {name: value.index_select(0, index) for name, value in tensors.items()}
        else:
            examples = [dataset[int(i)] for i in index]
            stored = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
        batch = dict(dataset.prepare(stored))
        yield batch.pop(dataset.target), batch


def gather(
    batches: Iterator[tuple[Tensor, Batch]], dataset: Dataset, keep: Container[str] | None = None
) -> tuple[Tensor, Batch]:
    """Return all samples as metrics see them (images become uint8), and what belongs to them.

    Args:
        batches: what ``real`` or ``generated`` yields.
        dataset: the dataset that is imitated.
        keep: which of the other entries to return; None returns all.

    Raises:
        GanzooError: a sample is not finite.
    """
    samples: list[Tensor] = []
    extras: dict[str, list[Tensor]] = {}
    for sample, others in batches:
        if sample.is_floating_point() and not sample.isfinite().all():
            raise GanzooError("Some samples have values that are not finite, so nothing can be measured.")
        seen = dataset.postprocess(sample)
        samples.append(images.to_bytes(seen) if images.drawable(seen) else seen)
        for name, value in others.items():
            if keep is None or name in keep:
                extras.setdefault(name, []).append(value)
    return torch.cat(samples), {name: torch.cat(values) for name, values in extras.items()}
