"""The conformance kit: what every recipe must be able to do, whoever wrote its parts.

Called by ``ganzoo check NAME``, and by the tests of a plugin::

    import ganzoo.testing

    def test_my_gan():
        ganzoo.testing.check("my-gan")

Each check uses the real parts and real data, for a few steps on the CPU, and writes nothing. It returns a finding that
says what is wrong and what to do about it.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

from ganzoo import api
from ganzoo.errors import GanzooError, UsageError, format_error
from ganzoo.recipes import Recipe
from ganzoo.testing.checks import CHECKS
from ganzoo.testing.harness import FIXED, Harness, Problem, Skipped
from ganzoo.zoo import Zoo

__all__ = ["Finding", "check", "examine"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what must hold, in words.
        state: "skipped" if the check does not apply.
        text: what is wrong, or what was found.
        remedy: what to do about a problem.
    """

    check: str
    state: Literal["ok", "problem", "skipped"]
    text: str = ""
    remedy: str = ""


def check(
    recipe: str | PathLike[str] | Recipe, *, settings: Mapping[str, Any] | None = None, zoo: Zoo | None = None
) -> None:
    """Assert that a recipe passes all checks.

    Args:
        recipe: a name from the zoo, the path of a recipe file, or a recipe.
        settings: settings to change, by path, to make the checks faster: ``{"model.width": 8}``.
        zoo: the plugins; looked up if None.

    Raises:
        AssertionError: names each problem, and what to do about it.
        UsageError: as ``examine``.
    """
    problems = [found for found in examine(recipe, settings=settings, zoo=zoo) if found.state == "problem"]
    if problems:
        lines = [f"{found.check}: {found.text}\n    {found.remedy}" for found in problems]
        name = recipe.name if isinstance(recipe, Recipe) else recipe
        raise AssertionError(f"{name} has {len(problems)} problem(s):\n" + "\n".join(lines))


def examine(
    recipe: str | PathLike[str] | Recipe, *, settings: Mapping[str, Any] | None = None, zoo: Zoo | None = None
) -> Iterator[Finding]:
    """Yield the finding of each check, in order. If the parts cannot be built, that is the last.

    Args:
        recipe, settings, zoo: as for ``check``.

    Raises:
        UsageError: there is no such recipe, or the settings do not fit it.
    """
    zoo = zoo or Zoo()
    unchanged = zoo.find(recipe)
    chosen = api.adapt(unchanged, settings=settings)
    if fixed := sorted((settings or {}).keys() & FIXED):
        raise UsageError(f"The checks set {fixed[0]} themselves: leave it out.")
    yield _finding("plugins load quickly", lambda: _imports_no_torch(zoo, chosen))
    made: list[Harness] = []
    built = _finding("parts fit", lambda: made.append(Harness(zoo, chosen)))
    if settings and built.state == "problem" and _finding("", lambda: Harness(zoo, unchanged)).state == "ok":
        raise UsageError(built.text)  # the settings do not fit; the recipe does
    yield built
    for name, function in CHECKS.items() if made else ():
        yield _finding(name, lambda function=function: function(made[0]))


def _finding(name: str, function: Any) -> Finding:
    try:
        return Finding(name, "ok", function() or "")
    except Skipped as reason:
        return Finding(name, "skipped", str(reason))
    except Problem as problem:
        return Finding(name, "problem", problem.text, problem.remedy)
    except GanzooError as error:
        return Finding(name, "problem", str(error), "Fix what the message names.")
    except Exception as error:
        remedy = "Raise ValueError or UsageError for mistakes of users; fix everything else (--debug)."
        return Finding(name, "problem", format_error(error), remedy)


def _imports_no_torch(zoo: Zoo, recipe: Recipe) -> str:
    """Importing the plugins of a recipe does not import torch, so that listing the zoo stays fast."""
    parts = [zoo.part(kind, choice.name) for kind, _, choice in recipe.parts()]
    modules = sorted({part.plugin.module.__name__ for part in parts if part.plugin.module})
    for module in modules:
        code = f"import sys, importlib; importlib.import_module({module!r}); sys.exit('torch' in sys.modules)"
        path = ";".join(["import sys", f"sys.path[:0] = {sys.path!r}", code])
        if subprocess.run([sys.executable, "-c", path], capture_output=True).returncode:
            remedy = "Name parts as 'module:object' in the hooks, and import torch in those modules only."
            raise Problem(f"importing {module} imports torch", remedy)
    return ", ".join(modules)
