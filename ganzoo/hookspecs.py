"""Every hook of ganzoo: the contract with plugin authors.

A plugin is a module that an entry point of the group ``ganzoo`` names. It implements any of these functions and marks
them with ``ganzoo.hookimpl``. The module must be quick to import (no torch): parts are named as ``"module:object"`` and
imported when they are first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import pluggy

from ganzoo.events import Observer, RunInfo

hookspec = pluggy.HookspecMarker("ganzoo")
hookimpl = pluggy.HookimplMarker("ganzoo")
"""Marks a function of a plugin as the implementation of a hook."""


@hookspec
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    """Return the parts of this plugin: kind -> name -> ``"module:object"``. Called once, when the plugins are loaded.

    The kinds are ``datasets`` (each a subclass of ``ganzoo.Dataset``), ``models`` (of ``ganzoo.Model``), ``losses`` (of
    ``ganzoo.Loss``), ``penalties`` (of ``ganzoo.Penalty``), ``augmentations`` (of ``ganzoo.Augmentation``),
    ``optimizers`` (of ``torch.optim.Optimizer``), ``metrics`` (of ``ganzoo.Metric``), ``extractors`` (of
    ``ganzoo.FeatureExtractor``, or of torch-fidelity's ``FeatureExtractorBase``) and ``commands`` (each an instance of
    ``click.Command``).
    """


@hookspec
def ganzoo_registry() -> str | PathLike[str]:
    """Return the absolute path of this plugin's registry.toml, which holds its recipes. Called once, when the plugins
    are loaded. Evidence of its recipes is read from the folder ``evidence/`` beside that file."""


@hookspec
def ganzoo_observer(run: RunInfo) -> Observer | None:
    """Return an observer for a session of a run, or None. Called when training starts, and again after a resume
    (``run.start_step`` is then above 0) and after a rollback."""
