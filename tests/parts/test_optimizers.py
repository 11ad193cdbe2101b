"""The optimizers compute what those of torch do, although they step around torch's decorators."""

import copy

import pytest
import torch
from ganzoo_optimizers import classic
from torch import nn

PAIRS = [
    (classic.Adam, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1, "fused": True}),
    (classic.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1, "fused": True}),
    (classic.RMSprop, torch.optim.RMSprop, {"lr": 0.01, "weight_decay": 0.1}),
    (classic.SGD, torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
]


def steps(network: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for step in range(count):
        optimizer.zero_grad()
        network(torch.full((2, 3), float(step))).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS)
def test_they_compute_what_those_of_torch_do(ours, theirs, options):
    torch.manual_seed(0)
    one = nn.Linear(3, 2)
    other = copy.deepcopy(one)
    own = {name: value for name, value in options.items() if name != "fused"}
    first, second = ours(one.parameters(), **own), theirs(other.parameters(), **options)
    steps(one, first, 3)
    steps(other, second, 3)
    first.load_state_dict(copy.deepcopy(second.state_dict()))  # the states are interchangeable
    steps(one, first, 2)
    steps(other, second, 2)
    assert torch.equal(one.weight, other.weight)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in one.parameters())


def test_hooks_of_torch_run():
    network, seen = nn.Linear(3, 2), []
    optimizer = classic.Adam(network.parameters())
    optimizer.register_step_post_hook(lambda *args: seen.append("step"))
    optimizer.register_load_state_dict_post_hook(lambda *args: seen.append("load"))
    steps(network, optimizer, 1)
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["step", "load"]
