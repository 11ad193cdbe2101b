"""A dry run: one step on copies of the parts, so that mistakes show before anything is written."""

import warnings
from contextlib import suppress
from dataclasses import replace

from torch import Tensor

from ganzoo import randomness
from ganzoo.data import Dataset
from ganzoo.errors import GanzooError, UsageError, explained, shortage
from ganzoo.guard import Guarded
from ganzoo.runs import checkpoint
from ganzoo.training import previews
from ganzoo.training.scalars import NonFinite, ScalarBuffer
from ganzoo.training.state import TrainingState


def dry_run(state: TrainingState) -> None:
    """Play one step, and one of each later phase, and turns that none of these had; make a preview and a checkpoint.
    This happens on copies: ``state`` does not change.

    Raises:
        UsageError: the parts do not work together.
    """
    recipe = state.experiment.recipe
    try:
        with randomness.preserved(), warnings.catch_warnings(), Guarded():
            warnings.simplefilter("ignore")  # the run itself will warn
            _play(state)
    except GanzooError:
        raise
    except Exception as error:
        if lacking := shortage(error):
            raise GanzooError(f"{lacking[0]}, in a dry run of one step. {lacking[1]}.") from error
        parts = ", ".join(f"{kind} {getattr(recipe, kind).name!r}" for kind in ("data", "model", "loss"))
        raise UsageError(
            f"These parts do not work together: {parts}. A dry run failed with {explained(error)}."
        ) from error


def _play(state: TrainingState) -> None:
    experiment = state.experiment.copied()
    experiment = replace(experiment, settings=replace(experiment.settings, compile="off"))
    twin, model = TrainingState(experiment, state.stream), experiment.model
    twin.stream.order(0)
    field = experiment.dataset.fields[model.target]
    sample = model.generate(model.generator_inputs(twin.stream.fixed_examples(2), twin.rng))
    if sample.shape[1:] != field.shape:
        raise UsageError(
            f"The model {experiment.recipe.model.name!r} generates samples of shape {tuple(sample.shape[1:])}, but "
            f"{model.target!r} of the dataset {experiment.recipe.data.name!r} has {field.shape}."
        )
    pieces = twin.settings.accumulate
    buffer, real = ScalarBuffer(), twin.stream.fixed_examples(min(2 * pieces, twin.settings.batch_size))
    turns = [replace(turn, every=1) for turn in twin.turns]  # in later phases, only ``when`` counts
    steps = [(phase, turns if phase else twin.turns) for phase in twin.phases]
    alone = [turn for turn in turns if not any(turn.due(phase) for phase in twin.phases)]
    for step, played in [*steps, *((0, [replace(turn, when=None)]) for turn in alone)]:
        twin.turns = tuple(played)
        try:
            twin.train_step(step, real, buffer)
        except Exception as error:
            turn = f", in the turn of {twin.playing.player!r}" if twin.playing else ""
            error.add_note(f"step {step}{turn}")
            raise
    buffer.check_names()
    if twin.score_listeners and not twin.reports_scores:
        raise UsageError(
            f"{min(twin.score_listeners)} observes the scores of the discriminator, and the loss "
            f"{experiment.recipe.loss.name!r} reports none."
        )
    samples = previews.preview(twin, previews.fixed_batch(twin))
    for value in samples.values():
        previews.draw(twin, value)
    _encode(experiment.dataset, samples.get("fake"))
    with suppress(NonFinite):  # training itself will explain it
        checkpoint.serialize(twin.state_dict())


def _encode(dataset: Dataset, samples: Tensor | None) -> None:
    """Try each format of a dataset."""
    field = dataset.fields[dataset.target]
    for form in dataset.formats:
        if not (isinstance(form, str) and form.startswith(".") and isinstance(dataset.formats, tuple)):
            raise UsageError(f'formats of {type(dataset).__name__} must be a tuple of suffixes, such as (".csv",).')
        if samples is not None and samples.shape[1:] == field.shape:
            content = dataset.encode(samples, field, form)
            if not isinstance(content, bytes):
                raise UsageError(f"encode() of {type(dataset).__name__} must return bytes, not {content!r:.40}.")
