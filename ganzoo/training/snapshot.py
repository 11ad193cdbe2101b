"""Snapshots: a training's whole state as a checkpoint, and back.

Called by the loop when a checkpoint is due, by ``ganzoo resume``, and by a rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganzoo.errors import GanzooError, UsageError
from ganzoo.registry import PARTS, Recipe
from ganzoo.training import checkpoint, randomness
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.ledger import NonFinite

if TYPE_CHECKING:
    from ganzoo.training.loop import Training


def take(training: Training) -> Checkpoint:
    """Return all that the training needs to go on as if it had never stopped.

    Raises:
        NonFinite: a weight is not a number; nobody could go on from there.
    """
    for name, value in training.model.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise NonFinite(f"the weight {name}", training.step, float("nan"))
    tensors, rest = randomness.global_state()
    trees = {f"optimizer.{name}": player.optimizer.state_dict() for name, player in training.players.items()}
    trees |= {f"penalty.{name}": penalty.state_dict() for name, penalty in training.penalties.items()}
    trees |= {"loss": training.loss.state_dict(), "rng": {**tensors, "noise": training.rng.get_state()}}
    state, structure = checkpoint.pack(trees)
    return Checkpoint(
        step=training.step,
        weights=checkpoint.on_host(training.model.state_dict()),
        average=checkpoint.on_host(training.average.tensors) if training.average else {},
        training=state,
        rest={
            "settings": _identity(training.experiment.recipe),
            "fields": {name: field.plain() for name, field in training.experiment.data.fields.items()},
            "seconds": training.seconds,
            "best": training.best,
            "rollbacks": training.rollbacks,
            "random": rest,
            "structure": structure,
        },
    )


def put_back(training: Training, saved: Checkpoint) -> None:
    """Put everything where the checkpoint stands, to the bit.

    Raises:
        UsageError: recipe.toml was changed since in what a resume cannot change.
        GanzooError: the checkpoint does not fit.
    """
    for name, value in _identity(training.experiment.recipe).items():
        trained = saved.rest.get("settings", {}).get(name, {})
        if any(value.get(key) != setting for key, setting in trained.items()):  # a newer ganzoo may know more of them
            raise UsageError(
                f"The run was trained with other settings of {name!r} than recipe.toml has now. Put them back "
                f"({trained}), or train anew: ganzoo run DIR/recipe.toml."
            )
    try:
        state = checkpoint.unpack(saved.training, saved.rest["structure"])
        training.model.load_state_dict(saved.weights)
        training.loss.load_state_dict(state["loss"])
        for name, penalty in training.penalties.items():
            penalty.load_state_dict(state[f"penalty.{name}"])
        for name, player in training.players.items():
            player.put_back(state[f"optimizer.{name}"])
        if training.average:
            for key, tensor in training.average.tensors.items():
                tensor.copy_(saved.average[key])
        training.rng.set_state(state["rng"].pop("noise"))
        training.random = (state["rng"], saved.rest["random"])
        training.step, training.seconds, training.best = saved.step, saved.rest["seconds"], saved.rest["best"]
        training.rollbacks = saved.rest.get("rollbacks", 0)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise GanzooError(f"The checkpoint of step {saved.step} does not fit this recipe: {error}.") from error


def _identity(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that make the run what it is: with others, a checkpoint is not this run's."""
    parts = {kind: {"name": part.name, **part.settings} for kind in PARTS for part in (getattr(recipe, kind),)}
    train = {key: recipe.train[key] for key in ("batch_size", "seed", "ema", "augment")}
    return {**parts, "penalties": dict(recipe.penalties), "optimizer": dict(recipe.optimizer), "train": train}
