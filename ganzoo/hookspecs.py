"""Every hook of ganzoo: the contract with plugin authors.

A plugin is a module named by an entry point of the group ``ganzoo``. It should import in a blink (no torch): parts are
named as ``"module:object"`` and imported when first used. A plugin implements any of these functions, each marked with
``ganzoo.hookimpl``, taking as many of the arguments listed here as it wants, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from torch import Tensor

    from ganzoo.alarm import Alarm
    from ganzoo.training.run import RunInfo, Tick

hookspec = pluggy.HookspecMarker("ganzoo")
hookimpl = pluggy.HookimplMarker("ganzoo")

# --- the catalogue: asked once, when the zoo is opened --------------------------------------------------------------


@hookspec
def ganzoo_data() -> Mapping[str, str]:
    """Return the data sets this plugin brings: name -> ``"module:object"``, each a ``ganzoo.Data``."""


@hookspec
def ganzoo_models() -> Mapping[str, str]:
    """Return the models this plugin brings: name -> ``"module:object"``, each a ``ganzoo.Model``."""


@hookspec
def ganzoo_losses() -> Mapping[str, str]:
    """Return the losses this plugin brings: name -> ``"module:object"``, each a ``ganzoo.Loss``."""


@hookspec
def ganzoo_penalties() -> Mapping[str, str]:
    """Return the penalties this plugin brings: name -> ``"module:object"``, each a ``ganzoo.Penalty``."""


@hookspec
def ganzoo_metrics() -> Mapping[str, str]:
    """Return the metrics this plugin brings: name -> ``"module:object"``, each a ``ganzoo.Metric``."""


@hookspec
def ganzoo_extractors() -> Mapping[str, str]:
    """Return the feature extractors this plugin brings: name -> ``"module:object"``, each a
    ``torch_fidelity.feature_extractor_base.FeatureExtractorBase`` that is constructed with that name."""


@hookspec
def ganzoo_commands() -> Mapping[str, str]:
    """Return commands for the command line: name -> ``"module:object"``, each a ``click.Command``."""


@hookspec
def ganzoo_registry() -> str | PathLike[str]:
    """Return the path of this plugin's own registry.toml: its recipes."""


# --- the life of a run: floats and images are on the host already, so an implementation costs no synchronisation ------
#
# Called between steps, never inside one, with the global random state put back afterwards: what an observer draws or
# seeds does not touch the training. One that raises is reported by name and left out for the rest of the run.


@hookspec
def ganzoo_run_started(run: RunInfo) -> None:
    """Training begins, or goes on after a resume (then ``run.start_step`` is above 0)."""


@hookspec
def ganzoo_tick(run: RunInfo, tick: Tick) -> Alarm | list[Alarm] | None:
    """The scalars since the last tick, averaged: every ``train.log_every`` steps, at epoch ends and before a save.
    Return an alarm where they show that something is wrong."""


@hookspec
def ganzoo_samples(
    run: RunInfo, step: int, images: Mapping[str, Tensor], samples: Mapping[str, Tensor]
) -> Mapping[str, float] | None:
    """What the model makes of the fixed noise, every ``train.sample_every`` epochs: ``samples`` maps a name to float32
    (N, *shape), and ``images`` to pictures of it, float32 (N, C, H, W) in [-1, 1], where it can be drawn. Numbers that
    are returned (name -> float) join the scalars of the tick that follows; the first showing has none."""


@hookspec
def ganzoo_alarm(run: RunInfo, step: int, alarm: Alarm) -> None:
    """Something is wrong with the training: tell people. It is in metrics.jsonl already."""


@hookspec
def ganzoo_checkpoint_saved(run: RunInfo, step: int, path: Path) -> None:
    """A whole checkpoint stands at ``path``; flush whatever must not fall behind it."""


@hookspec
def ganzoo_run_ended(run: RunInfo, state: str, reason: str) -> None:
    """Training is over: ``state`` is finished, interrupted or failed, ``reason`` says why in words (may be empty).
    After the state ``rolled back``, ``ganzoo_run_started`` follows, as if a resume began."""
