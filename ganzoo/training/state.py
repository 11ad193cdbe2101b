"""The state of a run (networks, players, random number generators, position), and the training step that changes it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ganzoo import distributed, randomness
from ganzoo.data import Batch
from ganzoo.errors import GanzooError
from ganzoo.loss import Penalty, Terms, TrainingPart, Turn
from ganzoo.model import Model
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import Checkpoint
from ganzoo.training import batch_norm, identity, part_state, shares
from ganzoo.training.acceleration import accelerate
from ganzoo.training.batches import BatchStream
from ganzoo.training.ema import EMA
from ganzoo.training.experiment import Experiment
from ganzoo.training.identity import Change
from ganzoo.training.players import build_players
from ganzoo.training.scalars import NonFinite, ScalarBuffer
from ganzoo.training.shares import prepare
from ganzoo.training.turns import build_turns, checked, detached, joined, joining, mean_terms, penalty_terms


class TrainingState:
    """The state of an experiment while it is trained.

    Args:
        experiment: what is trained.
        stream: the batches; made from the dataset if None.

    Attributes:
        step: number of steps done.
        moves: player -> number of steps in which it has moved.
        scalars: those collected since scalars were last logged.
        seconds: seconds spent training, over all sessions.
        saved_step: step of the last checkpoint; None before the first.
        accept_new_data: whether a resume accepts a dataset other than the checkpoint's, if the networks fit it.
        changes: what a resume has changed, each with its step; see identity.py.
        origin: what the initial weights were copied from; see initial.py. None if they are random.
        rollbacks: how often the run returned to an earlier checkpoint, with new noise, after an alarm.
        best: metric, value and step of the best checkpoint, or None.
        rng: the random number generator that ``prepare_step`` gets; latents are drawn from it.
        phases: steps at which a part changes its behavior, 0 first.
        score_listeners: the parts that observe scores, by the path of their settings, such as ``penalties.r1``.
        reports_scores: whether the loss has reported scores to them.
        playing: the turn that is being played; None between steps.
        global_random: the global random states with which the next session starts.
    """

    def __init__(self, experiment: Experiment, stream: BatchStream | None = None) -> None:
        self.experiment, self.settings, self.model = experiment, experiment.settings, experiment.model
        self.loss, self.penalties = experiment.loss, experiment.penalties
        self.augmentations = tuple(experiment.augmentations.values())
        seed, device = self.settings.seed, experiment.device
        self.stream = stream or BatchStream(experiment.dataset, experiment.batch_fields, self.settings, device)
        self.turns = build_turns(self.loss, self.penalties)
        self.playing: Turn | None = None
        parts: list[Model | TrainingPart] = [self.model, *experiment.training_parts.values()]
        self._step_listeners = [part for part in parts if type(part).at not in (Model.at, TrainingPart.at)]
        self.score_listeners = {
            path: part
            for path, part in experiment.training_parts.items()
            if type(part).observe_scores is not TrainingPart.observe_scores
        }
        self.reports_scores = False
        self.phases = sorted({0, *chain.from_iterable(part.phases for part in parts)})
        accelerate(self.model, self.settings, device)
        if self.settings.sync_batch_norm:
            batch_norm.synchronize(self.model)
        self.players = build_players(self.model, experiment.optimizers)
        self.ema = EMA(self.model, self.settings.ema) if self.settings.ema else None
        self.rng = randomness.generator(seed, "noise", device=device)
        self.step, self.moves = 0, dict[str, int]()
        self.scalars, self.seconds = ScalarBuffer(), 0.0
        self.saved_step: int | None = None
        self.accept_new_data = False
        self.changes: list[Change] = []
        self.origin: dict[str, Any] | None = None
        self.rollbacks = 0
        self.best: dict[str, Any] | None = None
        self.total_steps = self.settings.steps or self.settings.epochs * self.stream.steps_per_epoch
        with randomness.preserved():
            randomness.seed_global(shares.global_seed(seed))
            self.global_random = randomness.global_state()

    def train_step(self, step: int, real: Batch, buffer: ScalarBuffer, log_gradients: bool = False) -> None:
        """Play every turn that is due. A turn takes one optimizer step, on the parameters of its player and no others.
        Without losses, it takes none. Lazy penalties add moves of their own.

        Args:
            step: the number of the step, from 1; a dry run plays step 0 and a step of each phase.
            real: the real batch.
            buffer: collects the scalars.
            log_gradients: also collect the gradient norm of each player that moves.
        """
        self.at(step)
        due = [turn for turn in self.turns if turn.due(step)]
        movers = {turn.player for turn in due}
        prepared = prepare(self.loss, self.model, real, movers, self.rng, self.settings.accumulate)
        moved: set[str] = set()
        for number, turn in enumerate(due, start=1):
            self.playing = turn
            parts = [(self._real_batch(turn.player, part, shared), shared) for part, shared in prepared]
            first, done = turn.player not in moved, self.moves.get(turn.player, 0)
            eager, lazy = joining(self.penalties, turn.player, done + 1 if step else 0) if first else ({}, {})
            again = number < len(due) or bool(lazy)
            terms = self._move(step, turn, self._terms(turn, parts, eager), buffer, log_gradients, retain_graph=again)
            if not terms.losses:
                continue
            if first:
                moved.add(turn.player)
                self.moves[turn.player] = done + 1
            buffer.add(step, self._observed(terms.scores))
            self._after(turn.after, *(penalty.after for penalty in eager.values()))
            for name, penalty in lazy.items():
                own = (penalty_terms({name: penalty}, self.model, part, shared) for part, shared in parts)
                self._move(step, turn, own, buffer, log_gradients, retain_graph=True)
                self._after(penalty.after)
        self.playing = None
        batch_norm.average_statistics(self.model)
        if self.ema:
            self.ema.update(step)

    def at(self, step: int) -> None:
        """Pass the number of the step to the parts that depend on it."""
        for part in self._step_listeners:
            part.at(step)

    def _terms(
        self, turn: Turn, parts: Iterable[tuple[Batch, Batch]], penalties: Mapping[str, Penalty]
    ) -> Iterator[Terms]:
        """Yield the terms of a turn for each micro-batch, together with those of penalties."""
        for real, shared in parts:
            terms = checked(turn.objective(self.model, real, shared))
            yield joined(terms, penalties, self.model, real, shared) if penalties and terms.losses else terms

    def _real_batch(self, player: str, real: Batch, shared: Batch) -> Batch:
        for augmentation in self.augmentations:
            if augmentation.player == player:
                real = augmentation.real_batch(real, shared)
        return real

    def _observed(self, scores: tuple[Tensor, Tensor] | None) -> dict[str, Tensor]:
        """Pass the scores of a turn to the parts that observe scores, and return what these log."""
        found: dict[str, Tensor] = {}
        if scores and self.score_listeners:
            self.reports_scores = True
            with torch.no_grad():
                real, fake = map(distributed.gather, scores)
                for part in self.score_listeners.values():
                    found |= part.observe_scores(real, fake) or {}
        return found

    def _move(
        self,
        step: int,
        turn: Turn,
        parts: Iterable[Terms],
        buffer: ScalarBuffer,
        log_gradients: bool,
        *,
        retain_graph: bool,
    ) -> Terms:
        """Make an optimizer step on the mean of the terms of the micro-batches, if they have losses, and return it."""
        player = self.players[turn.player]
        for parameter in player.parameters:
            parameter.grad = None
        # Only the player's parameters get gradients; at(step) may have frozen some of them.
        learning = [parameter for parameter in player.parameters if parameter.requires_grad]
        found, count = [], self.settings.accumulate
        for terms in parts:
            if terms.losses and learning:
                loss = reduce(torch.add, terms.losses.values())
                share = torch.full_like(loss, 1 / count) if count > 1 else None
                loss.backward(share, inputs=learning, retain_graph=retain_graph)
            found.append(detached(terms) if count > 1 else terms)
        terms = mean_terms(found)
        buffer.add(step, terms.losses, "loss/")
        buffer.add(step, terms.metrics)
        if not terms.losses or not learning:
            return terms
        if all(parameter.grad is None for parameter in learning):
            raise ValueError(f"no parameter of {turn.player!r} has an effect on its losses ({', '.join(terms.losses)})")
        distributed.average_gradients(learning)
        if log_gradients:
            buffer.add(step, {f"gradient/{turn.player}": player.gradient_norm()})
        player.move(step, self.total_steps, turn.rate(max(1, step)) if turn.rate else 1.0)
        if retain_graph:
            # Fused optimizers change weights without telling autograd. With raised version counters, autograd raises an
            # error on a backward pass through an older graph.
            for parameter in player.parameters:
                torch.autograd.graph.increment_version(parameter)
        return terms

    def _after(self, *functions: Callable[[Model], None] | None) -> None:
        with torch.no_grad():
            for function in functions:
                if function:
                    function(self.model)

    @property
    def history(self) -> dict[str, Any]:
        """The run's history, as recorded in run.json."""
        return {"saved": self.saved_step, "changes": self.changes, "init": self.origin}

    def state_dict(self) -> Checkpoint:
        """Return everything needed to continue as if training had never stopped.

        Raises:
            NonFinite: a weight is not finite, so training could not continue from there.
        """
        for name, value in self.model.state_dict().items():
            if value.is_floating_point() and not value.isfinite().all():
                raise NonFinite(f"the weight {name}", self.step, float("nan"))
        tensors, rest = shares.saved_random()
        trees = {f"optimizer.{name}": player.optimizer.state_dict() for name, player in self.players.items()}
        trees |= {path: part_state.saved(part) for path, part in self.experiment.training_parts.items()}
        trees |= {"rng": {**tensors, "noise": self.rng.get_state()}}
        packed, structure = checkpoint.pack(trees)
        return Checkpoint(
            step=self.step,
            weights=checkpoint.to_cpu(self.model.state_dict()),
            ema=checkpoint.to_cpu(self.ema.tensors) if self.ema else {},
            training=packed,
            rest={
                "settings": identity.settings_of(self.experiment.recipe),
                "fields": self.stream.facts["fields"],
                "data": self.stream.facts,
                "changes": self.changes,
                "init": self.origin,
                "seconds": self.seconds,
                "moves": self.moves,
                "scalars": self.scalars.sums,
                "best": self.best,
                "rollbacks": self.rollbacks,
                "random": rest,
                "structure": structure,
            },
        )

    def load_state_dict(self, saved: Checkpoint) -> None:
        """Restore what ``state_dict`` returned, bit for bit.

        Raises:
            UsageError: recipe.toml or the dataset was changed in a way that a resume does not allow.
            GanzooError: the checkpoint does not fit.
        """
        changes = self._changes_since(saved)
        try:
            state = checkpoint.unpack(saved.training, saved.rest["structure"])
            self.at(saved.step)
            self.model.load_state_dict(saved.weights)
            for path, part in self.experiment.training_parts.items():
                part_state.restore(part, state[path])
            for name, player in self.players.items():
                player.load_state_dict(state[f"optimizer.{name}"])
            if self.ema:
                for key, tensor in self.ema.tensors.items():
                    tensor.copy_(saved.ema[key])
            self.rng.set_state(state["rng"].pop("noise"))
            self.global_random = shares.own_random(state["rng"], saved.rest["random"], self.settings.seed, saved.step)
            self.step, self.seconds, self.best = saved.step, saved.rest["seconds"], saved.rest["best"]
            self.changes = [*saved.rest.get("changes", []), *changes]
            self.origin = saved.rest.get("init")
            self.saved_step, self.rollbacks = saved.step, saved.rest.get("rollbacks", 0)
            self.moves = dict(saved.rest.get("moves", dict.fromkeys(self.players, saved.step)))
            self.scalars = ScalarBuffer(saved.rest.get("scalars"))
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise GanzooError(f"The checkpoint from step {saved.step} does not fit this recipe: {error}.") from error

    def _changes_since(self, saved: Checkpoint) -> list[Change]:
        """Return what differs from the settings and the dataset of a checkpoint.

        Raises:
            UsageError: as in ``load_state_dict``.
        """
        recipe, places, step = self.experiment.recipe, self.experiment.dataset.location_options, saved.step
        settings = saved.rest.get("settings", {})
        return [
            *identity.changed_settings(settings, recipe, list(self.model.players), places, step),
            *identity.changed_data(saved.rest, self.stream.facts, self.accept_new_data, step),
        ]

    def roll_back(self, saved: Checkpoint) -> None:
        """Return to a checkpoint, and draw different noise from there on. The noise depends on the seed and on the
        number of rollbacks."""
        count, seed = self.rollbacks + 1, self.settings.seed
        self.load_state_dict(saved)
        self.rollbacks = count
        self.rng = randomness.generator(seed, "noise", "rollback", count, device=self.experiment.device)
        randomness.seed_global(shares.global_seed(seed, "rollback", count))
        self.global_random = randomness.global_state()
