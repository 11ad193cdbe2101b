"""Looking at a training from outside: what it makes of the fixed noise, and how good that is. The training notices
nothing of it: all that was changed is put back.

Called by the loop when pictures or an evaluation are due, and by the rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.data import Batch
from ganzoo.errors import GanzooError
from ganzoo.evaluation import cards
from ganzoo.plugins import warn
from ganzoo.training import randomness
from ganzoo.training.run import RunDirectory

if TYPE_CHECKING:
    from ganzoo.training.loop import Training


@contextmanager
def as_sampled(training: Training) -> Iterator[None]:
    """Within the block the model is as it would be sampled from: in eval mode, without gradients, with averaged
    weights where an average is kept; afterwards all is as before, the global random states too."""
    average, modes = training.average, {module: module.training for module in training.model.modules()}
    training.model.eval()
    try:
        with randomness.preserved(), torch.no_grad(), average.applied() if average else nullcontext():
            yield
    finally:
        for module, mode in modes.items():  # one by one: a model may keep a part of itself in eval mode
            module.training = mode


def fixed(training: Training) -> Batch:
    """Return the real batch and the latents that every picture of this run is made from."""
    real = training.dealer.some(training.settings.sample_count)
    rng = randomness.generator(training.settings.seed, "pictures", device=training.experiment.device)
    with as_sampled(training):
        return {**real, **training.model.inputs(real, rng)}


def preview(training: Training, batch: Batch) -> dict[str, Tensor]:
    """Return what the model previews of the fixed batch, float32 on the host."""
    with as_sampled(training):
        return {name: value.detach().float().cpu() for name, value in training.model.preview(batch).items()}


def draw(directory: RunDirectory, previews: Mapping[str, Tensor], step: int, first: bool) -> dict[str, Tensor]:
    """Write a PNG of each preview that can be drawn, and return them as float32 (N, C, H, W) in [-1, 1]; ``real``,
    which stays the same, is written the first time only."""
    pictures = {name: drawn for name, value in previews.items() if (drawn := images.pictures(value)) is not None}
    if pictures:
        directory.samples.mkdir(exist_ok=True)
    for name, value in pictures.items():
        if name != "real" or first:
            images.save(images.grid(value), directory.picture(name, step))
    return pictures


def measure(training: Training, directory: RunDirectory) -> tuple[dict[str, float], bool]:
    """Evaluate, add the numbers to the run's cards, and return them as scalars; and whether the first of them is the
    best so far, which is then noted in ``training.best``. What cannot be measured is said, and training goes on."""
    experiment = training.experiment
    evaluator = experiment.evaluator
    assert evaluator
    try:
        with as_sampled(training):
            results = evaluator.measure(training.model)
    except GanzooError as error:
        warn(f"step {training.step} could not be measured: {error}")
        return {}, False
    directory.write_cards(
        cards.make(
            results,
            evaluator,
            experiment.held_out,
            checkpoint="training",
            step=training.step,
            device=str(experiment.device),
        )
    )
    name, (value, better, _) = results[0].name, results[0].score
    best = training.best if training.best and training.best["metric"] == name else None
    improved = bool(better) and (
        best is None or (value > best["value"] if better == "higher" else value < best["value"])
    )
    if improved:
        training.best = {"metric": name, "value": value, "step": training.step}
    return {f"metric/{result.name}": result.score.value for result in results}, improved
