"""Observers: the plugins' life-cycle hooks, called so that none of them can hurt the training."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ganzoo.alarm import Alarm
from ganzoo.plugins import Plugin, Zoo, describe, warn
from ganzoo.training import randomness
from ganzoo.training.ledger import RESERVED


class Observers:
    """Calls life-cycle hooks plugin by plugin; one that raises is named once and left out from then on."""

    def __init__(self, zoo: Zoo) -> None:
        self._zoo = zoo
        self._silenced: set[Plugin] = set()

    def tell(self, hook: str, **arguments: Any) -> list[Any]:
        """Call one hook of every plugin that has it, put the global random state back afterwards, and return what they
        answered, where a hook may: scalars (``ganzoo_samples``), lists of alarms (``ganzoo_tick``)."""
        answers = []
        with randomness.preserved():
            for plugin in self._zoo.plugins:
                caller = self._zoo.caller(plugin, hook)
                silenced = plugin in self._silenced and hook != "ganzoo_run_ended"  # it may still close what it opened
                if caller is None or silenced:
                    continue
                try:
                    for answer in caller(**arguments):  # pluggy leaves out None
                        answers.append(_CHECKS[hook](answer) if hook in _CHECKS else answer)
                except (Exception, SystemExit) as error:
                    if plugin in self._silenced:
                        continue
                    self._silenced.add(plugin)
                    warn(f"the plugin {plugin} failed in {hook} and is left out of this run: {describe(error)}")
        return answers


def _scalars(answer: Any) -> dict[str, float]:
    if not isinstance(answer, Mapping):
        raise TypeError(f"it must return name -> number, or nothing, not {answer!r:.80}")
    scalars = {str(name): float(value) for name, value in answer.items()}
    for name, value in scalars.items():
        if name in RESERVED:
            raise ValueError(f"a number cannot be called {name!r}, which each tick has already")
        if not math.isfinite(value):
            raise ValueError(f"the number {name!r} that it returned is {value}")
    return scalars


def _alarms(answer: Any) -> list[Alarm]:
    alarms = [answer] if isinstance(answer, Alarm) else answer
    if not isinstance(alarms, list) or not all(isinstance(alarm, Alarm) for alarm in alarms):
        raise TypeError(f"it must return an Alarm, a list of them, or nothing, not {answer!r:.80}")
    for alarm in alarms:
        for name, kind in (("kind", str), ("message", str), ("remedy", str), ("since", int), ("fatal", bool)):
            if type(getattr(alarm, name)) is not kind:
                raise TypeError(f"an alarm's {name} must be of type {kind.__name__}, not {getattr(alarm, name)!r:.80}")
    return alarms


_CHECKS: Mapping[str, Callable[[Any], Any]] = {"ganzoo_samples": _scalars, "ganzoo_tick": _alarms}
