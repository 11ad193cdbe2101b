"""Checks of what a recipe's model makes: each returns what it found, or raises what is wrong."""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from ganzoo import api, options
from ganzoo.conformance.bench import BATCH, Bench, Problem, Skipped, play, play_once, same
from ganzoo.data import Field, TensorData
from ganzoo.errors import GanzooError, UsageError
from ganzoo.training import randomness, views
from ganzoo.training.ema import Average
from ganzoo.training.experiment import build, load_class

_OTHERS = ((3, 32, 32), (1, 28, 28), (3, 48, 48), (3, 64, 64))


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
    if touched or not same(*drawn):
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
        play_once(bench.training(data=data, model=model))
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
