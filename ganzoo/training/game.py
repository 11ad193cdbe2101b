"""The game: the turns of a loss, joined by the penalties of the recipe.

Called when an experiment is built, and for the rehearsal's copies; what comes out is all the moves there are, in order.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.loss import Loss, Penalty, Terms, Turn
from ganzoo.model import Model


def moves(loss: Loss, penalties: Mapping[str, Penalty]) -> tuple[Turn, ...]:
    """Return the turns of the loss, in order. What a player's every move is to minimise besides is in its first turn;
    a lazy penalty is a turn of its own right after that.

    Raises:
        ValueError: the loss has no turns, or something else among them.
        UsageError: a penalty is for a player that the loss does not move.
    """
    turns = list(loss.turns())
    if not turns or not all(isinstance(turn, Turn) and turn.every >= 1 for turn in turns):
        raise ValueError(f"it must have turns, each a Turn with every = 1 or more, not {turns!r:.200}")
    movers = {turn.player for turn in turns}
    for name, penalty in penalties.items():
        if penalty.player not in movers:
            raise UsageError(
                f"The penalty {name!r} joins the moves of {penalty.player!r}, but this loss moves: "
                f"{', '.join(sorted(movers)) or 'nobody'}."
            )
    return tuple(_joined(turns, penalties)) if penalties else tuple(turns)


def _joined(turns: list[Turn], penalties: Mapping[str, Penalty]) -> Iterator[Turn]:
    for number, turn in enumerate(turns):
        if turn.player in (earlier.player for earlier in turns[:number]):
            yield turn
            continue
        own = {name: penalty for name, penalty in penalties.items() if penalty.player == turn.player}
        always = {name: penalty for name, penalty in own.items() if penalty.every == 1}
        yield Turn(turn.player, partial(_objective, turn, always), turn.every, partial(_after, turn, always))
        for name, penalty in own.items():
            if penalty.every > 1:
                lazy = Turn(turn.player, partial(_penalty, {name: penalty}), turn.every * penalty.every, penalty.after)
                yield lazy


def _objective(turn: Turn, penalties: Mapping[str, Penalty], model: Model, real: Batch, now: Batch) -> Terms:
    terms, further = turn.objective(model, real, now), _penalty(penalties, model, real, now).loss
    if taken := terms.loss.keys() & further.keys():
        raise UsageError(f"Both the loss and a penalty have a term called {min(taken)!r}; rename the penalty.")
    return terms._replace(loss={**terms.loss, **further})


def _penalty(penalties: Mapping[str, Penalty], model: Model, real: Batch, now: Batch) -> Terms:
    found = {name.rpartition("/")[2]: (penalty, penalty.term(model, real, now)) for name, penalty in penalties.items()}
    return Terms(
        {name: term * (penalty.weight * penalty.every) for name, (penalty, term) in found.items() if term is not None}
    )


def _after(turn: Turn, penalties: Mapping[str, Penalty], model: Model) -> None:
    for after in (turn.after, *(penalty.after for penalty in penalties.values())):
        if after:
            after(model)
