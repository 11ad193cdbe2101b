"""The zoo: all that is installed. Finds the plugins, what they provide, and the recipes.

Each plugin is guarded separately, so that a broken one does not take the others down.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, distributions
from os import PathLike
from pathlib import Path
from typing import Any

import pluggy

from ganzoo import evidence, hookspecs, recipes
from ganzoo.errors import GanzooError, UsageError, format_error, nearest, unknown
from ganzoo.evidence import Evidence
from ganzoo.guard import Guarded
from ganzoo.parts import BUILTIN_COMMANDS, KINDS, PLURALS, Part, Plugin
from ganzoo.recipes import Recipe

GROUP = "ganzoo"
OWN_DISTRIBUTION = "torch-ganzoo"


@dataclass(frozen=True)
class Entry:
    """A recipe in the zoo. ``recipe`` is an error if its table in the registry file is malformed; ``origin`` is that
    file."""

    name: str
    recipe: Recipe | UsageError
    origin: Path
    plugin: Plugin | None


@dataclass(frozen=True)
class Broken:
    """Something of a plugin that does not work: ``error`` says what, in words."""

    plugin: Plugin
    error: str


class Zoo:
    """All that is installed.

    Attributes:
        plugins: the plugins that were loaded: ganzoo's own, then others by the name of their distribution.
        broken: what failed to load, was malformed, or collided with another plugin.
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
        self._call_hook("ganzoo_parts", self._collect_parts)
        self._read_recipes(None, builtin_registry())
        self._call_hook("ganzoo_registry", self._collect_recipes)
        self._report_collisions()

    def names(self, kind: str) -> list[str]:
        """Return the names of all parts of a kind (a key of ``KINDS``)."""
        return sorted(self._parts[kind])

    def parts(self, kind: str) -> list[Part]:
        """Return all parts of a kind, sorted by name. A name appears twice if two plugins provide it."""
        return [part for name in self.names(kind) for part in self._parts[kind][name]]

    def part(self, kind: str, name: str) -> Part:
        """Return a part by its name, or by ``plugin/name`` if two plugins provide one of that name.

        Raises:
            UsageError: no plugin provides it, or two do.
        """
        plugin, _, bare = name.rpartition("/")
        found = [part for part in self._parts[kind].get(bare, []) if plugin in ("", part.plugin.name)]
        if len(found) == 1:
            return found[0]
        word = KINDS[kind].word
        if found:
            choices = " or ".join(f"{part.plugin.name}/{part.name}" for part in found)
            owners = " and ".join(str(part.plugin) for part in found)
            raise UsageError(f"Two plugins provide a {word} {bare!r}: {owners}. Choose one: {choices}.")
        raise unknown(word, name, self.names(kind))

    def entries(self) -> list[Entry]:
        """Return all recipes, sorted by name. A name appears twice if two registry files define it."""
        return [entry for name in sorted(self._entries) for entry in self._entries[name]]

    def entry(self, name: str) -> Entry:
        """Return the recipe of that name (or ``plugin/name``) with its registry file.

        Raises:
            UsageError: no file defines it, it is malformed, or two files define it.
        """
        plugin, _, bare = name.rpartition("/")
        found = [e for e in self._entries.get(bare, []) if plugin in ("", e.plugin.name if e.plugin else "")]
        if not found:
            raise UsageError(f"Unknown recipe {name!r}. {nearest(name, self._entries)} ('ganzoo list' shows all.)")
        if len(found) > 1:
            choices = " or ".join(f"{entry.plugin.name}/{bare}" for entry in found if entry.plugin)
            files = " and ".join(str(entry.origin) for entry in found)
            raise UsageError(f"Two registry files define a recipe {bare!r}: {files}. Choose one: {choices}.")
        if isinstance(found[0].recipe, UsageError):
            raise found[0].recipe
        return found[0]

    def recipe(self, name: str) -> Recipe:
        """Return the recipe of that name.

        Raises:
            UsageError: as ``entry``.
        """
        recipe = self.entry(name).recipe
        assert isinstance(recipe, Recipe)
        return recipe

    def find(self, recipe: str | PathLike[str] | Recipe) -> Recipe:
        """Return a recipe.

        Raises:
            UsageError: as ``candidates``, or there are several.
        """
        found = self.candidates(recipe)
        if len(found) > 1:
            names = ", ".join(sorted(candidate.name for candidate in found))
            raise UsageError(f"Several recipes begin with {recipe!r}. Choose one: {names}.")
        return found[0]

    def candidates(self, recipe: str | PathLike[str] | Recipe) -> list[Recipe]:
        """Return the recipes that are meant by a name, also ``plugin/name``, or by its first part; by the path of a
        recipe file; or by a recipe.

        Raises:
            UsageError: there is no such recipe or file, or it is malformed.
        """
        if isinstance(recipe, Recipe):
            return [recipe]
        if isinstance(recipe, PathLike) or recipes.is_file(recipe):
            return [recipes.read_one(Path(recipe))]
        longer = [] if recipe in self._entries else [name for name in self._entries if name.startswith(f"{recipe}-")]
        return [self.recipe(name) for name in longer or [recipe]]

    def evidence(self, entry: Entry) -> Evidence:
        """Return the evidence of a recipe. A malformed file counts as no evidence and is listed in ``broken``."""
        try:
            return evidence.read(entry.origin, entry.name)
        except UsageError as error:
            problem = Broken(entry.plugin or Plugin("?", "unknown", "?"), str(error))
            if problem not in self.broken:
                self.broken.append(problem)
            return {}

    def caller(self, plugin: Plugin, hook: str) -> Callable[..., list[Any]] | None:
        """Return a function that calls one hook of one plugin with keyword arguments, or None if it has no such
        hook."""
        others = [other.module for other in self.plugins if other.module is not plugin.module]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        return caller if caller.get_hookimpls() else None

    def _installed(self) -> list[tuple[Plugin, EntryPoint]]:
        """Return the entry points of our group: ganzoo's own first, so that nothing can take their names, then the
        others by name."""
        found: dict[tuple[bool, str, str], tuple[Plugin, EntryPoint]] = {}
        for distribution in distributions():
            try:
                points = [point for point in distribution.entry_points if point.group == GROUP]
                metadata: Any = distribution.metadata or {} if points else {}  # parsed anew each time it is asked for
                for point in points:  # the same distribution may be on sys.path twice; the first one counts
                    plugin = Plugin(point.name, metadata.get("Name", "unknown"), metadata.get("Version", "unknown"))
                    key = (plugin.distribution != OWN_DISTRIBUTION, plugin.distribution, plugin.name)
                    found.setdefault(key, (plugin, point))
            except Exception as error:
                where = Plugin("?", str(getattr(distribution, "_path", "unknown")), "?")
                with suppress(Exception):  # report it only if it has entry points of our group
                    if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
                        self.broken.append(Broken(where, f"its entry points cannot be read: {format_error(error)}"))
        return [found[key] for key in sorted(found)]

    def _add(self, plugin: Plugin, point: EntryPoint) -> None:
        try:
            if taken := next((p for p in self.plugins if p.name == plugin.name), None):
                raise GanzooError(f"its name is taken by the plugin {taken}; uninstall one of the two")
            with Guarded():
                module: Any = point.load()
            if twin := next((p for p in self.plugins if p.module is module), None):
                raise GanzooError(f"it names the module {point.value!r}, which is the plugin {twin} already")
            with Guarded():
                self._manager.register(module, name=plugin.name)
            for caller in self._manager.get_hookcallers(module) or ():
                if not caller.has_spec():
                    self._manager.unregister(module)
                    known = [name for name in vars(hookspecs) if name.startswith("ganzoo_")]
                    raise GanzooError(f"there is no hook {caller.name!r}. {nearest(caller.name, known)}")
        except Exception as error:
            self.broken.append(Broken(plugin, format_error(error)))
        else:
            self.plugins.append(replace(plugin, module=module))

    def _call_hook(self, hook: str, take: Callable[[Plugin, Any], None]) -> None:
        """Call a hook of every plugin. ``take`` gets each answer, guarded too: its methods are the plugin's code."""
        for plugin in self.plugins:
            if not (caller := self.caller(plugin, hook)):
                continue
            try:
                with Guarded():
                    answers = caller()
                    for answer in answers:
                        take(plugin, answer)
            except Exception as error:
                self.broken.append(Broken(plugin, f"{hook} raised {format_error(error)}"))
                continue
            if not answers:  # pluggy leaves out None
                self.broken.append(Broken(plugin, f"{hook} returned nothing; does it lack a return?"))

    def _collect_parts(self, plugin: Plugin, answer: Any) -> None:
        if not isinstance(answer, Mapping):
            self.broken.append(Broken(plugin, f"ganzoo_parts must return a mapping, not {answer!r:.80}"))
            return
        for plural, targets in answer.items():
            if plural not in PLURALS:
                wrong = f"ganzoo_parts returned an unknown kind {plural!r:.80}. {nearest(str(plural), PLURALS)}"
                self.broken.append(Broken(plugin, wrong))
            elif not isinstance(targets, Mapping):
                wrong = f"ganzoo_parts must map {plural!r} to a mapping, not {targets!r:.80}"
                self.broken.append(Broken(plugin, wrong))
            else:
                self._add_parts(plugin, PLURALS[plural], targets)

    def _add_parts(self, plugin: Plugin, kind: str, targets: Mapping[Any, Any]) -> None:
        for name, target in targets.items():
            if _is_target(name, target):
                self._parts[kind].setdefault(name, []).append(Part(kind, name, target, plugin))
            else:
                wrong = "ganzoo_parts must map printable names without '/' to 'module:object', not "
                self.broken.append(Broken(plugin, f"{wrong}{name!r:.80} to {target!r:.80}"))

    def _collect_recipes(self, plugin: Plugin, answer: Any) -> None:
        try:
            path = Path(answer)
        except TypeError:
            self.broken.append(Broken(plugin, f"ganzoo_registry must return a path, not {answer!r:.80}"))
            return
        if path.is_absolute():
            self._read_recipes(plugin, path)
        else:
            text = f"ganzoo_registry must return an absolute path, such as Path(__file__).with_name({path.name!r})"
            self.broken.append(Broken(plugin, text))

    def _read_recipes(self, source: Plugin | None, path: Path) -> None:
        try:
            for name, recipe in recipes.read(path):
                owner = source or self._owner(recipe)
                self._entries.setdefault(name, []).append(Entry(name, recipe, path, owner))
        except UsageError as error:
            self.broken.append(Broken(source or Plugin("ganzoo", OWN_DISTRIBUTION, ""), str(error)))

    def _owner(self, recipe: Recipe | UsageError) -> Plugin | None:
        """Return the plugin that a recipe of the built-in catalog belongs to: the one that provides its model."""
        owners = [] if isinstance(recipe, UsageError) else self._parts["model"].get(recipe.model.name, [])
        return owners[0].plugin if owners else None

    def _report_collisions(self) -> None:
        for name in set(BUILTIN_COMMANDS) & self._parts["command"].keys():
            for part in self._parts["command"].pop(name):
                self.broken.append(Broken(part.plugin, f"the command {name!r} is ganzoo's own; it needs another name"))
        for kind, named in self._parts.items():
            for name, parts in named.items():
                for part in parts[1:]:
                    text = f"the {KINDS[kind].word} {name!r} is also provided by {parts[0].plugin}"
                    self.broken.append(Broken(part.plugin, text))
        for name, entries in self._entries.items():
            for entry in entries:
                if isinstance(entry.recipe, UsageError) and entry.plugin:
                    self.broken.append(Broken(entry.plugin, str(entry.recipe)))
            for entry in entries[1:]:
                if entry.plugin:
                    text = f"the recipe {name!r} of {entry.origin} is also defined by {entries[0].origin}"
                    self.broken.append(Broken(entry.plugin, text))


def builtin_registry() -> Path:
    """Return ganzoo's own registry.toml: inside the installed package, or at the root of a checkout."""
    inside = Path(__file__).with_name("registry.toml")
    return inside if inside.exists() else Path(__file__).parent.parent / "registry.toml"


def _is_target(name: Any, target: Any) -> bool:
    if not (isinstance(name, str) and isinstance(target, str)) or not name.isprintable() or not name or "/" in name:
        return False
    module, colon, attribute = target.partition(":")
    return bool(colon) and attribute.isidentifier() and all(piece.isidentifier() for piece in module.split("."))
