"""Alarms: what a plugin that watches a training says when something is wrong with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong, in plain words. An observer returns it from ``ganzoo_tick``; the engine writes it into
    metrics.jsonl, tells all observers, and does what ``train.on_collapse`` says if it is fatal.

    Attributes:
        kind: a short name, such as ``collapse``.
        message: what was seen: one sentence.
        remedy: the likely cause, and what helps.
        since: the last step at which all was well, as far as is known; a rollback goes back to it, or further.
        fatal: whether training on is a waste, so that ``train.on_collapse`` applies.
    """

    kind: str
    message: str
    remedy: str = ""
    since: int = 0
    fatal: bool = False

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.remedy)))


class Alarmed(Exception):
    """An alarm ends a session of training."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(str(alarm))
        self.alarm = alarm
