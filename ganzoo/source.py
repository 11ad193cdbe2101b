"""The complete code of a GAN: the turns of a step in order, its model, loss and penalties, and its recipe.

Called by ``ganzoo show NAME --source`` and for the pages of the zoo.
"""

import inspect
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import tomli_w

from ganzoo import toml
from ganzoo.errors import GanzooError
from ganzoo.loss import Loss, Penalty
from ganzoo.parts import ResolvedPart
from ganzoo.recipes import Recipe
from ganzoo.training.experiment import resolve_parts
from ganzoo.zoo import Zoo


@dataclass(frozen=True)
class Source:
    """The code of a recipe.

    Attributes:
        turns: one line per turn of a step, in order.
        files: (title, code): modules of the GAN's own plugin as a whole, other parts class by class.
    """

    turns: list[str]
    files: list[tuple[str, str]]


def source_of(zoo: Zoo, recipe: Recipe) -> Source:
    """Return the code of a recipe.

    Raises:
        UsageError, GanzooError: a part does not exist, cannot be imported, does not accept its options, or its code
            cannot be read.
    """
    resolved = resolve_parts(zoo, recipe)
    model, loss = resolved["model"], resolved["loss"]
    parts = [part for path, part in resolved.items() if path != "data"]
    built = {name: resolved[f"penalties.{name}"].build() for name in recipe.penalties}
    own = model.cls.__module__.partition(".")[0]
    files = [(_title(module), _code(module)) for module in _modules(parts, own)]
    for part in parts:
        files += [entry for entry in _classes(part, own) if entry not in files]
    return Source(_turns(loss.part.name, loss.build(), built), files)


def text_of(path: Path, name: str) -> str:
    """Return a recipe as it is written in its file, comments included; as plain TOML if it is scattered there.

    Raises:
        UsageError: the file cannot be read.
    """
    table = toml.read(path)[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    head = re.compile(rf"""\s*\[\s*["']?{re.escape(name)}["']?\s*[].]""")
    start = next((n for n, line in enumerate(lines) if head.match(line)), 0)
    others = (n for n in range(start, len(lines)) if re.match(r"\s*\[", lines[n]) and not head.match(lines[n]))
    own = lines[start : next(others, len(lines))]
    while own and (not own[-1].strip() or own[-1].startswith("#")):  # a comment here is about what follows
        own.pop()
    text = dedent("\n".join(own))
    try:
        complete = tomllib.loads(text) == {name: table}
    except ValueError:
        complete = False
    return text if complete else tomli_w.dumps({name: table}).strip()


def _turns(name: str, loss: Loss, penalties: dict[str, Penalty]) -> list[str]:
    lines, moved = [], set[str]()
    for turn in loss.turns():
        joining = {} if turn.player in moved else {n: p for n, p in penalties.items() if p.player == turn.player}
        moved.add(turn.player)
        terms = [f"the loss `{name}`", *(f"the penalty `{n}`" for n, p in joining.items() if p.every == 1)]
        lines.append(_line(turn.player, turn.every, terms))
        for n, p in joining.items():
            if p.every > 1:
                lines.append(_line(turn.player, turn.every * p.every, [f"the penalty `{n}`"]))
    return [f"{number}. {line}" for number, line in enumerate(lines, start=1)]


def _line(player: str, every: int, terms: list[str]) -> str:
    when = "every step" if every == 1 else f"every {every} steps"
    return f"{player}, {when}: minimizes {' + '.join(terms)}"


def _modules(parts: list[ResolvedPart], own: str) -> list[ModuleType]:
    """Return the modules of the package ``own`` that define these parts, each followed by those it imports from."""
    found: list[ModuleType] = []
    names = [part.cls.__module__ for part in parts]
    while names:
        module = sys.modules[names.pop(0)]
        if module.__name__.partition(".")[0] == own and module not in found:
            found.append(module)
            imported = dict.fromkeys(getattr(value, "__module__", None) for value in vars(module).values())
            names = [name for name in imported if name in sys.modules and name != module.__name__] + names
    return found


def _classes(part: ResolvedPart, own: str) -> list[tuple[str, str]]:
    """Return the code of a part's class and its bases, except those of the engine, torch and the package ``own``."""
    found = []
    for cls in part.cls.__mro__:
        package = cls.__module__.partition(".")[0]
        if package not in ("ganzoo", "torch", "builtins", "abc", own):
            found.append((f"{_title(sys.modules[cls.__module__])}: {cls.__name__}", _code(cls)))
    return found


def _title(module: ModuleType) -> str:
    """Return the path of a module's file within its distribution, such as ``ganzoo_dcgan/model.py``."""
    file = Path(module.__file__ or "").name
    names = module.__name__.split(".")
    return "/".join([*(names if file == "__init__.py" else names[:-1]), file])


def _code(thing: ModuleType | type) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError) as error:
        raise GanzooError(f"The code of {thing.__name__} cannot be read: {error}.") from error
