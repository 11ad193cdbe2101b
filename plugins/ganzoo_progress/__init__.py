"""Progress in the console: a live bar on a terminal, one plain line an epoch elsewhere."""

import sys

import click

from ganzoo import hookimpl

_displays = {}  # run directory -> _Bar or _Lines


@hookimpl
def ganzoo_run_started(run):
    """Say what is about to happen, and begin to show it."""
    display = (_Bar if sys.stdout.isatty() else _Lines)(run)
    _displays[run.directory] = display


@hookimpl
def ganzoo_tick(run, tick):
    """Show the newest scalars."""
    _displays[run.directory].tick(tick)


@hookimpl
def ganzoo_alarm(run, step, alarm):
    """Say what is wrong, in a line of its own that stays."""
    _displays[run.directory].say(f"Alarm at step {step} ({alarm.kind}): {alarm}")


@hookimpl
def ganzoo_run_ended(run, state, reason):
    """Leave the console as it was."""
    display = _displays.pop(run.directory)
    display.close()
    if state == "rolled back":
        click.echo(f"Rolled back {reason}")


def _headline(run):
    recipe = run.recipe
    sizes = ", ".join(f"{player} {count:,}" for player, count in run.parameters.items())
    start = f", from step {run.start_step}" if run.start_step else ""
    return (
        f"{recipe.name}: data {recipe.data.name} ({run.examples:,}), model {recipe.model.name} ({sizes} parameters), "
        f"loss {recipe.loss.name}, seed {recipe.train['seed']}, on {run.device}\n"
        f"{_epochs(run.total_steps / run.steps_per_epoch)} epochs of {run.steps_per_epoch} steps{start}, "
        f"in {run.directory}"
    )


def _epochs(number):
    """Return a number of epochs: whole ones without a point, parts of the first with what it takes to see them."""
    return f"{number:.0f}" if number == int(number) else f"{number:.2g}" if number < 1 else f"{number:.2f}"


def _scalars(tick):
    """Return the scalars in one line: what is minimised, then what is watched, then the speed;
    gradients and the like are for the curves."""
    names = [name for name in tick.scalars if not name.startswith(("gradient/", "health/"))]
    names.sort(key=lambda name: not name.startswith("loss/"))
    values = [f"{name.replace('/', ' ')} {tick.scalars[name]:.4f}" for name in names]
    return "  ".join([*values, f"{tick.images_per_second:,.0f} images/s"])


class _Lines:
    """One line an epoch, and one where training ends within an epoch."""

    def __init__(self, run):
        self.run = run
        click.echo(_headline(run))

    def tick(self, tick):
        if tick.ends_epoch or tick.step == self.run.total_steps:
            epochs = _epochs(self.run.total_steps / self.run.steps_per_epoch)
            click.echo(f"Epoch [{_epochs(tick.epoch)}/{epochs}]  step {tick.step}  {_scalars(tick)}")

    def say(self, text):
        click.echo(text)

    def close(self):
        pass


class _Bar:
    """A bar that fills, with the time left, and the newest scalars under it."""

    def __init__(self, run):
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.text import Text

        console = Console()
        console.print(_headline(run), highlight=False, markup=False)
        self.total = _epochs(run.total_steps / run.steps_per_epoch)
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

    def tick(self, tick):
        epoch = _epochs(tick.epoch) if tick.ends_epoch else f"{tick.epoch:.1f}"
        self.bar.update(self.task, completed=tick.step, description=f"{epoch}/{self.total}")
        self.line.plain = _scalars(tick)

    def say(self, text):
        self.live.console.print(text, style="yellow", highlight=False, markup=False)

    def close(self):
        self.live.stop()
