"""Several processes that train one run together, started by torchrun.

All of them build the same parts and take the same steps, each with its share of every batch; gradients are averaged.
The first process writes the run directory and prints; the others are silent. Outside such a group there is one process,
and everything here does nothing.

A part whose buffers depend on the batch must keep them equal in all processes: ``average`` and ``gather`` do that.
"""

import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ganzoo.errors import GanzooError, UsageError, format_error

_T = TypeVar("_T")

_BUCKET = 1 << 23  # numbers per message: 32 MiB of float32
_PATIENCE = timedelta(seconds=5)  # for the message of the first process; after that, another one reports its own
_LOST = re.compile(r"clos|reset|peer|time(d )?out|refused|broken pipe|abort", re.IGNORECASE)
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class _Group:
    """What this process is in its group."""

    rank, size, joined, launcher = 0, 1, False, 0
    joins = 0  # how often this process has joined one


class ProcessLost(GanzooError):
    """Another process of the group has ended."""


def rank() -> int:
    """Return the number of this process, from 0."""
    return _Group.rank


def world_size() -> int:
    """Return the number of processes."""
    return _Group.size


def is_first() -> bool:
    """Return whether this is the process that writes and prints."""
    return _Group.rank == 0


def local_rank() -> int:
    """Return the number of this process among those of its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def launcher() -> int:
    """Return the process ID of the launcher; 0 if there is none."""
    return _Group.launcher


def wanted() -> bool:
    """Return whether a launcher started this process together with others."""
    size = os.environ.get("WORLD_SIZE", "")
    return "RANK" in os.environ and size.isascii() and size.isdecimal() and int(size[:9]) > 1


def launch_id() -> str:
    """Return what identifies this launch over the restarts of its processes; empty without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{name}/{platform.node()}/{os.getppid()}" if name else ""  # names are used again


def command() -> str:
    """Return what starts ganzoo again as it was started."""
    count = os.environ.get("LOCAL_WORLD_SIZE", world_size())
    return f"torchrun --nproc-per-node {count} -m ganzoo" if world_size() > 1 else "ganzoo"


def restarted() -> bool:
    """Return whether torchrun has started the processes again, because one of them had failed."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("0", "")


@contextmanager
def launched() -> Iterator[None]:
    """Join the group of processes within the block, if a launcher started several. Within the block, all processes but
    the first are silent. If the block fails, one process reports the error, and the others exit.

    Raises:
        UsageError: the launcher did not say where the processes meet.
    """
    if _Group.joined or not wanted():
        yield
        return
    if missing := [name for name in _VARIABLES if not os.environ.get(name)]:
        raise UsageError(
            f"A launcher started {os.environ['WORLD_SIZE']} processes (WORLD_SIZE), but did not set {missing[0]}. "
            "Use torchrun: torchrun --nproc-per-node 2 -m ganzoo run fc-mnist"
        )
    with _joined() as store, Path(os.devnull).open("w") as nowhere:
        try:
            if is_first():
                yield
            else:
                with redirect_stdout(nowhere), redirect_stderr(nowhere):
                    yield
        except BaseException as error:
            if not isinstance(error, SystemExit) and not _reports(store, error):
                raise SystemExit(getattr(error, "exit_code", 1)) from error
            raise


@contextmanager
def _joined() -> Iterator[Store]:
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank() % torch.cuda.device_count())
    store, number, size = next(iter(rendezvous("env://")))
    prefix = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # the launcher's store outlives its processes
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    own = PrefixStore(f"ganzoo/{prefix}/{_Group.joins}", store)
    _Group.joins += 1
    dist.init_process_group(backend, store=PrefixStore("group", own), rank=number, world_size=size)
    _Group.rank, _Group.size, _Group.joined, _Group.launcher = number, size, True, os.getppid()
    try:
        yield own
    finally:
        _Group.rank, _Group.size, _Group.joined, _Group.launcher = 0, 1, False, 0
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group()


def _reports(store: Store, error: BaseException) -> bool:
    """Return whether this process is the one that reports an error: the first, if it has failed too. A process that
    failed because another had gone leaves it to that one."""
    with suppress(RuntimeError):
        if not isinstance(error, ProcessLost):
            store.set(f"error/{rank()}", format_error(error))
        if is_first():
            return not isinstance(error, ProcessLost) or not _others_failed(store)
        store.wait(["error/0"], _PATIENCE)
        return False
    return not isinstance(error, ProcessLost)


def _others_failed(store: Store) -> bool:
    return any(store.check([f"error/{number}"]) for number in range(1, world_size()))


@contextmanager
def _exchange() -> Iterator[None]:
    """Turn the failure of an exchange between processes into the one error that it means."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not _LOST.search(str(error)):  # such as a type that cannot be sent
            raise
        raise ProcessLost(f"Another process has failed or was killed ({format_error(error)[:200]}).") from error


# --- what processes exchange -----------------------------------------------------------------------------------------


class _Average(torch.autograd.Function):
    """The mean over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        with _exchange():
            dist.all_reduce(total)
        return total.div_(world_size())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Average.apply(gradients[0])


def average(tensor: Tensor) -> Tensor:
    """Return the mean of a floating-point tensor over the processes. Gradients flow through it, twice if needed."""
    return _Average.apply(tensor) if world_size() > 1 else tensor


def gather(tensor: Tensor) -> Tensor:
    """Return the parts (n, ...) of all processes as one tensor (n * processes, ...), in the order of a batch, without
    gradients."""
    if world_size() == 1:
        return tensor.detach()
    parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(world_size())]
    with _exchange():
        dist.all_gather(parts, tensor.detach().contiguous())
    return torch.cat(parts)


def share(whole: Tensor) -> Tensor:
    """Return the part (n / processes, ...) of this process of a tensor (n, ...) that is the same in all of them."""
    n = len(whole) // world_size()
    return whole[rank() * n : (rank() + 1) * n] if world_size() > 1 else whole


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients over the processes, many of them in one message."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    while gradients:
        count, numbers = 0, 0
        while count < len(gradients) and (not count or numbers + gradients[count].numel() <= _BUCKET):
            numbers += gradients[count].numel()
            count += 1
        bucket, gradients = gradients[:count], gradients[count:]
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        with _exchange():
            dist.all_reduce(flat)
        means = flat.div_(world_size()).split([gradient.numel() for gradient in bucket])
        torch._foreach_copy_(bucket, [mean.view(to.shape) for mean, to in zip(means, bucket, strict=True)])


def largest(number: int) -> int:
    """Return the largest of the numbers of all processes."""
    if world_size() == 1:
        return number
    found = torch.tensor(number)
    with _exchange():
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def gather_objects(value: _T) -> list[_T]:
    """Return the values of all processes."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    with _exchange():
        dist.all_gather_object(found, value)
    return found


def from_first(function: Callable[[], _T]) -> _T:
    """Call a function in the first process and return its result in all of them. An error is raised in all of them."""
    if world_size() == 1:
        return function()
    answer: list[Any] = [None, None]
    if is_first():
        try:
            answer[0] = function()
        except GanzooError as error:
            answer[1] = error
    with _exchange():
        dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]  # type: ignore[no-any-return]


def check_equal(what: str, value: object) -> None:
    """Refuse to train together if the processes do not agree on something.

    Raises:
        UsageError: the value differs.
    """
    values = gather_objects(value)
    for number, other in enumerate(values):
        if other != values[0]:
            raise UsageError(
                f"The processes disagree on {what}: the first has {values[0]!r:.300}, number {number} has "
                f"{other!r:.300}. Start all of them with the same command, in folders with the same files."
            )
