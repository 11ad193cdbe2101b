"""The settings of the training loop: ``[NAME.train]`` of a recipe, ``--set train.X=...`` on the command line."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ganzoo.options import Option


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train, whatever is trained."""

    epochs: Annotated[int, Option("Passes over the data", ge=1, le=10**9)] = 100
    steps: Annotated[int | None, Option("Steps in all, instead of epochs", ge=1, le=10**12)] = None
    batch_size: Annotated[
        int, Option("Examples in a step's batch; an epoch leaves out the remainder", ge=1, le=10**9)
    ] = 64
    seed: Annotated[int, Option("Where all randomness comes from", ge=0, lt=2**63)] = 0
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Option("auto takes cuda, mps or cpu")] = "auto"
    ema: Annotated[float, Option("Decay a step of the weights' moving average; 0 keeps none", ge=0, lt=1)] = 0.0
    augment: Annotated[
        tuple[Literal["colour", "translation", "cutout"], ...],
        Option("DiffAugment: how the discriminator sees every image changed by chance; [] for as it is"),
    ] = ()
    log_every: Annotated[int, Option("Steps between two ticks of the scalars", ge=1, le=10**9)] = 100
    sample_every: Annotated[int, Option("Epochs between two sample grids", ge=1, le=10**9)] = 1
    sample_count: Annotated[int, Option("Pictures in a sample grid", ge=1, le=4096)] = 32
    checkpoint_every: Annotated[int, Option("Steps between two checkpoints", ge=1, le=10**9)] = 2000
    keep: Annotated[int, Option("Checkpoints kept, the newest ones; the best one besides", ge=1, le=10**9)] = 3
    evaluate_every: Annotated[int, Option("Steps between two evaluations; 0 makes none", ge=0, le=10**9)] = 0
    evaluate_samples: Annotated[
        int, Option("Samples an evaluation draws on either side; or all there are", ge=2, le=10**9)
    ] = 5000
    metrics: Annotated[
        tuple[str, ...],
        Option("What an evaluation measures; the first decides which is best; [] leaves it to the data"),
    ] = ()
    on_collapse: Annotated[
        Literal["warn", "stop", "rollback"],
        Option("At a fatal alarm: go on; save and stop; or go back to before it and take other noise, 3 times at most"),
    ] = "warn"
    resident: Annotated[
        Literal["auto", "always", "never"], Option("Keep data that are in memory on the device; auto: where they fit")
    ] = "auto"
    workers: Annotated[int, Option("Processes that fetch data which are not resident", ge=0, le=256)] = 0
