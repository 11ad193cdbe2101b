"""Previews: what the model makes of noise that stays the same throughout a run."""

from collections.abc import Mapping

from torch import Tensor

from ganzoo import images, randomness
from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.runs.directory import RunDirectory
from ganzoo.training.eval_mode import eval_mode
from ganzoo.training.state import TrainingState


def fixed_batch(state: TrainingState) -> Batch:
    """Return the real batch and the latents that all pictures of this run are made from."""
    real = state.stream.fixed_examples(state.settings.sample_count)
    rng = randomness.generator(state.settings.seed, "pictures", device=state.experiment.device)
    with eval_mode(state):
        return {**real, **state.model.generator_inputs(real, rng)}


def preview(state: TrainingState, fixed: Batch) -> dict[str, Tensor]:
    """Return the model's preview of the fixed batch, float32 on the CPU."""
    with eval_mode(state):
        return {name: value.detach().float().cpu() for name, value in state.model.preview(fixed).items()}


def draw(state: TrainingState, samples: Tensor) -> Tensor | None:
    """Return pictures of samples, or None if they cannot be drawn.

    Raises:
        UsageError: what the dataset returned is no pictures.
    """
    dataset = state.experiment.dataset
    target = dataset.fields[dataset.target]
    drawn = dataset.pictures(samples, target) if samples.shape[1:] == target.shape else images.pictures(samples)
    if drawn is not None and not (images.drawable(drawn) and drawn.is_floating_point()):
        raise UsageError(
            f"pictures() of {type(dataset).__name__} must return None or float pictures (n, 1 or 3, H, W) in [-1, 1], "
            f"not {drawn.dtype} {tuple(drawn.shape)}."
        )
    return drawn


def save_pictures(
    state: TrainingState, directory: RunDirectory, previews: Mapping[str, Tensor], first: bool
) -> dict[str, Tensor]:
    """Write a PNG of each preview that can be drawn, and return these pictures, float32 (N, C, H, W) in [-1, 1].
    ``real`` never changes, so it is written the first time only."""
    pictures = {name: drawn for name, value in previews.items() if (drawn := draw(state, value)) is not None}
    if written := {name: drawn for name, drawn in pictures.items() if name != "real" or first}:
        directory.write_pictures(written, state.step)
    return pictures
