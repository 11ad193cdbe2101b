"""Finding plugins, and what they bring.

Called by the command line and by ``ganzoo.train``; what comes out is a ``Zoo``: parts by kind and name, recipes, and a
list of what is broken. Every plugin is guarded by itself, so that a broken one never takes the others down.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ganzoo import hookspecs, registry
from ganzoo.errors import GanzooError, UsageError, nearest
from ganzoo.registry import Recipe

GROUP = "ganzoo"
HOUSE = "torch-ganzoo"
KINDS = ("data", "models", "losses", "penalties", "metrics", "extractors", "commands")
OUR_COMMANDS = ("list", "show", "run", "resume", "sample", "evaluate", "reproduce", "export", "new", "check")


@dataclass(frozen=True)
class Plugin:
    """One entry point of the group ``ganzoo``, and the distribution that was installed with it."""

    name: str
    distribution: str
    version: str
    module: ModuleType | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.name} (of {self.distribution} {self.version})"


@dataclass(frozen=True)
class Part:
    """Something of one of the ``KINDS`` that a plugin brings; imported by ``load``."""

    kind: str
    name: str
    target: str
    plugin: Plugin

    def load(self) -> Any:
        """Import the part.

        Raises:
            GanzooError: the import fails, with the plugin to blame.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:
            raise GanzooError(
                f"{self.name!r} of the plugin {self.plugin} cannot be imported from {self.target!r}: {describe(error)}"
            ) from error


@dataclass(frozen=True)
class Entry:
    """A recipe in the zoo, and where it comes from. ``recipe`` is the error where the registry file is wrong."""

    name: str
    recipe: Recipe | UsageError
    origin: str
    plugin: Plugin | None


@dataclass(frozen=True)
class Broken:
    """Something of a plugin that does not work: ``error`` says what, in words."""

    plugin: Plugin
    error: str


class Zoo:
    """All that is installed.

    Attributes:
        plugins: those that were loaded: ganzoo's own, then others by the name of their distribution.
        broken: what of any plugin failed to load, made no sense, or collided.
    """

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.broken: list[Broken] = []
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._parts: dict[str, dict[str, list[Part]]] = {kind: {} for kind in KINDS}
        self._entries: dict[str, list[Entry]] = {}
        for plugin, point in self._installed():
            self._add(plugin, point)
        for kind in KINDS:
            self._collect_parts(kind)
        self._collect_recipes()
        self._report_collisions()

    def names(self, kind: str) -> list[str]:
        """Return the names of one of the ``KINDS`` of parts."""
        return sorted(self._parts[kind])

    def parts(self, kind: str) -> list[Part]:
        """Return all parts of a kind, sorted by name; one name twice where plugins collide."""
        return [part for name in self.names(kind) for part in self._parts[kind][name]]

    def part(self, kind: str, name: str) -> Part:
        """Return a part by its name, or by ``plugin/name`` where two plugins bring one of that name.

        Raises:
            UsageError: nobody brings it, or two do.
        """
        plugin, _, bare = name.rpartition("/")
        found = [part for part in self._parts[kind].get(bare, []) if plugin in ("", part.plugin.name)]
        if len(found) == 1:
            return found[0]
        singular = {"data": "data", "losses": "loss", "penalties": "penalty"}.get(kind, kind.removesuffix("s"))
        if found:
            choices = " or ".join(f"{part.plugin.name}/{part.name}" for part in found)
            owners = " and ".join(str(part.plugin) for part in found)
            raise UsageError(f"Two plugins bring a {singular} {bare!r}: {owners}. Say which: {choices}.")
        raise UsageError(f"Unknown {singular} {name!r}. {nearest(name, self.names(kind))}")

    def entries(self) -> list[Entry]:
        """Return all recipes, sorted by name; one name twice where registry files collide."""
        return [entry for name in sorted(self._entries) for entry in self._entries[name]]

    def recipe(self, name: str) -> Recipe:
        """Return the recipe of that name.

        Raises:
            UsageError: there is none, it is written wrongly, or two files give one (then ``plugin/name`` says which).
        """
        plugin, _, bare = name.rpartition("/")
        found = [e for e in self._entries.get(bare, []) if plugin in ("", e.plugin.name if e.plugin else "")]
        if not found:
            raise UsageError(f"Unknown recipe {name!r}. {nearest(name, self._entries)} ('ganzoo list' shows them all.)")
        if len(found) > 1:
            choices = " or ".join(f"{entry.plugin.name}/{bare}" for entry in found if entry.plugin)
            files = " and ".join(entry.origin for entry in found)
            raise UsageError(f"Two registry files give a recipe {bare!r}: {files}. Say which: {choices}.")
        if isinstance(found[0].recipe, UsageError):
            raise found[0].recipe
        return found[0].recipe

    def caller(self, plugin: Plugin, hook: str) -> Callable[..., list[Any]] | None:
        """Return a function that calls one hook of one plugin with keyword arguments, or None if it has no such."""
        others = [other.module for other in self.plugins if other.module is not plugin.module]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        return caller if caller.get_hookimpls() else None

    def _installed(self) -> list[tuple[Plugin, EntryPoint]]:
        """Return the entry points of our group: the house's first, so that nobody takes its names, then by name."""
        found: dict[tuple[bool, str, str], tuple[Plugin, EntryPoint]] = {}
        for distribution in distributions():
            try:
                points = [point for point in distribution.entry_points if point.group == GROUP]
                metadata: Any = distribution.metadata if points else {}
                owner = {
                    key: metadata[key] if metadata and key in metadata else "unknown" for key in ("Name", "Version")
                }
                for point in points:  # the same distribution may be on sys.path twice; the first one counts
                    plugin = Plugin(point.name, owner["Name"], owner["Version"])
                    found.setdefault((owner["Name"] != HOUSE, owner["Name"], point.name), (plugin, point))
            except Exception as error:
                where = Plugin("?", str(getattr(distribution, "_path", "unknown")), "?")
                with suppress(Exception):  # its entry points cannot be read as such: is it about us at all?
                    if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
                        self.broken.append(Broken(where, f"its entry points cannot be read: {describe(error)}"))
        return [found[key] for key in sorted(found)]

    def _add(self, plugin: Plugin, point: EntryPoint) -> None:
        module: Any = None
        registered = False
        try:
            if taken := next((p for p in self.plugins if p.name == plugin.name), None):
                raise GanzooError(f"its name is taken by the plugin {taken}; uninstall one of the two")
            module = point.load()
            if twin := next((p for p in self.plugins if p.module is module), None):
                raise GanzooError(f"it names the module {point.value!r}, which is the plugin {twin} already")
            self._manager.register(module, name=plugin.name)
            registered = True
            for caller in self._manager.get_hookcallers(module) or ():
                if not caller.has_spec():
                    known = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
                    raise GanzooError(f"there is no hook {caller.name!r}. {nearest(caller.name, known)}")
        except (Exception, SystemExit) as error:
            if registered:
                self._manager.unregister(module)
            self.broken.append(Broken(plugin, describe(error)))
        else:
            self.plugins.append(replace(plugin, module=module))

    def _ask(self, hook: str) -> Iterator[tuple[Plugin, Any]]:
        for plugin in self.plugins:
            if not (caller := self.caller(plugin, hook)):
                continue
            try:
                answers = caller()
            except (Exception, SystemExit) as error:
                self.broken.append(Broken(plugin, f"{hook} raised {describe(error)}"))
                continue
            if not answers:  # pluggy leaves out None
                self.broken.append(Broken(plugin, f"{hook} returned nothing; does it lack a return?"))
            yield from ((plugin, answer) for answer in answers)

    def _collect_parts(self, kind: str) -> None:
        for plugin, answer in self._ask(f"ganzoo_{kind}"):
            if not isinstance(answer, Mapping):
                self.broken.append(Broken(plugin, f"ganzoo_{kind} must return a mapping, not {answer!r:.80}"))
                continue
            for name, target in answer.items():
                if not _is_target(name, target):
                    wrong = f"ganzoo_{kind} must map names without '/' to 'module:object', not {name!r} to {target!r}"
                    self.broken.append(Broken(plugin, wrong))
                    continue
                self._parts[kind].setdefault(name, []).append(Part(kind, name, target, plugin))

    def _collect_recipes(self) -> None:
        house = house_registry()
        files: list[tuple[Plugin | None, Path]] = [(None, house)]
        for plugin, answer in self._ask("ganzoo_registry"):
            try:
                path = Path(answer)
            except TypeError:
                self.broken.append(Broken(plugin, f"ganzoo_registry must return a path, not {answer!r:.80}"))
                continue
            if path.is_absolute():
                files.append((plugin, path))
            else:
                text = f"ganzoo_registry must return an absolute path, such as Path(__file__).with_name({path.name!r})"
                self.broken.append(Broken(plugin, text))
        for source, path in files:
            try:
                for name, recipe in registry.read(path):
                    owner = source or self._owner(recipe)
                    self._entries.setdefault(name, []).append(Entry(name, recipe, str(path), owner))
            except UsageError as error:
                self.broken.append(Broken(source or Plugin("ganzoo", HOUSE, ""), str(error)))

    def _owner(self, recipe: Recipe | UsageError) -> Plugin | None:
        """Return the plugin a recipe of the house's catalogue belongs to: the one that brings its model."""
        owners = [] if isinstance(recipe, UsageError) else self._parts["models"].get(recipe.model.name, [])
        return owners[0].plugin if owners else None

    def _report_collisions(self) -> None:
        for name in set(OUR_COMMANDS) & self._parts["commands"].keys():
            for part in self._parts["commands"].pop(name):
                self.broken.append(Broken(part.plugin, f"the command {name!r} is ganzoo's own; it needs another name"))
        for kind in KINDS:
            for name, parts in self._parts[kind].items():
                for part in parts[1:]:
                    self.broken.append(Broken(part.plugin, f"{name!r} ({kind}) is also brought by {parts[0].plugin}"))
        for name, entries in self._entries.items():
            for entry in entries:
                if isinstance(entry.recipe, UsageError) and entry.plugin:
                    self.broken.append(Broken(entry.plugin, str(entry.recipe)))
            for entry in entries[1:]:
                if entry.plugin:
                    text = f"the recipe {name!r} of {entry.origin} is also given by {entries[0].origin}"
                    self.broken.append(Broken(entry.plugin, text))


def house_registry() -> Path:
    """Return ganzoo's own registry.toml: inside the installed package, or at the root of a checkout."""
    inside = Path(__file__).with_name("registry.toml")
    return inside if inside.exists() else Path(__file__).parent.parent / "registry.toml"


def describe(error: BaseException) -> str:
    """Return an exception in one line: its type, unless it is one of ours, and its message."""
    text = " ".join(str(error).split())
    return text if isinstance(error, GanzooError) else f"{type(error).__name__}: {text}"


def warn(message: str) -> None:
    """Tell the user about something that does not stop the work, on standard error."""
    print(f"Warning: {message}", file=sys.stderr, flush=True)


def _is_target(name: Any, target: Any) -> bool:
    if not (isinstance(name, str) and isinstance(target, str)) or not name or "/" in name:
        return False
    module, colon, attribute = target.partition(":")
    return bool(colon) and attribute.isidentifier() and all(piece.isidentifier() for piece in module.split("."))
