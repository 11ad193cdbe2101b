"""The checks of the conformance kit, one function each: it returns what it found, or raises what is wrong."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from ganzoo import api, options
from ganzoo.data import Batch, Field, TensorData
from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model
from ganzoo.plugins import Zoo
from ganzoo.registry import Recipe
from ganzoo.training import randomness, snapshot, views
from ganzoo.training.checkpoint import Checkpoint
from ganzoo.training.ema import Average
from ganzoo.training.experiment import build, load_class
from ganzoo.training.game import moves
from ganzoo.training.ledger import Ledger, NonFinite
from ganzoo.training.loop import Training
from ganzoo.training.rehearsal import rehearse

BATCH = 8
_LONGEST = 32  # steps; a turn that comes more rarely is played once, out of its order
_OTHERS = ((3, 32, 32), (1, 28, 28), (3, 48, 48), (3, 64, 64))
_SMALL: dict[str, Any] = {"device": "cpu", "batch_size": BATCH, "sample_count": 4, "evaluate_every": 0, "workers": 0}


class Problem(Exception):
    """What is wrong (``text``), and what to do about it (``remedy``)."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text, self.remedy = text, remedy


class Skipped(Exception):
    """Why a check does not apply."""


class Bench:
    """A recipe's parts, built once and copied for each check, so that none sees what another did."""

    def __init__(self, zoo: Zoo, recipe: Recipe) -> None:
        self.zoo, self.recipe = zoo, api.adapt(recipe, **_SMALL)
        self.experiment = build(zoo, self.recipe)
        rehearse(Training(self.experiment))
        self.field = self.experiment.data.fields[self.experiment.model.target]
        self.steps = min(_LONGEST, max(3, *(turn.every for turn in self.experiment.turns)) + 1)

    def training(self, **changes: Any) -> Training:
        """Return a training of fresh copies, with other parts in their place where they are given."""
        kept = copy.deepcopy({name: getattr(self.experiment, name) for name in ("model", "loss", "penalties")})
        kept |= changes
        return Training(replace(self.experiment, **kept, turns=moves(kept["loss"], kept["penalties"])))

    def model(self) -> Model:
        """Return a copy of the model, as it is sampled from."""
        return copy.deepcopy(self.experiment.model).eval()

    def inputs(self, n: int) -> Batch:
        """Return what ``generate`` takes, for ``n`` samples."""
        return self.model().inputs(self.training().dealer.some(n), randomness.generator(0, "check"))


def play(training: Training, steps: int) -> Checkpoint:
    """Train up to ``steps`` as the loop does, and return the whole state."""
    ledger = Ledger()
    with randomness.preserved(), randomness.deterministic(training.experiment.device):
        randomness.set_global_state(*training.random)
        batches = training.dealer.batches(training.step)
        for step, real in zip(range(training.step + 1, steps + 1), batches, strict=False):
            training.play(step, real, ledger)
            training.step = step
        ledger.settle()
        return snapshot.take(training)


def options_are_explained(bench: Bench) -> str:
    """Every option of every part says what it means."""
    recipe = bench.recipe
    names = [("data", recipe.data.name), ("model", recipe.model.name), ("loss", recipe.loss.name)]
    names += [("penalty", name) for name in recipe.penalties]
    found = [(name, o) for kind, name in names for o in options.settings_of(load_class(bench.zoo, kind, name))]
    if silent := [f"{option.name} of {name}" for name, option in found if not option.help]:
        raise Problem(f"not explained: {', '.join(silent)}", 'Annotate: Annotated[int, Option("what it means")].')
    return f"{len(found)} options"


def latents_come_from_the_generator(bench: Bench) -> str:
    """Latents are a function of the generator they are given, and of nothing else."""
    model, drawn = bench.model(), []
    for seed in (1, 2):
        with randomness.preserved():
            randomness.seed_global(seed)
            before = torch.get_rng_state()
            drawn.append(model.latent(3, randomness.generator(0, "latent")))
            touched = not torch.equal(before, torch.get_rng_state())
    if touched or not _same(*drawn):
        raise Problem("latent() draws from the global generator", "Pass generator=rng, device=rng.device to torch.")
    if wrong := [name for name, value in drawn[0].items() if len(value) != 3]:
        raise Problem(f"latent(3, rng) returns {wrong[0]!r} for another number of samples", "Return n of each.")
    return ", ".join(f"{name} {tuple(value.shape[1:])}" for name, value in drawn[0].items())


def samples_keep_their_promise(bench: Bench) -> str:
    """Samples are finite, of the data's shape, in [-1, 1] where they are images, and the same for the same latents."""
    model, inputs = bench.model(), bench.inputs(BATCH)
    with torch.no_grad():
        sample, again = model.generate(inputs), model.generate(inputs)
    if sample.shape != (BATCH, *bench.field.shape):
        raise Problem(f"shape {tuple(sample.shape)}", f"generate() must return (n, *{bench.field.shape}).")
    if not sample.isfinite().all():
        raise Problem("there are samples that are not finite", "Look for a division by zero, or too large weights.")
    if len(bench.field.shape) == 3 and sample.abs().max() > 1.001:
        low, high = sample.min().item(), sample.max().item()
        raise Problem(f"images range from {low:.3g} to {high:.3g}", "End in tanh, or clamp to [-1, 1] in eval mode.")
    if not torch.equal(sample, again):
        raise Problem("the same latents gave other samples", "Draw all noise in latent(); in eval mode, use no other.")
    return f"{tuple(sample.shape)}, from {sample.min():.2g} to {sample.max():.2g}"


def previews_can_be_looked_at(bench: Bench) -> str:
    """What it previews is finite, and on the host."""
    training = bench.training()
    previews = views.preview(training, views.fixed(training))
    if not previews or (wrong := [name for name, value in previews.items() if not value.isfinite().all()]):
        raise Problem(f"preview() returns {wrong[0] + ' not finite' if previews else 'nothing'}", "See Model.preview.")
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in previews.items())


def only_the_mover_moves(bench: Bench) -> str:
    """A move changes parameters of its player, and nobody else's."""
    for number, turn in enumerate(bench.experiment.turns):
        training = bench.training()
        training.turns = training.turns[number : number + 1]
        own = {id(parameter) for parameter in training.players[turn.player].parameters}
        before = {name: value.clone() for name, value in training.model.named_parameters()}
        _play_once(training)
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
        _play_once(training)
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
    if not _same(start, bench.experiment.model.state_dict()):
        raise Problem("two models of one seed start with other weights", "Draw initial weights from torch alone.")
    first, second = (play(bench.training(), bench.steps) for _ in range(2))
    if not _same(first.weights, second.weights) or not _same(first.training, second.training):
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


def weights_can_be_loaded(bench: Bench) -> str:
    """A model of another seed that is given its weights generates the same samples."""
    trained = bench.training()
    play(trained, 1)
    other = build(bench.zoo, api.adapt(bench.recipe, seed=12345)).model
    other.load_state_dict(trained.model.state_dict())
    inputs = bench.inputs(4)
    with torch.no_grad():
        same = torch.equal(trained.model.eval().generate(inputs), other.eval().generate(inputs))
    if not same:
        raise Problem("loaded weights generate other samples", "Make all that generate() uses a parameter or a buffer.")
    return f"{len(other.state_dict())} tensors"


def averages_are_complete(bench: Bench) -> str:
    """The networks that ``averaged`` names are all that generate, so that a moving average can be sampled from."""
    model = bench.model()
    Average(model, 0.5)
    kept = {id(p) for name in model.averaged for p in model.get_submodule(name).parameters()}
    model.generate(bench.inputs(2)).square().sum().backward()
    used = {name: p for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    if left := [name for name, p in used.items() if id(p) not in kept]:
        raise Problem(f"{left[0]} generates, but is not averaged", "Name its network in the model's averaged.")
    return ", ".join(model.averaged)


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
            _play_once(training, real)
            with torch.no_grad():
                shape = bench.model().generate(bench.inputs(n)).shape
        except Exception as error:
            remedy = "Batch norm needs more than one value a channel; do not squeeze() the batch away."
            raise Problem(f"batch size {n}: {type(error).__name__}: {error}", remedy) from error
        if shape[0] != n:
            raise Problem(f"{n} latents gave {shape[0]} samples", "Keep the first dimension.")
    return "1 and 7"


def other_images(bench: Bench) -> str:
    """It adapts to images of another size and other channels, or says at once that they do not fit."""
    if len(bench.field.shape) != 3:
        raise Skipped("not about images")
    kind = load_class(bench.zoo, "model", bench.recipe.model.name)
    settings = options.check(kind, bench.recipe.model.settings, "model")
    found = []
    for shape in _OTHERS:
        if shape == bench.field.shape:
            continue
        data = _noise(bench.experiment.data.fields, bench.field.shape, shape)
        name = "x".join(map(str, shape))
        try:
            model = kind(data.fields, **settings)
        except (ValueError, UsageError) as error:
            found.append(f"{name} refused ({error})")
            continue
        except Exception as error:
            remedy = "Adapt to fields[self.target].shape, or raise ValueError saying which sizes fit."
            raise Problem(f"images {name}: {type(error).__name__}: {error}", remedy) from error
        if (
            model.generate(model.inputs(data.prepare(data.tensors()), randomness.generator(0, "check"))).shape[1:]
            != shape
        ):
            raise Problem(f"images {name}: it generates another shape", "Adapt to fields[self.target].shape.")
        _play_once(bench.training(data=data, model=model))
        found.append(name)
    return ", ".join(found)


def exports(bench: Bench) -> str:
    """``generate`` can be exported, where the libraries for that are installed."""
    from ganzoo import export

    missing = export.missing()
    if missing:
        raise Skipped(f"{', '.join(missing)} not installed: pip install 'torch-ganzoo[export]'")
    try:
        return str(export.check(bench.model(), bench.inputs(3)))
    except GanzooError as error:
        raise Problem(str(error), "In generate(): no .item(), no branch on a tensor's values.") from error


def _noise(fields: Mapping[str, Field], old: tuple[int, ...], new: tuple[int, ...]) -> TensorData:
    """Return data with the same fields, of noise; those of the old shape have the new one."""
    rng, tensors = randomness.generator(0, "noise"), dict[str, Tensor]()
    for name, field in fields.items():
        shape = new if field.shape == old else field.shape
        if field.classes:
            tensors[name] = torch.randint(field.classes, (BATCH, *field.shape), generator=rng)
        elif len(shape) == 3:
            tensors[name] = torch.randint(256, (BATCH, *shape), generator=rng).to(torch.uint8)
        else:
            tensors[name] = torch.rand(BATCH, prod(shape), generator=rng).view(BATCH, *shape)
    return TensorData(tensors, {name: field.classes for name, field in fields.items() if field.classes})


def _play_once(training: Training, real: Batch | None = None) -> None:
    with randomness.preserved():
        randomness.set_global_state(*training.random)
        ledger = Ledger()
        training.play(0, real or training.dealer.some(BATCH), ledger)  # 0 is a multiple of every `every`
        ledger.settle()


def _same(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def _named(functions: Iterable[Callable[[Bench], str]]) -> dict[str, Callable[[Bench], str]]:
    return {function.__name__.replace("_", " "): function for function in functions}


CHECKS = _named(
    (
        options_are_explained,
        latents_come_from_the_generator,
        samples_keep_their_promise,
        previews_can_be_looked_at,
        only_the_mover_moves,
        every_parameter_learns,
        losses_stay_finite,
        reruns_are_identical,
        resumes_are_identical,
        weights_can_be_loaded,
        averages_are_complete,
        judges_each_sample_alone,
        any_batch_size,
        other_images,
        exports,
    )
)
"""Name -> check, in the order in which they are made."""
