"""Batches: an endless, seeded stream of them on the device, drawn from a dataset.

The order of an epoch depends on the seed and the epoch only. So the position in the data follows from the step, and a
resumed run gets the same batches as an uninterrupted one. Cached and streamed data come in the same order.
"""

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset as TorchDataset

from ganzoo import distributed, randomness
from ganzoo.data import Batch, Dataset
from ganzoo.errors import GanzooError, UsageError
from ganzoo.training import identity, processes
from ganzoo.training.settings import TrainSettings
from ganzoo.training.signals import ignore_stopping, stopping_ignored


class BatchStream:
    """Draws batches from a dataset. With several processes, each gets its share of every batch.

    Args:
        dataset: where batches come from.
        fields: the fields that are needed.
        settings: batch size, seed, caching and workers.
        device: where batches go.

    Attributes:
        steps_per_epoch: number of full batches in the dataset.
        cached: the stored tensors on the device, or None if the data are streamed.

    Raises:
        UsageError: a batch is larger than the dataset or cannot be shared by the processes, or ``cache_on_device =
            "always"`` and the data are not in memory, or each worker would run the script again.
    """

    def __init__(
        self, dataset: Dataset, fields: Collection[str], settings: TrainSettings, device: torch.device
    ) -> None:
        self.dataset, self.fields, self.device = dataset, frozenset(fields), device
        self.batch_size, self.seed, self.num_workers = settings.batch_size, settings.seed, settings.num_workers
        shares = distributed.world_size() * settings.accumulate
        if self.batch_size % shares:
            among = [f"{distributed.world_size()} processes"] * (distributed.world_size() > 1)
            among += [f"{settings.accumulate} micro-batches (train.accumulate)"] * (settings.accumulate > 1)
            raise UsageError(
                f"train.batch_size = {self.batch_size} cannot be shared by {' of '.join(among)}; set it to a multiple "
                f"of {shares}."
            )
        self.steps_per_epoch = len(dataset) // self.batch_size
        if not self.steps_per_epoch:
            raise UsageError(
                f"train.batch_size = {self.batch_size} is more than the {len(dataset)} examples in the dataset; "
                f"set it to {max(1, len(dataset))} or less."
            )
        tensors = None if settings.cache_on_device == "never" else dataset.tensors()
        if tensors is None and settings.cache_on_device == "always":
            raise UsageError(
                "train.cache_on_device = 'always', but this dataset is not held in memory; set it to 'auto'."
            )
        needed = self._needed(tensors or {})
        fits = settings.cache_on_device == "always" or sum(t.nbytes for t in needed.values()) <= _capacity(device)
        self.cached = {name: t.to(device) for name, t in needed.items()} if tensors is not None and fits else None
        if self.cached is None and self.num_workers:
            processes.check_script()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the dataset is, as a checkpoint keeps it."""
        return identity.facts_of(self.dataset)

    def batches(self, step: int) -> Iterator[Batch]:
        """Yield the batches of the steps after ``step``, without end."""
        stored = self._stream(step) if self.cached is None else self._gather(step, self.cached)
        for batch in stored:
            yield self.dataset.prepare(batch)

    def fixed_examples(self, n: int) -> Batch:
        """Return ``n`` examples (fewer if the dataset has fewer) that depend on the seed only, for pictures."""
        order = torch.randperm(len(self.dataset), generator=randomness.generator(self.seed, "pictures"))
        examples = [self._needed(self.dataset[int(i)]) for i in order[:n]]
        stacked = {name: torch.stack([e[name] for e in examples]).to(self.device) for name in examples[0]}
        with randomness.preserved():  # prepare() may be random
            randomness.seed_global(randomness.derive(self.seed, "pictures"))
            return self.dataset.prepare(stacked)

    def order(self, epoch: int) -> Tensor:
        """Return the indices of an epoch, int64 (examples,), on the CPU.

        Raises:
            GanzooError: the dataset returned something else.
        """
        rng, n = randomness.generator(self.seed, "order", epoch), len(self.dataset)
        order = self.dataset.order(epoch, rng, self.fields)
        valid = isinstance(order, Tensor) and order.shape == (n,) and order.dtype == torch.int64
        if not valid or order.min() < 0 or order.max() >= n:
            raise GanzooError(
                f"order() of {type(self.dataset).__name__} must return {n} indices between 0 and {n - 1} (int64), not "
                f"{order!r:.100}."
            )
        return order

    def _gather(self, step: int, tensors: Batch) -> Iterator[Batch]:
        for index in self._indices(step):
            yield {name: tensor.index_select(0, index) for name, tensor in tensors.items()}

    def _stream(self, step: int) -> Iterator[Batch]:
        loader: DataLoader[Batch] = DataLoader(
            _NeededFields(self.dataset, self.fields),
            batch_sampler=(index.tolist() for index in self._indices(step)),
            num_workers=self.num_workers,
            multiprocessing_context="spawn" if self.num_workers else None,
            pin_memory=self.device.type == "cuda",
            generator=randomness.generator(self.seed, "workers"),
            worker_init_fn=ignore_stopping,
        )
        with stopping_ignored():
            fetched = iter(loader)  # the workers start here
        for batch in _with_plain_errors(fetched):
            yield {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def _indices(self, step: int) -> Iterator[Tensor]:
        """Yield the indices of this process's examples for each step after ``step``; every epoch has an order of its
        own."""
        epoch, done = divmod(step, self.steps_per_epoch)
        device = "cpu" if self.cached is None else self.device
        while True:
            batches = self.order(epoch).to(device).split(self.batch_size)[done : self.steps_per_epoch]
            yield from map(distributed.share, batches)
            epoch, done = epoch + 1, 0

    def _needed(self, stored: Batch) -> dict[str, Tensor]:
        return {name: value for name, value in stored.items() if name in self.fields}


def _with_plain_errors(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield batches. An error for the user that a loader process met is only its message, without the traceback that
    torch puts around it."""
    try:
        yield from batches
    except GanzooError as error:
        raise type(error)(str(error).rpartition(f"{type(error).__name__}: ")[2].strip()) from error


class _NeededFields(TorchDataset[Batch]):
    """The dataset with only the needed fields, for the loader's processes."""

    def __init__(self, dataset: Dataset, fields: frozenset[str]) -> None:
        self.dataset, self.fields = dataset, fields

    def __getitem__(self, index: int) -> Batch:
        return {name: value for name, value in self.dataset[index].items() if name in self.fields}


def _capacity(device: torch.device) -> float:
    """Return how many bytes of cached data the device can hold. On the CPU they are in memory already."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return torch.mps.recommended_max_memory() / 2
    return float("inf")
