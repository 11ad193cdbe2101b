"""The settings of the training loop: the table ``train`` of a recipe, ``--set train.X=...`` on the command line."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ganzoo.options import Option


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train, independent of the parts."""

    epochs: Annotated[int, Option("Passes over the data", ge=1, le=10**9)] = 100
    steps: Annotated[int | None, Option("Total steps; overrides epochs", ge=1, le=10**12)] = None
    batch_size: Annotated[int, Option("Examples per step; the remainder of an epoch is dropped", ge=1, le=10**9)] = 64
    seed: Annotated[int, Option("Random seed", ge=0, lt=2**63)] = 0
    device: Annotated[
        str, Option("auto (cuda, mps or cpu), cpu, mps, cuda, or one of several: cuda:1", pattern=r"^[a-z]+(:[0-9]+)?$")
    ] = "auto"
    ema: Annotated[
        float, Option("Decay per step of the moving average of the weights; 0 keeps no average", ge=0, lt=1)
    ] = 0.0
    log_every: Annotated[int, Option("Steps between ticks of the scalars", ge=1, le=10**9)] = 100
    sample_every: Annotated[int, Option("Epochs between sample grids", ge=1, le=10**9)] = 1
    sample_min_steps: Annotated[
        int, Option("Least number of steps between sample grids, where epochs are short", ge=1, le=10**9)
    ] = 500
    sample_count: Annotated[int, Option("Pictures per sample grid", ge=1, le=4096)] = 32
    checkpoint_every: Annotated[int, Option("Steps between checkpoints", ge=1, le=10**9)] = 2000
    keep: Annotated[int, Option("Newest checkpoints to keep, in addition to the best one", ge=1, le=10**9)] = 3
    evaluate_every: Annotated[int, Option("Steps between evaluations; 0 for none", ge=0, le=10**9)] = 0
    evaluate_samples: Annotated[
        int, Option("Samples per evaluation on either side; all if there are fewer", ge=2, le=10**9)
    ] = 5000
    metrics: Annotated[
        tuple[str, ...],
        Option("What evaluations measure; the first decides which checkpoint is best; [] for the dataset's first"),
    ] = ()
    on_collapse: Annotated[
        Literal["warn", "stop", "rollback"],
        Option("At a fatal alarm: continue; save and stop; or return to before it with other noise, at most 3 times"),
    ] = "warn"
    cache_on_device: Annotated[
        Literal["auto", "always", "never"], Option("Keep an in-memory dataset on the device; auto: if it fits")
    ] = "auto"
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Option("What networks compute with in training; bf16: mixed precision; auto: what is faster here"),
    ] = "fp32"
    compile: Annotated[
        Literal["off", "on", "auto"], Option("Whether networks are compiled; auto: if that makes this run shorter")
    ] = "off"
    accumulate: Annotated[
        int, Option("Micro-batches per step, whose gradients are averaged: for batches that do not fit", ge=1, le=10**6)
    ] = 1
    sync_batch_norm: Annotated[
        bool, Option("With several processes: whether batch normalization uses the whole batch, not each one's share")
    ] = True
    num_workers: Annotated[int, Option("Processes that load an uncached dataset", ge=0, le=256)] = 0
