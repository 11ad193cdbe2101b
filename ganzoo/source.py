"""The complete code of a GAN: the turns of a step in order, and its model, loss and penalties.

Called by ``ganzoo show NAME --source`` and for the pages of the zoo.
"""

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ganzoo.errors import GanzooError
from ganzoo.loss import Loss, Penalty
from ganzoo.parts import ResolvedPart, resolve
from ganzoo.recipes import Recipe
from ganzoo.training.experiment import resolve_part
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
    model, loss = resolve_part(zoo, recipe, "model"), resolve_part(zoo, recipe, "loss")
    penalties = {
        name: resolve(zoo.part("penalty", name), values, f"penalties.{name}")
        for name, values in recipe.penalties.items()
    }
    parts = [model, loss, *penalties.values()]
    built = {name: part.build() for name, part in penalties.items()}
    own = model.cls.__module__.partition(".")[0]
    files = [(_title(module), _code(module)) for module in _modules(parts, own)]
    for part in parts:
        files += [entry for entry in _classes(part, own) if entry not in files]
    return Source(_turns(loss.part.name, loss.build(), built), files)


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
