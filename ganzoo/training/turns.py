"""The turns of a step, and the penalties that join them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.loss import Loss, Penalty, Terms, Turn
from ganzoo.model import Model
from ganzoo.training import acceleration
from ganzoo.training.scalars import check_numbers


def build_turns(loss: Loss, penalties: Mapping[str, Penalty]) -> tuple[Turn, ...]:
    """Return the turns of a loss.

    Raises:
        ValueError: the loss returns no turns, or something else among them.
        UsageError: a penalty is for a player that the loss does not move.
    """
    turns = tuple(loss.turns())
    if not turns or not all(isinstance(turn, Turn) and turn.every >= 1 for turn in turns):
        raise ValueError(f"turns() must return at least one Turn with every >= 1, not {turns!r:.200}")
    movers = {turn.player for turn in turns}
    for name, penalty in penalties.items():
        if penalty.player not in movers:
            raise UsageError(
                f"The penalty {name!r} joins the moves of {penalty.player!r}, but this loss moves: "
                f"{', '.join(sorted(movers))}. Choose one with penalties.{name}.player."
            )
    return turns


def joining(
    penalties: Mapping[str, Penalty], player: str, number: int
) -> tuple[dict[str, Penalty], dict[str, Penalty]]:
    """Return the penalties that join a move, and the lazy ones that follow it.

    Args:
        penalties: all of them.
        player: who moves.
        number: of the move, from 1; 0 in a dry run, in which all join.
    """
    own = {name: penalty for name, penalty in penalties.items() if penalty.player == player}
    eager = {name: penalty for name, penalty in own.items() if penalty.every == 1}
    lazy = {name: penalty for name, penalty in own.items() if penalty.every > 1 and number % penalty.every == 0}
    return eager, lazy


def joined(terms: Terms, penalties: Mapping[str, Penalty], model: Model, real: Batch, shared: Batch) -> Terms:
    """Return the terms of a turn together with those of penalties."""
    added = penalty_terms(penalties, model, real, shared)
    if taken := terms.losses.keys() & added.losses.keys():
        raise UsageError(f"Both the loss and a penalty have a term called {min(taken)!r}. Rename the penalty.")
    return terms._replace(losses={**terms.losses, **added.losses})


def penalty_terms(penalties: Mapping[str, Penalty], model: Model, real: Batch, shared: Batch) -> Terms:
    """Return the weighted terms of penalties."""
    losses = {}
    for name, penalty in penalties.items():
        try:
            with acceleration.plain():
                term = penalty.term(model, real, shared)
        except Exception as error:
            error.add_note(f"in the penalty {name!r}")
            raise
        if term is not None:
            losses[name] = term * (penalty.weight * penalty.every)
    return Terms(losses)


def checked(terms: object) -> Terms:
    """Return what an objective returned.

    Raises:
        TypeError, ValueError: it is not ``Terms``, or has a term that is not one number.
    """
    if not isinstance(terms, Terms):
        raise TypeError(f"an objective must return ganzoo.Terms, not {terms!r:.80}")
    check_numbers(terms.losses)
    check_numbers(terms.metrics)
    return terms


def detached(terms: Terms) -> Terms:
    """Return terms without their graphs."""
    losses = {name: loss.detach() for name, loss in terms.losses.items()}
    return terms._replace(losses=losses, metrics={name: value.detach() for name, value in terms.metrics.items()})


def mean_terms(parts: Sequence[Terms]) -> Terms:
    """Return the means of the terms of micro-batches; the scores of all of them are put together."""
    if len(parts) == 1:
        return parts[0]
    losses, metrics = ([getattr(part, kind) for part in parts] for kind in ("losses", "metrics"))
    pairs = [part.scores for part in parts if part.scores]
    real, fake = (torch.cat([pair[side] for pair in pairs]) if pairs else None for side in (0, 1))
    return Terms(_means(losses), _means(metrics), (real, fake) if real is not None and fake is not None else None)


def _means(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: torch.stack([part[name] for part in parts if name in part]).mean(0) for name in names}
