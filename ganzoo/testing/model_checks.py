"""Checks of a recipe's model and options. Each returns what it found, or raises ``Problem``."""

from collections.abc import Mapping
from difflib import get_close_matches
from math import prod

import torch
from torch import Tensor

from ganzoo import export, options, randomness
from ganzoo.data import Field, TensorDataset
from ganzoo.errors import GanzooError, UsageError
from ganzoo.model import Model
from ganzoo.testing.harness import BATCH, Harness, Problem, Skipped, same, train_once, train_to
from ganzoo.training import previews
from ganzoo.training.ema import EMA
from ganzoo.training.experiment import build, build_model, resolve_part
from ganzoo.training.state import TrainingState

_OTHER_SHAPES = ((3, 32, 32), (1, 28, 28), (3, 48, 48), (3, 64, 64))


def options_are_explained(harness: Harness) -> str:
    """Every option of every part has a meaning."""
    recipe, zoo = harness.recipe, harness.zoo
    parts = [zoo.part(kind, choice.name) for kind, _, choice in recipe.parts()]
    found = [(part.name, option) for part in parts for option in options.options_of(part.load())]
    if silent := [f"{option.name} of {name}" for name, option in found if not option.help]:
        raise Problem(f"not explained: {', '.join(silent)}", 'Annotate: Annotated[int, Option("what it means")].')
    return f"{len(found)} options"


def optional_methods_are_spelled_right(harness: Harness) -> str:
    """No method of a part is called almost like an optional method of its interface, which it does not have."""
    experiment, count = harness.experiment, 0
    for part in (experiment.dataset, experiment.model, *experiment.training_parts.values()):
        classes = type(part).__mro__
        own = {name for cls in classes if cls.__module__.partition(".")[0] != "ganzoo" for name in vars(cls)}
        offered = {name for cls in classes if cls.__module__.partition(".")[0] == "ganzoo" for name in vars(cls)}
        missing = {name for name in offered - own if not name.startswith("_")}
        extra = own - offered - set(dir(torch.nn.Module))
        methods = {name for name in extra if callable(getattr(type(part), name)) and name[0] != "_"}
        count += len(methods)
        for name in sorted(methods):
            if close := get_close_matches(name, missing, n=1, cutoff=0.85):
                remedy = f"If it is meant to be {close[0]}(), rename it; otherwise choose another name."
                raise Problem(f"{type(part).__name__} has a method {name}(), which ganzoo never calls", remedy)
    return f"{count} methods of their own"


def scores_have_a_row_per_sample(harness: Harness) -> str:
    """``discriminate`` returns scores of shape (n, 1), or (n, k) for k patches."""
    state = harness.state()
    if type(state.model).discriminate is Model.discriminate:
        raise Skipped("the model has no discriminate()")
    real = state.stream.fixed_examples(BATCH)
    with torch.no_grad():
        shape = tuple(state.model.discriminate(real[state.model.target], real)["score"].shape)
    if len(shape) != 2 or shape[0] != BATCH:
        raise Problem(f"for {BATCH} samples, discriminate() returns scores of shape {shape}", "Flatten it: (n, k).")
    return f"{shape[1]} per sample"


def latents_depend_on_the_generator_only(harness: Harness) -> str:
    """Latents depend on the generator that is passed in, and on nothing else."""
    model, drawn = harness.model(), []
    for seed in (1, 2):
        with randomness.preserved():
            randomness.seed_global(seed)
            before = torch.get_rng_state()
            drawn.append(model.sample_latent(3, randomness.generator(0, "latent")))
            touched = not torch.equal(before, torch.get_rng_state())
    if touched or not same(*drawn):
        remedy = "Pass generator=rng, device=rng.device to torch."
        raise Problem("sample_latent() draws from the global generator", remedy)
    if wrong := [name for name, value in drawn[0].items() if len(value) != 3]:
        raise Problem(f"sample_latent(3, rng) returns {len(drawn[0][wrong[0]])} of {wrong[0]!r}", "Return n of each.")
    return ", ".join(f"{name} {tuple(value.shape[1:])}" for name, value in drawn[0].items())


def samples_are_valid(harness: Harness) -> str:
    """Samples are finite, have the dataset's shape, are in [-1, 1] if they are images, and repeat for equal latents."""
    model, inputs = harness.model(), harness.generator_inputs(BATCH)
    with torch.no_grad():
        sample, again = model.generate(inputs), model.generate(inputs)
    if sample.shape != (BATCH, *harness.field.shape):
        raise Problem(f"shape {tuple(sample.shape)}", f"generate() must return (n, *{harness.field.shape}).")
    if not sample.isfinite().all():
        raise Problem("some samples are not finite", "Look for a division by zero, or for weights that are too large.")
    if len(harness.field.shape) == 3 and sample.abs().max() > 1.001:
        low, high = sample.min().item(), sample.max().item()
        raise Problem(f"images range from {low:.3g} to {high:.3g}", "End in tanh, or clamp to [-1, 1] in eval mode.")
    if not torch.equal(sample, again):
        remedy = "Draw all noise in sample_latent(), and none in eval mode."
        raise Problem("the same latents gave different samples", remedy)
    return f"{tuple(sample.shape)}, from {sample.min():.2g} to {sample.max():.2g}"


def previews_are_valid(harness: Harness) -> str:
    """Previews exist and are finite."""
    state = harness.state()
    found = previews.preview(state, previews.fixed_batch(state))
    if not found or (wrong := [name for name, value in found.items() if not value.isfinite().all()]):
        raise Problem(f"preview() returns {wrong[0] + ' not finite' if found else 'nothing'}", "See Model.preview.")
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in found.items())


def weights_can_be_loaded(harness: Harness) -> str:
    """A new model that is built from the saved fields and loads these weights generates the same samples."""
    trained = harness.state()
    train_to(trained, 1)
    saved = {name: Field.of(field.plain()) for name, field in harness.experiment.dataset.fields.items()}
    other = build_model(harness.zoo, harness.recipe, saved)
    other.at(1)
    other.load_state_dict(trained.model.state_dict())
    inputs = harness.generator_inputs(4)
    with torch.no_grad():
        equal = torch.equal(trained.model.eval().generate(inputs), other.eval().generate(inputs))
    if not equal:
        remedy = "Make everything that generate() uses a parameter or a buffer."
        raise Problem("loaded weights generate different samples", remedy)
    return f"{len(other.state_dict())} tensors"


def averages_are_complete(harness: Harness) -> str:
    """``ema_networks`` names all networks that generate, so that the moving average can be sampled from."""
    model = harness.model()
    EMA(model, 0.5)
    kept = {id(p) for name in model.ema_networks for p in model.get_submodule(name).parameters()}
    model.generate(harness.generator_inputs(2)).square().sum().backward()
    used = {name: p for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    if left := [name for name, p in used.items() if id(p) not in kept]:
        raise Problem(f"{left[0]} generates, but is not averaged", "Name its network in the model's ema_networks.")
    return ", ".join(model.ema_networks)


def other_image_sizes_work(harness: Harness) -> str:
    """The model adapts to images of other sizes and channels, or refuses them immediately."""
    if len(harness.field.shape) != 3:
        raise Skipped("not about images")
    part = resolve_part(harness.zoo, harness.recipe, "model")
    found = []
    for shape in _OTHER_SHAPES:
        if shape == harness.field.shape:
            continue
        dataset = _noise(harness.experiment.dataset.fields, harness.field.shape, shape)
        name = "x".join(map(str, shape))
        try:
            part.cls(dataset.fields, **part.options)  # by itself: build() hides what kind of error it raises
            state = TrainingState(build(harness.zoo, harness.recipe, dataset))
        except (ValueError, UsageError) as error:
            found.append(f"{name} refused ({error})")
            continue
        except Exception as error:
            remedy = "Adapt to fields[self.target].shape, or raise ValueError saying which sizes fit."
            raise Problem(f"images {name}: {type(error).__name__}: {error}", remedy) from error
        inputs = state.model.generator_inputs(state.stream.fixed_examples(2), randomness.generator(0, "check"))
        if state.model.generate(inputs).shape[1:] != shape:
            raise Problem(f"images {name}: it generates another shape", "Adapt to fields[self.target].shape.")
        train_once(state)
        found.append(name)
    return ", ".join(found)


def the_generator_can_be_exported(harness: Harness) -> str:
    """``generate`` can be exported, if the libraries for that are installed."""
    if missing := export.missing():
        raise Skipped(f"{', '.join(missing)} not installed: pip install 'torch-ganzoo[export]'")
    try:
        return export.check(harness.model(), harness.generator_inputs(3))
    except GanzooError as error:
        raise Problem(str(error), "In generate(): no .item(), no branch on the values of a tensor.") from error


def _noise(fields: Mapping[str, Field], old: tuple[int, ...], new: tuple[int, ...]) -> TensorDataset:
    """Return a dataset of noise with the same fields; those of the old shape have the new one."""
    rng, tensors = randomness.generator(0, "noise"), dict[str, Tensor]()
    for name, field in fields.items():
        shape = new if field.shape == old else field.shape
        if field.dtype == torch.bool:
            tensors[name] = torch.rand(BATCH, *shape, generator=rng) < 0.5
        elif field.classes:
            tensors[name] = torch.randint(field.classes, (BATCH, *field.shape), generator=rng)
        elif len(shape) == 3:
            tensors[name] = torch.randint(256, (BATCH, *shape), generator=rng).to(torch.uint8)
        else:
            tensors[name] = torch.rand(BATCH, prod(shape), generator=rng).view(BATCH, *shape)
    return TensorDataset(tensors, {name: field.classes for name, field in fields.items() if field.classes})
