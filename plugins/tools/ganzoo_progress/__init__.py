"""Progress in the console: a live bar on a terminal, otherwise one plain line per epoch, at the tick after its end."""

import sys

import click

from ganzoo import Alarm, Observer, RunInfo, Tick, hookimpl


@hookimpl
def ganzoo_observer(run: RunInfo) -> Observer:
    return Bar(run) if sys.stdout and sys.stdout.isatty() else Lines(run)


def _headline(run: RunInfo) -> str:
    recipe = run.recipe
    sizes = ", ".join(f"{player} {count:,}" for player, count in run.parameters.items())
    start = f", from step {run.start_step}" if run.start_step else ""
    examples = ", ".join([f"{run.examples:,}", *_classes(run)])
    length = f"{_epochs(run.total_steps / run.steps_per_epoch)} epochs of {run.steps_per_epoch} steps"
    if run.total_steps < run.steps_per_epoch:
        length = f"{run.total_steps} steps (an epoch has {run.steps_per_epoch})"
    return (
        f"{recipe.name}: data {recipe.data.name} ({examples}), model {recipe.model.name} ({sizes} parameters), "
        f"loss {recipe.loss.name}, seed {recipe.train['seed']}, on {run.device}\n"
        f"{length}{start}, in {run.directory}"
    )


def _classes(run: RunInfo) -> list[str]:
    """Return what the labels are, such as ``12 classes: cat, dog, ...``, where they have names."""
    named = [field.class_names for field in run.fields.values() if field.class_names]
    return [f"{len(names)} classes: {', '.join(names[:5])}{', ...' * (len(names) > 5)}" for names in named]


def _epochs(number: float) -> str:
    """Return a number of epochs: whole numbers without decimals, fractions with two significant digits."""
    return f"{number:.0f}" if number == int(number) else f"{number:.2g}" if number < 1 else f"{number:.2f}"


def _scalars(tick: Tick) -> str:
    """Return the scalars in one line: losses, then metrics, then the speed, without gradient norms and diversity."""
    names = [name for name in tick.scalars if not name.startswith(("gradient/", "health/"))]
    names.sort(key=lambda name: not name.startswith("loss/"))
    values = [f"{name.replace('/', ' ')} {tick.scalars[name]:.4f}" for name in names]
    return "  ".join([*values, f"{tick.examples_per_second:,.0f} examples/s"])


class Lines(Observer):
    """One line per epoch, at the first tick after its end, and one at the end. So lines are as far apart as ticks."""

    def __init__(self, run: RunInfo) -> None:
        self.run = run
        click.echo(_headline(run))

    def on_tick(self, tick: Tick) -> None:
        if tick.ends_epoch or tick.step == self.run.total_steps:
            epochs = self.run.total_steps / self.run.steps_per_epoch
            done = tick.epoch if tick.step == self.run.total_steps else int(tick.epoch)
            where = f"Epoch [{_epochs(done)}/{_epochs(epochs)}]  " if epochs >= 1 else ""
            click.echo(f"{where}step {tick.step}  {_scalars(tick)}")

    def on_alarm(self, step: int, alarm: Alarm) -> None:
        click.echo(_alarm(step, alarm))

    def on_end(self, state: str, reason: str) -> None:
        _print_rollback(state, reason)


class Bar(Observer):
    """A progress bar with the time left, and the latest scalars below it."""

    def __init__(self, run: RunInfo) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.text import Text

        console = Console()
        console.print(_headline(run), highlight=False, markup=False)
        self.run, self.total = run, _epochs(run.total_steps / run.steps_per_epoch)
        self.bar = Progress(
            TextColumn("epoch {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            speed_estimate_period=60,
        )
        self.task = self.bar.add_task(f"0/{self.total}", total=run.total_steps, completed=run.start_step)
        self.line = Text()
        self.live = Live(Group(self.bar, self.line), console=console, refresh_per_second=4)
        self.live.start()

    def on_tick(self, tick: Tick) -> None:
        epoch = _epochs(tick.epoch) if tick.step == self.run.total_steps else f"{tick.epoch:.1f}"
        self.bar.update(self.task, completed=tick.step, description=f"{epoch}/{self.total}")
        self.line.plain = _scalars(tick)

    def on_alarm(self, step: int, alarm: Alarm) -> None:
        self.live.console.print(_alarm(step, alarm), style="yellow", highlight=False, markup=False)

    def on_end(self, state: str, reason: str) -> None:
        self.live.stop()
        _print_rollback(state, reason)


def _alarm(step: int, alarm: Alarm) -> str:
    return f"Alarm at step {step} ({alarm.kind}): {alarm}"


def _print_rollback(state: str, reason: str) -> None:
    if state == "rolled back":
        click.echo(f"Rolled back {reason}")
