"""Observers: the plugins' life-cycle hooks, called so that none of them can hurt the training."""

from typing import Any

from ganzoo.plugins import Plugin, Zoo, describe, warn
from ganzoo.training import randomness


class Observers:
    """Calls life-cycle hooks plugin by plugin; one that raises is named once and left out from then on."""

    def __init__(self, zoo: Zoo) -> None:
        self._zoo = zoo
        self._silenced: set[Plugin] = set()

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call one hook of every plugin that has it, and put the global random state back afterwards."""
        with randomness.preserved():
            for plugin in self._zoo.plugins:
                caller = self._zoo.caller(plugin, hook)
                silenced = plugin in self._silenced and hook != "ganzoo_run_ended"  # it may still close what it opened
                if caller is None or silenced:
                    continue
                try:
                    caller(**arguments)
                except (Exception, SystemExit) as error:
                    if plugin in self._silenced:
                        continue
                    self._silenced.add(plugin)
                    warn(f"the plugin {plugin} failed in {hook} and is left out of this run: {describe(error)}")
