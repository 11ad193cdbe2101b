"""Mixed precision and compilation: how the networks compute in training (``train.precision``, ``train.compile``).

Both change the forward pass of each network that a player owns, and nothing else: weights, optimizers, losses and
penalties stay in fp32, and penalties run eagerly, because they differentiate twice. So do samples and evaluations.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
import torch._functorch.config
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ganzoo.errors import UsageError
from ganzoo.model import Model
from ganzoo.training.settings import TrainSettings

_plain: list[bool] = []  # not empty: networks compute as they are


@contextmanager
def plain() -> Iterator[None]:
    """Within the block, networks compute eagerly and in fp32."""
    _plain.append(True)
    try:
        yield
    finally:
        _plain.pop()


def accelerate(model: Model, settings: TrainSettings, device: torch.device) -> None:
    """Change the forward passes of a model's networks as the settings say.

    Raises:
        UsageError: the device or this machine cannot do it.
    """
    mixed, compiled = settings.precision == "bf16", settings.compile == "on"
    if mixed:
        check_bf16(device)
    if compiled:
        check_compiler(device)
        # Compiled backward passes may reuse the memory of their graphs, unless these are needed again, as turns and
        # lazy penalties need them.
        torch._functorch.config.donated_buffer = False
    restore(model)  # it may be a copy of another run's
    for network in _networks(model) if mixed or compiled else ():
        forward = type(network).forward
        if compiled:
            # Noise that is drawn inside a network is that of the eager network.
            forward = torch.compile(forward, dynamic=False, options={"fallback_random": True})
        network.forward = partial(_forward, network, forward, device.type if mixed else "")


def restore(model: Model) -> None:
    """Make the networks of a model compute as they are again; also its batch normalizations."""
    for module in model.modules():
        if isinstance(vars(module).get("forward"), partial):  # this module's, or that of batch_norm.py
            del module.forward


def _networks(model: Model) -> list[nn.Module]:
    names = dict.fromkeys(name for owned in model.players.values() for name in owned)
    modules = dict(model.named_modules())
    found = [modules[name] for name in names if name in modules]
    lists = [list(network.children()) if type(network).forward is nn.Module.forward else [network] for network in found]
    return list(dict.fromkeys(chain.from_iterable(lists)))  # a list of networks is never called itself


def _forward(network: nn.Module, forward: Callable[..., Any], autocast: str, *inputs: Any, **named: Any) -> Any:
    if _plain or not network.training:
        return type(network).forward(network, *inputs, **named)
    if not autocast:
        return forward(network, *inputs, **named)
    with torch.autocast(autocast, torch.bfloat16):
        outputs = forward(network, *inputs, **named)
    return pytree.tree_map_only(Tensor, lambda value: value.float() if value.is_floating_point() else value, outputs)


def check_bf16(device: torch.device) -> None:
    """Refuse bf16 on a device that lacks it.

    Raises:
        UsageError: it does.
    """
    try:
        if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise TypeError
        torch.zeros(1, dtype=torch.bfloat16, device=device)
    except (TypeError, RuntimeError):
        raise UsageError(f"The device {str(device)!r} has no bf16. Leave out --precision bf16.") from None


def check_compiler(device: torch.device) -> None:
    """Refuse to compile without a compiler.

    Raises:
        UsageError: there is none.
    """
    if device.type == "cuda":
        if not importlib.util.find_spec("triton"):
            raise UsageError("--compile on needs the package triton on a GPU. Install it, or leave out --compile.")
    elif not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++", "cl")))):
        raise UsageError("--compile on needs a C++ compiler, such as g++. Install one, or leave out --compile.")
