"""``ganzoo new``: a plugin package to start from, written out of the templates in ganzoo/template."""

import keyword
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import click

from ganzoo.cli.places import check_new_folder
from ganzoo.errors import GanzooError, UsageError
from ganzoo.plugins import OUR_COMMANDS, Zoo

TEMPLATE = Path(__file__).parent.parent / "template"
PLACES = {
    "pyproject.toml.jinja": "pyproject.toml",
    "README.md.jinja": "README.md",
    "gitignore.jinja": ".gitignore",
    "module/__init__.py.jinja": "{module}/__init__.py",
    "module/data.py.jinja": "{module}/data.py",
    "module/model.py.jinja": "{module}/model.py",
    "module/loss.py.jinja": "{module}/loss.py",
    "module/registry.toml.jinja": "{module}/registry.toml",
    "tests/test_plugin.py.jinja": "tests/test_{module}.py",
}
"""Template -> the file it becomes."""


@click.command("new")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to make. [default: NAME]")
def command(name: str, out: Path | None) -> None:
    """Write a plugin to start from.

    NAME is what it will be called, such as my-gan. It is a package with a data set, a model, a loss, a recipe and
    tests, which installs, trains and passes at once: change one part at a time.
    """
    module = check_name(name, Zoo())
    folder = out or Path(name)
    check_new_folder(folder, "--out")
    for place, text in render(name, module).items():
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise GanzooError(f"Cannot write {path}: {error.strerror or error}.") from error
        click.echo(f"  {path}")
    click.echo(
        f"\nA plugin that works already. Install it, train it, check it, test it:\n  cd {shlex.quote(str(folder))}"
    )
    for line in ('pip install -e ".[test]"', f"ganzoo run {name}", f"ganzoo check {name}", "pytest"):
        click.echo(f"  {line}")
    click.echo("Then change one part at a time.")


def check_name(name: str, zoo: Zoo) -> str:
    """Return the module a plugin of that name is: ``my_gan`` for ``my-gan``.

    Raises:
        UsageError: it is no name for a package, or it is taken; the message says by what.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        raise UsageError(
            f"{name!r} cannot be a plugin's name: use lower-case letters, digits and single hyphens, and begin with a "
            f"letter; such as {better or 'my-gan'}."
        )
    module = name.replace("-", "_")
    owners = [f"the plugin {plugin}" for plugin in zoo.plugins if plugin.name == name]
    owners += [f"a recipe of {entry.origin}" for entry in zoo.entries() if entry.name == name]
    for kind, what in (("data", "the data set"), ("models", "the model"), ("losses", "the loss")):
        owners += [f"{what} of the plugin {part.plugin}" for part in zoo.parts(kind) if part.name == name]
    if name in OUR_COMMANDS:
        owners.append(f"the command 'ganzoo {name}'")
    if keyword.iskeyword(module):
        owners.append("Python, as a keyword")
    elif find_spec(module) is not None:
        owners.append(f"the module {module!r}, which is installed")
    if owners:
        raise UsageError(f"The name {name!r} is taken by {owners[0]}. Give another, such as {_other(name)}.")
    return module


def render(name: str, module: str) -> dict[str, str]:
    """Return the files of a new plugin: place -> text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return {
        place.format(module=module): environment.get_template(source).render(name=name, module=module)
        for source, place in PLACES.items()
    }


def _other(name: str) -> str:
    return f"my-{name}" if not name.startswith("my-") else f"{name}-2"
