"""What several processes do in tests/engine/test_distributed.py: ``torchrun ... tests/together.py FOLDER NAME ...``.

Each process writes what it found to FOLDER/found-RANK.json.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import nn

from ganzoo import api, distributed
from ganzoo.training import batch_norm
from ganzoo.training.trainer import Trainer

STEPS = 50
QUICK = {"train.log_every": 1, "train.sample_count": 2, "train.keep": 1}
RECIPES = {  # name -> recipe, steps, batch size, settings
    "ring8": ("fc-ring8", STEPS, 12, {}),
    "digits": ("fc-mnist", STEPS, 12, {"data.split": "test"}),
    "synced": ("dcgan-mnist", 2, 12, {"data.split": "test", "train.ema": 0.9}),
    "local": ("dcgan-mnist", 2, 12, {"data.split": "test", "train.sync_batch_norm": False}),
    "pool": ("cyclegan-mnist", 2, 6, {}),
    "adaptive": ("stylegan2-mnist", 8, 6, {"data.split": "test"}),
}


SHIFT, SPREAD = 30, 0.01  # where a difference of squares would lose all digits of float32


def offset(synced: bool) -> float:
    """Return the largest error of a normalized float32 batch whose mean is far greater than its spread."""
    whole = torch.randn(12, 3, 5, generator=torch.Generator().manual_seed(2)) * SPREAD + SHIFT
    net, exact = nn.BatchNorm1d(3), nn.BatchNorm1d(3).double()
    if synced:
        batch_norm.synchronize(net)
    return (distributed.gather(net(distributed.share(whole))) - exact(whole.double())).abs().max().item()


def normalized(whole: torch.Tensor, synced: bool) -> dict[str, list[float]]:
    """Return outputs, gradients and second derivatives of a batch normalization of a batch (12, 3, 5)."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Tanh(), nn.Conv1d(3, 3, 2), nn.BatchNorm1d(3, affine=False)).double()
    if synced:
        batch_norm.synchronize(net)
    x = (distributed.share(whole) if synced else whole).clone().requires_grad_()
    out = net(x).sin()
    out.mean().backward(create_graph=True)
    slope = x.grad.square().sum()
    (second,) = torch.autograd.grad(slope, net[2].weight)
    if synced:  # the mean over the processes of means over their shares is the mean over the batch
        out, gradient = distributed.gather(out), distributed.gather(x.grad) / distributed.world_size()
        second = distributed.average(second) / distributed.world_size()
    else:
        gradient = x.grad
    buffers = [net[0].running_mean, net[0].running_var, net[3].running_var]
    return {
        "out": out.flatten().tolist(),
        "gradient": gradient.flatten().tolist(),
        "second": second.flatten().tolist(),
        "running": torch.cat(buffers).tolist(),
    }


def digest(trainer: Trainer) -> dict[str, str]:
    """Return a hash of each tensor of the state of a run that should be the same in all processes."""
    state = trainer.state
    parts = {"model": state.model, **state.experiment.training_parts}
    tensors = {f"{path}.{name}": value for path, part in parts.items() for name, value in part.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in (state.ema.tensors if state.ema else {}).items()}
    tensors["rng"] = state.rng.get_state()
    return {n: hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest() for n, value in tensors.items()}


def main(folder: Path, names: list[str]) -> None:
    ended: list[Trainer] = []
    run = Trainer.run
    Trainer.run = lambda self: (run(self), ended.append(self))[0]
    whole = torch.randn(12, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3 + 7
    found = {"together": normalized(whole, True), "alone": normalized(whole, False), "states": {}, "noise": {}}
    found["offset"] = offset(True)
    for name in names:
        recipe, steps, batch_size, settings = RECIPES[name]
        settings = {**QUICK, **settings}
        api.train(recipe, out=folder / name, steps=steps, batch_size=batch_size, device="cpu", settings=settings)
        found["states"][name] = digest(ended[-1])
        found["noise"][name] = ended[-1].state.global_random[0]["torch"].sum().item()
    Path(folder, f"found-{distributed.rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    with distributed.launched():
        main(Path(sys.argv[1]), sys.argv[2:])
