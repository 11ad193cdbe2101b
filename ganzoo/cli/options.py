"""Options that several commands share, declared once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ganzoo.errors import UsageError
from ganzoo.recipes import parse_value

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

directory = click.argument("directory", type=click.Path(path_type=Path))
checkpoint = click.option(
    "--checkpoint", metavar="last|best|STEP", default="last", show_default=True, help="Checkpoint to use."
)
device = click.option(
    "--device", metavar="auto|cpu|cuda[:N]|mps", default="auto", show_default=True, help="Where to compute."
)

_TRAINING: dict[str, Decorator] = {
    "epochs": click.option("--epochs", type=int, help="Passes over the data."),
    "steps": click.option(
        "--steps", type=int, help="Total steps, instead of the recipe's epochs; cannot be combined with --epochs."
    ),
    "batch_size": click.option("--batch-size", type=int, help="Examples per step."),
    "accumulate": click.option(
        "--accumulate", type=int, metavar="N", help="Micro-batches per step, for batches that do not fit into memory."
    ),
    "precision": click.option(
        "--precision", metavar="fp32|bf16|auto", help="What networks compute with in training; auto: what is faster."
    ),
    "compile": click.option(
        "--compile", metavar="off|on|auto", help="Whether networks are compiled; auto: if it makes the run shorter."
    ),
    "seed": click.option("--seed", type=int, help="Random seed."),
    "device": click.option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where to train."),
    "data": click.option(
        "--data",
        metavar="NAME|PATH|NAME=PATH",
        help="Dataset to use instead of the recipe's, or a folder of pictures, or both.",
    ),
    "model": click.option("--model", metavar="NAME", help="Model to use instead of the recipe's."),
    "loss": click.option("--loss", metavar="NAME", help="Loss to use instead of the recipe's."),
    "penalties": click.option(
        "--penalty",
        "penalties",
        metavar="NAME",
        multiple=True,
        callback=lambda ctx, option, names: names or None,
        help="Penalty to use instead of the recipe's; repeatable; 'none' removes them.",
    ),
    "augmentations": click.option(
        "--augmentation",
        "augmentations",
        metavar="NAME",
        multiple=True,
        callback=lambda ctx, option, names: names or None,
        help="Augmentation to use instead of the recipe's; repeatable; 'none' removes them.",
    ),
    "checkpoint_every": click.option("--checkpoint-every", type=int, metavar="N", help="Steps between checkpoints."),
    "evaluate_every": click.option(
        "--evaluate-every", type=int, metavar="N", help="Steps between evaluations; the best checkpoint is kept."
    ),
    "on_collapse": click.option("--on-collapse", metavar="warn|stop|rollback", help="What to do at a fatal alarm."),
}


def training(*names: str) -> Decorator:
    """Return a decorator that adds options of the Python API's ``TrainOptions``, by name; all of them if none are
    named."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or tuple(_TRAINING)):
            command = _TRAINING[name](command)
        return command

    return add


def number(
    help: str,  # noqa: A002 - as in click
    *,
    default: int | None = None,
    least: int = 1,
    most: int | None = None,
) -> Decorator:
    """Return a decorator that adds ``-n``, a number of samples between two limits. With None as its default, ``help``
    says what that means."""
    kind = click.IntRange(least, most)
    return click.option("-n", "--number", type=kind, default=default, show_default=default is not None, help=help)


def seed(help: str) -> Decorator:  # noqa: A002
    """Return a decorator that adds ``--seed``, by default 0."""
    return click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help=help)


def settings(help: str) -> Decorator:  # noqa: A002 - as in click
    """Return a decorator that adds ``--set PATH=VALUE``; the command gets ``settings``, path -> value."""
    return click.option(
        "--set",
        "settings",
        metavar="PATH=VALUE",
        multiple=True,
        callback=lambda ctx, option, texts: dict(map(assignment, texts)),
        help=f"{help}; repeatable.",
    )


def assignment(text: str) -> tuple[str, Any]:
    """Return the path and the value of ``PATH=VALUE``.

    Raises:
        UsageError: there is no equals sign.
    """
    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text!r} must be PATH=VALUE, such as --set model.latent_dim=64.")
    return path.strip(), parse_value(value.strip())


def names(text: str | None) -> list[str]:
    """Return the names in a list such as ``fd,kd``."""
    return [name for name in re.split(r"\s*,\s*", (text or "").strip()) if name]
