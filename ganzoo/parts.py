"""Parts: the datasets, models, losses, penalties, augmentations, optimizers, metrics, extractors and commands that
plugins provide.

``KINDS`` is the one table of what kinds there are. A ``Part`` is a name and a plugin, and costs nothing. A
``ResolvedPart`` is its imported class with checked options, ready to be built.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from ganzoo.errors import GanzooError, UsageError, explained, format_error, shortage
from ganzoo.guard import Guarded
from ganzoo.recipes import PartChoice


@dataclass(frozen=True)
class Kind:
    """One kind of part.

    Attributes:
        word: what messages call it.
        plural: what ``ganzoo_parts`` and ``ganzoo list --kind`` call it.
        interface: the class that each of its parts derives from, or is an instance of, as ``"module:object"``.
    """

    word: str
    plural: str
    interface: str


BUILTIN_COMMANDS: tuple[str, ...] = ("list", "show", "run", "resume", "sample", "evaluate", "reproduce", "export")
BUILTIN_COMMANDS += ("bench", "new", "check")
"""Names that commands of plugins cannot have."""

KINDS = {
    "data": Kind("dataset", "datasets", "ganzoo.data:Dataset"),
    "model": Kind("model", "models", "ganzoo.model:Model"),
    "loss": Kind("loss", "losses", "ganzoo.loss:Loss"),
    "penalty": Kind("penalty", "penalties", "ganzoo.loss:Penalty"),
    "augmentation": Kind("augmentation", "augmentations", "ganzoo.augmentation:Augmentation"),
    "optimizer": Kind("optimizer", "optimizers", "torch.optim:Optimizer"),
    "metric": Kind("metric", "metrics", "ganzoo.metric:Metric"),
    "extractor": Kind("extractor", "extractors", "torch_fidelity.feature_extractor_base:FeatureExtractorBase"),
    "command": Kind("command", "commands", "click:Command"),
}
"""Kinds by the key that recipes use."""

PLURALS = {kind.plural: key for key, kind in KINDS.items()}


@dataclass(frozen=True)
class Plugin:
    """One entry point of the group ``ganzoo``, and the distribution it was installed with."""

    name: str
    distribution: str
    version: str
    module: ModuleType | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.name} (of {self.distribution} {self.version})"


@dataclass(frozen=True)
class Part:
    """A part that a plugin provides; ``kind`` is a key of ``KINDS``, ``target`` is ``"module:object"``."""

    kind: str
    name: str
    target: str
    plugin: Plugin

    def load(self) -> Any:
        """Import the part.

        Raises:
            GanzooError: the import fails, or it is not what its plugin says; the message names the plugin.
        """
        try:
            with Guarded():
                found = import_object(self.target)
        except Exception as error:
            raise GanzooError(
                f"{self.name!r} of the plugin {self.plugin} cannot be imported from {self.target!r}: "
                f"{format_error(error)}"
            ) from error
        kind = KINDS[self.kind]
        interface = import_object(kind.interface)
        if isinstance(found, interface) or (isinstance(found, type) and issubclass(found, interface)):
            return found
        raise GanzooError(
            f"The {kind.word} {self.name!r} of the plugin {self.plugin} is {found!r}, not a {interface.__name__}."
        )


@dataclass(frozen=True)
class ResolvedPart:
    """An imported part with checked options: every option has a value.

    Attributes:
        name: as the recipe names it: with the plugin in front if two plugins provide one of that name.
        player: who it is for; empty for the part's own choice.
    """

    part: Part
    cls: Any
    options: Mapping[str, Any]
    name: str
    player: str = ""

    @property
    def choice(self) -> PartChoice:
        """The part as a recipe names it, with all its options."""
        from ganzoo import options

        return PartChoice(self.name, options.plain(self.cls, self.options), self.player)

    @property
    def words(self) -> str:
        """What messages call it, such as ``model 'my-gan'``."""
        return f"{KINDS[self.part.kind].word} {self.part.name!r}"

    def build(self, *arguments: Any) -> Any:
        """Return an instance.

        Raises:
            UsageError: the part does not accept its arguments or options.
        """
        with self.blamed():
            built = self.cls(*arguments, **self.options)
            if self.player:
                built.player = self.player
            return built

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Turn errors within the block into a ``UsageError`` that names the part and its plugin."""
        try:
            with Guarded():
                yield
        except GanzooError:
            raise
        except ValueError as error:
            raise UsageError(f"The {self.words} does not fit: {error}.") from error
        except Exception as error:
            if lacking := shortage(error):
                raise GanzooError(f"{lacking[0]}, while the {self.words} was built. {lacking[1]}.") from error
            raise UsageError(
                f"The {self.words} of the plugin {self.part.plugin} could not be built with these settings: "
                f"{explained(error)}."
            ) from error


def resolve(part: Part, choice: PartChoice, where: str) -> ResolvedPart:
    """Import a part and check its options.

    Args:
        part: what to import.
        choice: what the user set.
        where: the path of these settings for messages, such as ``model``.

    Raises:
        UsageError: an unknown option or a bad value.
        GanzooError: the part cannot be imported.
    """
    from ganzoo import options  # it imports pydantic, which 'ganzoo list' can do without

    cls = part.load()
    return ResolvedPart(part, cls, options.check(cls, choice.options, where), choice.name, choice.player)


def import_object(target: str) -> Any:
    """Import what ``"module:object"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
