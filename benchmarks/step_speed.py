"""How fast a step of ganzoo is beside two loops without a framework, with the same networks and losses.

    python benchmarks/step_speed.py [fc | dcgan | sngan] ... [--rounds 5] [--seconds 3]

plain    what a tutorial does: a DataLoader over float32 images, default Adam, contiguous layout, one pass for real and
         one for fake samples, and a new pass for the generator's turn
by hand  the best loop that we could write for these operations: resident uint8 images, fused Adam, the layout of the
         networks, one pass for both kinds of samples if D allows it; no logging, no EMA, nothing else
ganzoo   TrainingState.train_step with BatchStream, scalars collected every 100 steps
bf16     the same with train.precision = "bf16"

The four take turns in this process, and each round gives a ratio to the plain loop, because other programs may be
running too. ``dcgan`` and ``sngan`` are on 64x64 color images with their default widths, batches of 64.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle

import torch
from torch.utils.data import DataLoader, TensorDataset

from ganzoo import AdversarialLoss, Zoo
from ganzoo.api import adapt
from ganzoo.recipes import Recipe
from ganzoo.training.experiment import build
from ganzoo.training.scalars import ScalarBuffer
from ganzoo.training.settings import TrainSettings
from ganzoo.training.state import TrainingState

COLOR = {"data": "emoji", "batch_size": 64, "augmentations": ["none"]}
CASES = {
    "fc": ("fc-mnist", {}),
    "dcgan": ("dcgan-mnist", {**COLOR, "settings": {"model.width": 64}}),
    "sngan": ("sngan-mnist", {**COLOR, "settings": {}}),
}


def recipe_of(zoo: Zoo, case: str) -> Recipe:
    name, options = CASES[case]
    return adapt(zoo.find(name), device="cpu", evaluate_every=0, **options)


def adams(state: TrainingState, *, fused: bool) -> list[torch.optim.Adam]:
    """Return an Adam for each player, with the settings of the recipe."""
    return [
        torch.optim.Adam(
            player.parameters, lr=player.base_rates[0], betas=player.optimizer.defaults["betas"], fused=fused
        )
        for player in (state.players["discriminator"], state.players["generator"])
    ]


def plain(state: TrainingState) -> Iterator[None]:
    """Train as a tutorial does."""
    model, loss = state.model.to(memory_format=torch.contiguous_format), state.loss
    assert isinstance(loss, AdversarialLoss)
    discriminator, generator = adams(state, fused=False)
    whole = state.experiment.dataset.tensors()
    assert whole is not None
    images = whole[model.target].float() / 127.5 - 1
    loader = DataLoader(TensorDataset(images), state.settings.batch_size, shuffle=True, drop_last=True)
    rng = torch.Generator()
    for step, (real,) in enumerate(cycle(loader)):
        latent = model.sample_latent(len(real), rng)
        fake = model.generate(latent)
        on_real = model.discriminate(real, {})["score"]
        on_fake = model.discriminate(fake.detach(), latent)["score"]
        discriminator.zero_grad()
        loss.discriminator(on_real, on_fake).backward()
        discriminator.step()
        if step % loss.n_critic == 0:
            generator.zero_grad()
            loss.generator(model.discriminate(fake, latent)["score"], None).backward()
            generator.step()
        yield


def by_hand(state: TrainingState) -> Iterator[None]:
    """Train as fast as we can without a framework."""
    model, loss = state.model, state.loss
    assert isinstance(loss, AdversarialLoss)
    discriminator, generator = adams(state, fused=True)
    d_weights, g_weights = (state.players[name].parameters for name in ("discriminator", "generator"))
    whole = state.experiment.dataset.tensors()
    assert whole is not None
    images, n = whole[model.target], state.settings.batch_size
    rng = torch.Generator()
    step = 0
    while True:
        for index in torch.randperm(len(images)).split(n)[: len(images) // n]:
            real = images.index_select(0, index).float().div_(127.5).sub_(1)
            latent = model.sample_latent(n, rng)
            learns = step % loss.n_critic == 0
            with torch.set_grad_enabled(learns):
                fake = model.generate(latent)
            if model.batch_dependent:
                on_real = model.discriminate(real, {})["score"]
                on_fake = model.discriminate(fake.detach(), latent)["score"]
            else:
                on_real, on_fake = model.discriminate(torch.cat([real, fake.detach()]), {})["score"].split(n)
            for weight in d_weights:
                weight.grad = None
            loss.discriminator(on_real, on_fake).backward()
            discriminator.step()
            if learns:
                for weight in g_weights:
                    weight.grad = None
                loss.generator(model.discriminate(fake, latent)["score"], None).backward(inputs=g_weights)
                generator.step()
            step += 1
            yield


def ours(state: TrainingState) -> Iterator[None]:
    """Train as ganzoo does."""
    buffer = ScalarBuffer()
    for step, real in enumerate(state.stream.batches(0), start=1):
        state.train_step(step, real, buffer)
        if step % 100 == 0:
            buffer.pop_means()
        yield


def measure(case: str, rounds: int, seconds: float) -> None:
    zoo = Zoo()

    def state(**changes: str) -> TrainingState:
        experiment = build(zoo, recipe_of(zoo, case))
        settings: TrainSettings = replace(experiment.settings, ema=0.0, **changes)  # type: ignore[arg-type]
        return TrainingState(replace(experiment, settings=settings))

    ways: dict[str, Callable[[TrainingState], Iterator[None]]] = {"plain": plain, "by hand": by_hand, "ganzoo": ours}
    trials = {name: way(state()) for name, way in ways.items()} | {"bf16": ours(state(precision="bf16"))}
    speeds: dict[str, list[float]] = {name: [] for name in trials}
    for number in range(rounds + 1):
        for name, trial in trials.items():
            began, steps = time.perf_counter(), 0
            while time.perf_counter() - began < (seconds if number else 1) or steps < 3:
                next(trial)
                steps += 1
            if number:  # the first round warms up
                speeds[name].append(steps / (time.perf_counter() - began))
    print(f"{case}: steps per second, and times the plain loop (median of {rounds} rounds, least to greatest)")
    for name, found in speeds.items():
        ratios = sorted(speed / base for speed, base in zip(found, speeds["plain"], strict=True))
        print(
            f"  {name:8} {statistics.median(found):8.2f}   x {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )
    engine = [one / best for one, best in zip(speeds["ganzoo"], speeds["by hand"], strict=True)]
    print(f"  ganzoo / by hand: {statistics.median(engine):.3f} ({min(engine):.3f} to {max(engine):.3f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="what to measure; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each loop in each round")
    arguments = parser.parse_args()
    for case in arguments.cases or CASES:
        measure(case, arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()
