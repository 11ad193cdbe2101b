"""Batch normalization over several processes: with the statistics of the whole batch, or each with those of its share.

Source: Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167, algorithm 1, over all samples of the batch. torch's
    SyncBatchNorm needs a GPU and has no second derivative, which gradient penalties need.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganzoo import distributed


def synchronize(model: nn.Module) -> None:
    """With several processes, make the batch normalizations of a model use the statistics of the whole batch while it
    is trained."""
    for module in model.modules() if distributed.world_size() > 1 else ():
        if isinstance(module, _BatchNorm):
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


def average_statistics(model: nn.Module) -> None:
    """Average the running statistics of a model over the processes, if each normalizes by its own share."""
    if distributed.world_size() == 1:
        return
    buffers = [
        buffer
        for module in model.modules()
        if isinstance(module, _BatchNorm) and "forward" not in vars(module)
        for buffer in (module.running_mean, module.running_var)
        if buffer is not None
    ]
    if buffers:
        means = distributed.average(torch.cat(buffers)).split([buffer.numel() for buffer in buffers])
        torch._foreach_copy_(buffers, list(means))


def _forward(module: _BatchNorm, x: Tensor) -> Tensor:
    if not module.training:
        return type(module).forward(module, x)
    module._check_input_dim(x)
    others = [0, *range(2, x.dim())]
    n = x.numel() // x.shape[1] * distributed.world_size()
    single = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    own_variance, own_mean = torch.var_mean(single, others, correction=0)  # (C,)
    mean = distributed.average(own_mean)
    variance = distributed.average(own_variance + (own_mean - mean).square())  # within the shares, and between them
    if module.track_running_stats and module.running_mean is not None and module.running_var is not None:
        with torch.no_grad():
            assert module.num_batches_tracked is not None
            module.num_batches_tracked += 1
            rate = module.momentum if module.momentum is not None else 1 / float(module.num_batches_tracked)
            module.running_mean.lerp_(mean.to(module.running_mean.dtype), rate)
            module.running_var.lerp_((variance * (n / max(1, n - 1))).to(module.running_var.dtype), rate)
    scale = torch.rsqrt(variance + module.eps)
    shift = -mean * scale
    if module.affine:
        scale, shift = scale * module.weight, shift * module.weight + module.bias
    shape = [1, -1, *[1] * (x.dim() - 2)]
    return torch.addcmul(shift.view(shape), single, scale.view(shape)).to(x.dtype)
