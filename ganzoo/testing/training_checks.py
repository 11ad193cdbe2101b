"""Checks of how a recipe trains. Each returns what it found, or raises ``Problem``."""

import copy
from dataclasses import replace
from itertools import product

import torch

from ganzoo.model import Model
from ganzoo.testing.harness import BATCH, Harness, Problem, Skipped, same, train_once, train_to
from ganzoo.training.experiment import build
from ganzoo.training.scalars import NonFinite


def moves_change_their_player_only(harness: Harness) -> str:
    """A move changes the parameters of its player, and no others."""
    for number, turn in enumerate(harness.turns):
        state = harness.state()
        state.turns = (replace(state.turns[number], when=None),)
        own = {id(parameter) for parameter in state.players[turn.player].parameters}
        before = {name: value.clone() for name, value in state.model.named_parameters()}
        train_once(state)
        for name, value in state.model.named_parameters():
            if id(value) not in own and not torch.equal(value, before[name]):
                remedy = f"Add it to players[{turn.player!r}], or change weights in the optimizer's step only."
                raise Problem(f"move {number + 1} ({turn.player}) changed {name}", remedy)
    return ", ".join(turn.player + (f" every {turn.every}" if turn.every > 1 else "") for turn in harness.turns)


def every_parameter_learns(harness: Harness) -> str:
    """Every parameter that is not frozen belongs to a player, and gets a gradient in one of its moves in some phase."""
    started, learning, owned = train_to(harness.state(), 2), set[str](), set[str]()
    laziness = (False, True) if any(p.every > 1 for p in harness.experiment.penalties.values()) else (False,)
    for number, phase, lazy in product(range(len(harness.turns)), harness.phases, laziness):
        state = harness.state()
        state.load_state_dict(started)
        if not lazy:  # the gradients that remain are those of the last move: once with lazy penalties, once without
            state.penalties = {name: penalty for name, penalty in state.penalties.items() if penalty.every == 1}
        turn = state.turns[number]
        turn = replace(turn, every=1, when=turn.when if phase else None)
        state.turns = (turn,)
        train_once(state, step=phase)
        names = {id(parameter): name for name, parameter in state.model.named_parameters()}
        own = state.players[turn.player].parameters
        owned |= {names[id(parameter)] for parameter in own}
        learning |= {names[id(p)] for p in own if p.grad is not None}  # it may be 0: a bias, if scores are subtracted
    trained = {name: p for name, p in harness.experiment.model.named_parameters() if p.requires_grad}
    if idle := [name for name in trained if name not in learning]:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        why = "get no gradient" if idle[0] in owned else "belong to no player that moves"
        remedy = (
            "Use them in what their player minimizes, name them in players, or requires_grad_(False). If they learn "
            "in a later phase, at(step) must start it, and phases must name its step."
        )
        raise Problem(f"{', '.join(idle[:3])}{more}: {why}", remedy)
    return f"{sum(p.numel() for p in trained.values()):,} numbers"


def losses_stay_finite(harness: Harness) -> str:
    """Some steps train without an infinite loss or weight."""
    try:
        train_to(harness.state(), harness.steps)
    except NonFinite as error:
        remedy = "Compute losses from logits (softplus, logsigmoid), or lower the learning rate."
        raise Problem(str(error), remedy) from error
    return f"{harness.steps} steps"


def reruns_are_identical(harness: Harness) -> str:
    """The same seed gives the same initial weights, and the same weights after some steps."""
    start = build(harness.zoo, harness.recipe).model.state_dict()
    if not same(start, harness.experiment.model.state_dict()):
        raise Problem("two models of one seed start with different weights", "Draw initial weights from torch only.")
    first, second = (train_to(harness.state(), harness.steps) for _ in range(2))
    if not same(first.weights, second.weights) or not same(first.training, second.training):
        remedy = "Draw noise in prepare_step() from rng, elsewhere from torch's global generator."
        raise Problem("two runs of one seed differ", remedy)
    return f"{harness.steps} steps"


def resumes_are_identical(harness: Harness) -> str:
    """A run that was stopped and resumed ends in the same state as one that was not."""
    whole = train_to(harness.state(), harness.steps)
    resumed = harness.state()
    resumed.load_state_dict(train_to(harness.state(), harness.steps // 2))
    ended = train_to(resumed, harness.steps)
    for kind in ("weights", "ema", "training"):
        left, right = getattr(whole, kind), getattr(ended, kind)
        if wrong := [name for name in left if name not in right or not torch.equal(left[name], right[name])]:
            remedy = "Register state that must survive a resume as a buffer or a parameter, not as a plain attribute."
            raise Problem(f"{len(wrong)} tensors differ after a resume, such as {wrong[0]}", remedy)
    return f"stopped after {harness.steps // 2} of {harness.steps} steps"


def samples_are_scored_independently(harness: Harness) -> str:
    """If ``batch_dependent`` is False, a batch and its two halves get the same scores."""
    model, state = harness.experiment.model, harness.state()
    if model.batch_dependent or type(model).discriminate is Model.discriminate:
        raise Skipped("batch_dependent is True")
    real = state.stream.fixed_examples(BATCH)
    sample, scores = real[model.target], []
    with torch.no_grad():
        for part in (slice(None), slice(0, BATCH // 2), slice(BATCH // 2, None)):
            twin = copy.deepcopy(model).train()
            vars(twin)["augmentations"] = ()  # their noise differs from call to call
            for module in twin.modules():
                if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                    module.eval()
            condition = {name: value[part] for name, value in real.items()}
            scores.append(twin.discriminate(sample[part], condition)["score"])
    if not torch.allclose(scores[0], torch.cat(scores[1:]), rtol=1e-3, atol=1e-4):
        raise Problem("the score of a sample depends on the others in its batch", "Leave batch_dependent at True.")
    return "batch_dependent is False"


def any_batch_size_works(harness: Harness) -> str:
    """The recipe trains and generates with batches of 1 and of 7."""
    for n in (1, 7):
        try:
            state = harness.state()
            real = {name: value[:n] for name, value in state.stream.fixed_examples(BATCH).items()}
            train_once(state, real)
            with torch.no_grad():
                shape = harness.model().generate(harness.generator_inputs(n)).shape
        except Exception as error:
            remedy = "Batch norm needs more than one value per channel; do not squeeze() the batch away."
            raise Problem(f"batch size {n}: {type(error).__name__}: {error}", remedy) from error
        if shape[0] != n:
            raise Problem(f"{n} latents gave {shape[0]} samples", "Keep the first dimension.")
    return "1 and 7"
