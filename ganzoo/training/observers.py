"""Calling the observers of a run so that none of them can disturb the training."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganzoo import randomness
from ganzoo.errors import format_error, warn
from ganzoo.events import Alarm, Observer, RunInfo
from ganzoo.guard import Guarded
from ganzoo.parts import Plugin
from ganzoo.training.scalars import RESERVED
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo


class Observers:
    """The observers of one session, one per plugin that has some. One that raises an exception is reported in one
    warning and left out from then on."""

    def __init__(self) -> None:
        self._observers: list[tuple[Plugin, Observer]] = []
        self._silenced: set[Plugin] = set()

    def start(self, zoo: Zoo, run: RunInfo) -> None:
        """Make the observers. The run directory is ready for the session."""
        for plugin in zoo.plugins:
            if caller := zoo.caller(plugin, "ganzoo_observer"):
                made = self._guarded(plugin, "ganzoo_observer", partial(_made, caller, run))
                self._observers += [(plugin, observer) for observer in made or ()]

    def tell(self, method: str, *arguments: Any) -> list[Any]:
        """Call one method of every observer and return the answers: scalars of ``on_samples``, lists of alarms of
        ``on_tick``."""
        answers = []
        for plugin, observer in self._observers:
            if plugin in self._silenced and method != "on_end":  # it may still close what it opened
                continue
            answer = self._guarded(plugin, method, partial(_answer, observer, method, *arguments))
            if answer is not None:
                answers.append(answer)
        return answers

    def _guarded(self, plugin: Plugin, what: str, call: Callable[[], Any]) -> Any:
        """Return what the call returns, or None if it fails; the global random state is restored."""
        grad_mode, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        try:
            with randomness.preserved(), Guarded(quiet=False):
                result = call()
            if (torch.is_grad_enabled(), torch.get_default_dtype()) != (grad_mode, dtype):
                raise RuntimeError("it changed torch's grad mode or default dtype, which was undone")
            return result
        except Exception as error:
            if plugin not in self._silenced:
                warn(f"the plugin {plugin} failed in {what} and is left out of this run: {format_error(error)}")
            self._silenced.add(plugin)
            return None
        finally:
            torch.set_grad_enabled(grad_mode)
            torch.set_default_dtype(dtype)


def run_info(state: TrainingState, directory: Path, start: int) -> RunInfo:
    """Return what observers are told about a run.

    Args:
        state: of the run.
        directory: the run directory.
        start: the step from which the session starts.
    """
    experiment = state.experiment
    return RunInfo(
        directory=directory,
        recipe=experiment.recipe,
        device=str(experiment.device),
        examples=len(experiment.dataset),
        fields=experiment.dataset.fields,
        parameters={name: sum(p.numel() for p in player.parameters) for name, player in state.players.items()},
        batch_size=state.settings.batch_size,
        steps_per_epoch=state.stream.steps_per_epoch,
        total_steps=state.total_steps,
        start_step=start,
    )


def _made(caller: Callable[..., list[Any]], run: RunInfo) -> list[Observer]:
    made = caller(run=run)
    for answer in made:
        if not isinstance(answer, Observer):
            raise TypeError(f"it must return a ganzoo.Observer or None, not {answer!r:.80}")
    return made


def _answer(observer: Observer, method: str, *arguments: Any) -> Any:
    answer = getattr(observer, method)(*arguments)
    return None if answer is None or method not in _CHECKS else _CHECKS[method](answer)


def _scalars(answer: Any) -> dict[str, float]:
    if not isinstance(answer, Mapping):
        raise TypeError(f"it must return name -> number, or None, not {answer!r:.80}")
    scalars = {str(name): float(value) for name, value in answer.items()}
    for name, value in scalars.items():
        if name in RESERVED:
            raise ValueError(f"a number cannot be called {name!r}: every tick has an entry of that name")
        if not math.isfinite(value):
            raise ValueError(f"the number {name!r} that it returned is {value}")
    return scalars


def _alarms(answer: Any) -> list[Alarm]:
    alarms = [answer] if isinstance(answer, Alarm) else answer
    if not isinstance(alarms, Sequence) or not all(isinstance(alarm, Alarm) for alarm in alarms):
        raise TypeError(f"it must return an Alarm, a list of alarms, or None, not {answer!r:.80}")
    types = {"kind": str, "message": str, "remedy": str, "last_healthy_step": int, "fatal": bool}
    for alarm in alarms:
        for name, kind in types.items():
            if type(getattr(alarm, name)) is not kind:
                raise TypeError(f"an alarm's {name} must be of type {kind.__name__}, not {getattr(alarm, name)!r:.80}")
    return list(alarms)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {"on_samples": _scalars, "on_tick": _alarms}
