"""A rehearsal: one step on copies of the parts, so that what breaks, breaks before anything is written."""

import copy
import warnings

from ganzoo.errors import GanzooError, UsageError
from ganzoo.plugins import describe
from ganzoo.training import randomness, views
from ganzoo.training.game import moves
from ganzoo.training.ledger import Ledger
from ganzoo.training.loop import Training
from ganzoo.training.players import seat


def rehearse(training: Training) -> None:
    """Play one step with every player moving, and preview, on copies: the training itself is not touched.

    Raises:
        UsageError: the parts do not play together.
    """
    recipe = training.experiment.recipe
    try:
        with randomness.preserved(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is worth a warning will be said in the run
            _play(training)
    except GanzooError:
        raise
    except Exception as error:
        parts = ", ".join(f"{kind} {getattr(recipe, kind).name!r}" for kind in ("data", "model", "loss"))
        raise UsageError(
            f"These parts do not play together: {parts}. A rehearsal of one step ended in {describe(error)} "
            "(--debug shows where)."
        ) from error


def _play(training: Training) -> None:
    twin = copy.copy(training)
    twin.model, twin.loss, twin.penalties = copy.deepcopy((training.model, training.loss, training.penalties))
    twin.turns, twin.players = moves(twin.loss, twin.penalties), seat(twin.model, training.experiment.optimizers)
    twin.average, twin.rng = None, randomness.generator(0, "rehearsal", device=training.experiment.device)

    experiment, target = training.experiment, training.model.target
    field = experiment.data.fields[target]
    some = twin.dealer.some(2)
    sample = twin.model.generate(twin.model.inputs(some, twin.rng))
    if sample.shape[1:] != field.shape:
        raise UsageError(
            f"The model {experiment.recipe.model.name!r} generates samples of shape {tuple(sample.shape[1:])}, but "
            f"{target!r} of the data {experiment.recipe.data.name!r} has {field.shape}."
        )
    ledger = Ledger()
    twin.play(0, twin.dealer.some(min(2, training.settings.batch_size)), ledger)  # 0 is a multiple of every `every`
    ledger.check_names()
    views.preview(twin, views.fixed(twin))
