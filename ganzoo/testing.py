"""The conformance kit: what every recipe must be able to do, whoever wrote its parts.

Called by ``ganzoo check NAME``, and by a plugin's own tests::

    import ganzoo.testing

    def test_my_gan():
        ganzoo.testing.check("my-gan")

Each check plays with real parts and real data, a few steps at a time on the CPU, and writes nothing. What comes out is
a finding for each, which says what is wrong and what to do about it.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from ganzoo import api, conformance
from ganzoo.conformance import Problem
from ganzoo.errors import GanzooError, UsageError
from ganzoo.plugins import Zoo, describe
from ganzoo.registry import PARTS, Recipe


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: what must hold, in words.
        state: "ok", "problem", or "skipped" where it does not apply.
        text: what is wrong, or what was found.
        remedy: what to do about a problem.
    """

    check: str
    state: str
    text: str = ""
    remedy: str = ""


def check(
    recipe: str | PathLike[str] | Recipe, *, settings: Mapping[str, Any] | None = None, zoo: Zoo | None = None
) -> None:
    """Assert that a recipe conforms.

    Args:
        recipe: a name from the zoo, the path of a recipe file, or a recipe.
        settings: changed for the check, by path, to make it quicker: ``{"model.width": 8}``.
        zoo: the plugins; found anew if None.

    Raises:
        AssertionError: names each problem, and what to do about it.
        UsageError: as ``examine``.
    """
    problems = [found for found in examine(recipe, settings=settings, zoo=zoo) if found.state == "problem"]
    if problems:
        lines = [f"{found.check}: {found.text}\n    {found.remedy}" for found in problems]
        raise AssertionError(f"{recipe} has {len(problems)} problem(s):\n" + "\n".join(lines))


def examine(
    recipe: str | PathLike[str] | Recipe, *, settings: Mapping[str, Any] | None = None, zoo: Zoo | None = None
) -> Iterator[Finding]:
    """Yield what each check finds, in order; where the parts cannot be built, that is the last.

    Args:
        recipe, settings, zoo: as for ``check``.

    Raises:
        UsageError: there is no such recipe, or these settings do not fit it.
    """
    zoo = zoo or Zoo()
    plain = api.find_recipe(zoo, recipe)
    chosen = api.adapt(plain, settings=settings)
    if fixed := sorted((settings or {}).keys() & conformance.FIXED):
        raise UsageError(f"The check sets {fixed[0]} itself: leave it out.")
    yield _found("plugins load in a blink", lambda: _light(zoo, chosen))
    bench: list[conformance.Bench] = []
    built = _found("parts fit", lambda: bench.append(conformance.Bench(zoo, chosen)))
    if settings and built.state == "problem" and _found("", lambda: conformance.Bench(zoo, plain)).state == "ok":
        raise UsageError(built.text)  # it is these settings that do not fit, not the recipe
    yield built
    for name, function in conformance.CHECKS.items() if bench else ():
        yield _found(name, lambda function=function: function(bench[0]))


def _found(name: str, function: Any) -> Finding:
    try:
        return Finding(name, "ok", function() or "")
    except conformance.Skipped as reason:
        return Finding(name, "skipped", str(reason))
    except Problem as problem:
        return Finding(name, "problem", problem.text, problem.remedy)
    except GanzooError as error:
        return Finding(name, "problem", str(error), "Mend what the message names.")
    except Exception as error:
        return Finding(name, "problem", describe(error), "Raise what is meant for users, or mend it (--debug).")


def _light(zoo: Zoo, recipe: Recipe) -> str:
    """The plugins that bring the parts are imported without torch, so that listing the zoo stays instant."""
    kinds = dict(zip(PARTS, ("data", "models", "losses"), strict=True))
    parts = [zoo.part(hook, getattr(recipe, kind).name) for kind, hook in kinds.items()]
    parts += [zoo.part("penalties", name) for name in recipe.penalties]
    modules = sorted({part.plugin.module.__name__ for part in parts if part.plugin.module})
    for module in modules:
        code = f"import sys, importlib; importlib.import_module({module!r}); sys.exit('torch' in sys.modules)"
        path = ";".join(["import sys", f"sys.path[:0] = {sys.path!r}", code])
        if subprocess.run([sys.executable, "-c", path], capture_output=True).returncode:
            remedy = "Name parts as 'module:object' in the hooks and import torch in those modules alone."
            raise Problem(f"importing {module} imports torch", remedy)
    return ", ".join(modules)
