"""The turns of a step: those of the loss, joined by the penalties of the recipe."""

from collections.abc import Iterator, Mapping
from functools import partial

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.loss import Loss, Penalty, Terms, Turn
from ganzoo.model import Model


def build_turns(loss: Loss, penalties: Mapping[str, Penalty]) -> tuple[Turn, ...]:
    """Return all turns of a step, in order. Penalties join the first turn of their player; a lazy penalty is a turn of
    its own right after that.

    Raises:
        ValueError: the loss returns no turns, or something else among them.
        UsageError: a penalty is for a player that the loss does not move.
    """
    turns = list(loss.turns())
    if not turns or not all(isinstance(turn, Turn) and turn.every >= 1 for turn in turns):
        raise ValueError(f"turns() must return at least one Turn with every >= 1, not {turns!r:.200}")
    movers = {turn.player for turn in turns}
    for name, penalty in penalties.items():
        if penalty.player not in movers:
            raise UsageError(
                f"The penalty {name!r} joins the moves of {penalty.player!r}, but this loss moves: "
                f"{', '.join(sorted(movers))}."
            )
    return tuple(_joined(turns, penalties)) if penalties else tuple(turns)


def _joined(turns: list[Turn], penalties: Mapping[str, Penalty]) -> Iterator[Turn]:
    for number, turn in enumerate(turns):
        if turn.player in (earlier.player for earlier in turns[:number]):
            yield turn
            continue
        own = {name: penalty for name, penalty in penalties.items() if penalty.player == turn.player}
        eager = {name: penalty for name, penalty in own.items() if penalty.every == 1}
        yield Turn(turn.player, partial(_objective, turn, eager), turn.every, partial(_after, turn, eager))
        for name, penalty in own.items():
            if penalty.every > 1:
                every = turn.every * penalty.every
                yield Turn(turn.player, partial(_penalty_terms, {name: penalty}), every, penalty.after)


def _objective(turn: Turn, penalties: Mapping[str, Penalty], model: Model, real: Batch, shared: Batch) -> Terms:
    terms = turn.objective(model, real, shared)
    added = _penalty_terms(penalties, model, real, shared).losses
    if taken := terms.losses.keys() & added.keys():
        raise UsageError(f"Both the loss and a penalty have a term called {min(taken)!r}. Rename the penalty.")
    return terms._replace(losses={**terms.losses, **added})


def _penalty_terms(penalties: Mapping[str, Penalty], model: Model, real: Batch, shared: Batch) -> Terms:
    losses = {}
    for name, penalty in penalties.items():
        term = penalty.term(model, real, shared)
        if term is not None:
            losses[name.rpartition("/")[2]] = term * (penalty.weight * penalty.every)
    return Terms(losses)


def _after(turn: Turn, penalties: Mapping[str, Penalty], model: Model) -> None:
    for after in (turn.after, *(penalty.after for penalty in penalties.values())):
        if after:
            after(model)
