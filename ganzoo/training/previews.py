"""Previews: what the model makes of noise that stays the same throughout a run."""

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from ganzoo import images, randomness
from ganzoo.data import Batch
from ganzoo.runs.directory import RunDirectory
from ganzoo.training.state import TrainingState


def fixed_batch(state: TrainingState) -> Batch:
    """Return the real batch and the latents that all pictures of this run are made from."""
    real = state.stream.fixed_examples(state.settings.sample_count)
    rng = randomness.generator(state.settings.seed, "pictures", device=state.experiment.device)
    with state.eval_mode():
        return {**real, **state.model.generator_inputs(real, rng)}


def preview(state: TrainingState, fixed: Batch) -> dict[str, Tensor]:
    """Return the model's preview of the fixed batch, float32 on the CPU."""
    with state.eval_mode():
        return {name: value.detach().float().cpu() for name, value in state.model.preview(fixed).items()}


def save_pictures(
    state: TrainingState, directory: RunDirectory, previews: Mapping[str, Tensor], first: bool
) -> dict[str, Tensor]:
    """Write a PNG of each preview that can be drawn, and return these pictures, float32 (N, C, H, W) in [-1, 1].
    ``real`` never changes, so it is written the first time only."""
    dataset = state.experiment.dataset
    target = dataset.fields[dataset.target]
    pictures: dict[str, Tensor] = {}
    for name, value in previews.items():
        draw = partial(dataset.pictures, field=target) if value.shape[1:] == target.shape else images.pictures
        if (drawn := draw(value)) is not None:
            pictures[name] = drawn
    if pictures:
        directory.samples.mkdir(exist_ok=True)
    for name, value in pictures.items():
        if name != "real" or first:
            images.save(images.grid(value), directory.picture(name, state.step))
    return pictures
