"""Checks of how a recipe is played: each returns what it found, or raises what is wrong."""

import copy

import torch

from ganzoo.conformance.bench import BATCH, Bench, Problem, Skipped, play, play_once, same
from ganzoo.model import Model
from ganzoo.training import snapshot
from ganzoo.training.experiment import build
from ganzoo.training.ledger import NonFinite


def only_the_mover_moves(bench: Bench) -> str:
    """A move changes parameters of its player, and nobody else's."""
    for number, turn in enumerate(bench.experiment.turns):
        training = bench.training()
        training.turns = training.turns[number : number + 1]
        own = {id(parameter) for parameter in training.players[turn.player].parameters}
        before = {name: value.clone() for name, value in training.model.named_parameters()}
        play_once(training)
        for name, value in training.model.named_parameters():
            if id(value) not in own and not torch.equal(value, before[name]):
                remedy = f"Add it to players[{turn.player!r}], or change weights in the optimiser's step alone."
                raise Problem(f"move {number + 1} ({turn.player}) changed {name}", remedy)
    return ", ".join(
        turn.player + (f" every {turn.every}" if turn.every > 1 else "") for turn in bench.experiment.turns
    )


def every_parameter_learns(bench: Bench) -> str:
    """Every parameter that is not frozen is some player's, and gets a gradient in one of its moves."""
    started, learning, owned = play(bench.training(), 2), set[str](), set[str]()
    for number, turn in enumerate(bench.experiment.turns):
        training = bench.training()
        snapshot.put_back(training, started)
        training.turns = training.turns[number : number + 1]
        play_once(training)
        names = {id(parameter): name for name, parameter in training.model.named_parameters()}
        own = training.players[turn.player].parameters
        owned |= {names[id(parameter)] for parameter in own}
        learning |= {names[id(p)] for p in own if p.grad is not None}  # 0 it may be: a bias, to a loss of differences
    trained = {name: p for name, p in bench.experiment.model.named_parameters() if p.requires_grad}
    if idle := [name for name in trained if name not in learning]:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        why = "get no gradient" if idle[0] in owned else "are moved by nobody"
        remedy = "Use them in what their player minimises, name them in players, or requires_grad_(False)."
        raise Problem(f"{', '.join(idle[:3])}{more}: {why}", remedy)
    return f"{sum(p.numel() for p in trained.values()):,} numbers"


def losses_stay_finite(bench: Bench) -> str:
    """Some steps train without an infinite loss or weight."""
    try:
        play(bench.training(), bench.steps)
    except NonFinite as error:
        raise Problem(str(error), "Compute losses from logits (softplus, logsigmoid); lower the rate.") from error
    return f"{bench.steps} steps"


def reruns_are_identical(bench: Bench) -> str:
    """The same seed gives the same weights at the start, and after some steps."""
    start = build(bench.zoo, bench.recipe).model.state_dict()
    if not same(start, bench.experiment.model.state_dict()):
        raise Problem("two models of one seed start with other weights", "Draw initial weights from torch alone.")
    first, second = (play(bench.training(), bench.steps) for _ in range(2))
    if not same(first.weights, second.weights) or not same(first.training, second.training):
        raise Problem(
            "two runs of one seed differ", "Draw noise in begin() from rng, or from torch's global generator."
        )
    return f"{bench.steps} steps"


def resumes_are_identical(bench: Bench) -> str:
    """A run that was stopped and went on ends in the very state of one that was not."""
    whole = play(bench.training(), bench.steps)
    resumed = bench.training()
    snapshot.put_back(resumed, play(bench.training(), bench.steps // 2))
    ended = play(resumed, bench.steps)
    for kind in ("weights", "average", "training"):
        left, right = getattr(whole, kind), getattr(ended, kind)
        if wrong := [name for name in left if name not in right or not torch.equal(left[name], right[name])]:
            remedy = "Keep what a run must remember in buffers or parameters, not in plain attributes."
            raise Problem(f"{len(wrong)} tensors differ after a resume, such as {wrong[0]}", remedy)
    return f"stopped after {bench.steps // 2} of {bench.steps} steps"


def judges_each_sample_alone(bench: Bench) -> str:
    """Where ``across`` is False, samples judged together are judged as they are one half after the other."""
    model, training = bench.experiment.model, bench.training()
    if model.across or type(model).judge is Model.judge:
        raise Skipped("the model does not say so")
    real = training.dealer.some(BATCH)
    sample, opinions = real[model.target], []
    with torch.no_grad():
        for part in (slice(None), slice(0, BATCH // 2), slice(BATCH // 2, None)):
            twin = copy.deepcopy(model).train()
            for module in twin.modules():
                if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                    module.eval()
            opinions.append(twin.judge(sample[part], {name: value[part] for name, value in real.items()})["score"])
    if not torch.allclose(opinions[0], torch.cat(opinions[1:]), rtol=1e-3, atol=1e-4):
        raise Problem("a sample's score depends on the others in its batch", "Leave Model.across at True.")
    return "across is False"


def any_batch_size(bench: Bench) -> str:
    """It trains and generates with batches of 1 and of 7."""
    for n in (1, 7):
        try:
            training = bench.training()
            real = {name: value[:n] for name, value in training.dealer.some(BATCH).items()}
            play_once(training, real)
            with torch.no_grad():
                shape = bench.model().generate(bench.inputs(n)).shape
        except Exception as error:
            remedy = "Batch norm needs more than one value a channel; do not squeeze() the batch away."
            raise Problem(f"batch size {n}: {type(error).__name__}: {error}", remedy) from error
        if shape[0] != n:
            raise Problem(f"{n} latents gave {shape[0]} samples", "Keep the first dimension.")
    return "1 and 7"
