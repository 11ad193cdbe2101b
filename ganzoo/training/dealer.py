"""The dealer: turns a data set into an endless, seeded stream of batches on the device.

The order of an epoch is a function of the seed and the epoch alone, so the position in the data is the step, and a
resumed run is dealt the very batches it would have been dealt. Resident and streamed data come in the same order.
"""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganzoo.data import Batch, Data
from ganzoo.errors import UsageError
from ganzoo.training import randomness
from ganzoo.training.settings import TrainSettings
from ganzoo.training.signals import ignored


class Dealer:
    """Deals batches of ``fields`` (the ones somebody needs) from ``data``.

    Raises:
        UsageError: a batch is larger than the data set, or ``resident = "always"`` and the data are not in memory.
    """

    def __init__(self, data: Data, fields: Collection[str], settings: TrainSettings, device: torch.device) -> None:
        self.data, self.fields, self.device = data, frozenset(fields), device
        self.batch_size, self.seed, self.workers = settings.batch_size, settings.seed, settings.workers
        self.steps_per_epoch = len(data) // self.batch_size
        if not self.steps_per_epoch:
            raise UsageError(
                f"train.batch_size = {self.batch_size} is more than the {len(data)} examples there are; "
                f"set it to {max(1, len(data))} or less."
            )
        tensors = None if settings.resident == "never" else data.tensors()
        if tensors is None and settings.resident == "always":
            raise UsageError("train.resident = 'always', but this data set is not held in memory; set it to 'auto'.")
        chosen = self._chosen(tensors or {})
        fits = settings.resident == "always" or sum(t.nbytes for t in chosen.values()) <= _room(device)
        self.resident = {name: t.to(device) for name, t in chosen.items()} if tensors is not None and fits else None

    def batches(self, step: int) -> Iterator[Batch]:
        """Yield the batches of the steps after ``step``, without end."""
        stored = self._stream(step) if self.resident is None else self._gather(step, self.resident)
        for batch in stored:
            yield self.data.prepare(batch)

    def some(self, n: int) -> Batch:
        """Return ``n`` examples (fewer where there are not so many) that depend on the seed alone, for pictures."""
        order = torch.randperm(len(self.data), generator=randomness.generator(self.seed, "pictures"))
        examples = [self._chosen(self.data[int(i)]) for i in order[:n]]
        stacked = {name: torch.stack([e[name] for e in examples]).to(self.device) for name in examples[0]}
        return self.data.prepare(stacked)

    def _gather(self, step: int, tensors: Batch) -> Iterator[Batch]:
        for index in self._indices(step):
            yield {name: tensor.index_select(0, index) for name, tensor in tensors.items()}

    def _stream(self, step: int) -> Iterator[Batch]:
        loader: DataLoader[Batch] = DataLoader(
            _Chosen(self.data, self.fields),
            batch_sampler=_Lists(self._indices(step)),
            num_workers=self.workers,
            multiprocessing_context="spawn" if self.workers else None,
            pin_memory=self.device.type == "cuda",
            generator=randomness.generator(self.seed, "workers"),
        )
        with ignored():
            fetched = iter(loader)  # the workers start here
        for batch in fetched:
            yield {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def _indices(self, step: int) -> Iterator[Tensor]:
        """Yield, for each step after ``step``, which examples it gets: a fresh shuffle every epoch."""
        epoch, done = divmod(step, self.steps_per_epoch)
        device = "cpu" if self.resident is None else self.device
        while True:
            order = torch.randperm(len(self.data), generator=randomness.generator(self.seed, "order", epoch))
            yield from order.to(device).split(self.batch_size)[done : self.steps_per_epoch]
            epoch, done = epoch + 1, 0

    def _chosen(self, stored: Batch) -> dict[str, Tensor]:
        return {name: value for name, value in stored.items() if name in self.fields}


class _Chosen(Dataset[Batch]):
    """The data set with only the wanted fields, for the loader's processes."""

    def __init__(self, data: Data, fields: frozenset[str]) -> None:
        self.data, self.fields = data, fields

    def __getitem__(self, index: int) -> Batch:
        return {name: value for name, value in self.data[index].items() if name in self.fields}


class _Lists:
    """An endless batch sampler."""

    def __init__(self, indices: Iterator[Tensor]) -> None:
        self.indices = indices

    def __iter__(self) -> Iterator[list[int]]:
        return (index.tolist() for index in self.indices)


def _room(device: torch.device) -> float:
    """Return the bytes that resident data may take: on the host they are in memory already, so no limit."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return torch.mps.recommended_max_memory() / 2
    return float("inf")
