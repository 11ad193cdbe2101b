"""``ganzoo new``: a plugin to start from, written from the templates in ganzoo/template."""

import keyword
import re
import shlex
import tomllib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import click

from ganzoo.cli.paths import check_new_folder
from ganzoo.errors import GanzooError, UsageError
from ganzoo.files import make_folder, remove_folders, write_atomically
from ganzoo.parts import BUILTIN_COMMANDS, KINDS
from ganzoo.recipes import PARTS
from ganzoo.zoo import OWN_DISTRIBUTION, Zoo

TEMPLATE = Path(__file__).parent.parent / "template"
PACKAGE = {
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

IN_TREE = {
    "in_tree/__init__.py.jinja": "plugins/gans/{module}/__init__.py",
    "in_tree/model.py.jinja": "plugins/gans/{module}/model.py",
    "in_tree/test_gan.py.jinja": "tests/gans/test_{short}.py",
}


@click.command("new")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to make.  [default: NAME]")
@click.option("--in-tree", is_flag=True, help="For contributors: add a GAN to this checkout of ganzoo.")
def command(name: str, out: Path | None, in_tree: bool) -> None:
    """Write a plugin to start from.

    NAME is the name of the plugin, such as my-gan. The package contains a dataset, a model, a loss, a recipe and tests.
    You can install it, train it and run its tests right away; then change one part at a time.
    """
    if in_tree:
        if out:
            raise UsageError("--in-tree writes into this checkout: leave out --out.")
        _add_in_tree(name)
        return
    module = check_name(name, Zoo())
    folder = out or Path(name)
    check_new_folder(folder, "--out")
    _write({folder / place: text for place, text in render(PACKAGE, name, module).items()})
    click.echo("\nThe plugin works as it is. Install it, train it, check it, test it:")
    click.echo(f"  cd {shlex.quote(str(folder))}")
    for line in ('pip install -e ".[test]"', f"ganzoo run {name}", f"ganzoo check {name}", "pytest"):
        click.echo(f"  {line}")
    click.echo("Then change one part at a time.")


def _add_in_tree(name: str) -> None:
    """Add a folder, an entry point and a recipe to the checkout in the current folder."""
    pyproject, registry = Path("pyproject.toml"), Path("registry.toml")
    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        text = registry.read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError):
        project, text = {}, ""
    if project.get("name") != OWN_DISTRIBUTION or not text:
        raise UsageError("--in-tree works in the root folder of a checkout of ganzoo, and this is not one.")
    zoo = Zoo()
    module = "ganzoo_" + check_name(name, zoo)
    if find_spec(module) or any(entry.name == f"{name}-mnist" for entry in zoo.entries()):
        raise UsageError(f"The name {name!r} is taken by the module {module!r} or the recipe '{name}-mnist'.")
    files = {Path(place): text for place, text in render(IN_TREE, name, module).items()}
    if existing := [path for path in files if path.exists()]:
        raise UsageError(f"{existing[0]} exists already. Give another name.")
    points = {**project["entry-points"]["ganzoo"], name: module}
    block = "".join(f'{key} = "{value}"\n' for key, value in sorted(points.items()))
    source = pyproject.read_text(encoding="utf-8")
    files[pyproject] = re.sub(
        r"(?<=\[project\.entry-points\.ganzoo\]\n)(?:[^\[\n].*\n)*", lambda _: block, source, count=1
    )
    (recipe,) = render({"in_tree/recipe.toml.jinja": "recipe"}, name, module).values()
    files[registry] = f"{text.rstrip()}\n\n{recipe}"
    _write(files)
    click.echo("\nThe next steps:")
    for line in ("pip install -e .", f"ganzoo check {name}-mnist", f"ganzoo reproduce {name}-mnist"):
        click.echo(f"  {line}")
    click.echo("Then add a line to CHANGELOG.md. See plugins/README.md.")


def _write(files: dict[Path, str]) -> None:
    """Write all files, or leave everything as it was.

    Raises:
        GanzooError: one of them cannot be written.
    """
    before = {path: path.read_bytes() for path in files if path.exists()}
    made: list[Path] = []
    path = Path()
    try:
        for path, text in files.items():
            made = [*make_folder(path.parent), *made]
            write_atomically(path, text.encode())
    except BaseException as error:
        for other in files:
            with suppress(OSError):
                if other not in before:
                    other.unlink(missing_ok=True)
                elif other.read_bytes() != before[other]:
                    write_atomically(other, before[other])
        remove_folders(made)
        if not isinstance(error, OSError):
            raise
        raise GanzooError(f"Cannot write {path}: {error.strerror or error}. Nothing was left behind.") from error
    for path in files:
        click.echo(f"  {path}")


def check_name(name: str, zoo: Zoo) -> str:
    """Return the module name of a plugin: ``my_gan`` for ``my-gan``.

    Raises:
        UsageError: it is not a name for a package, or it is taken; the message says by what.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        raise UsageError(
            f"{name!r} cannot be the name of a plugin: use lowercase letters, digits and single hyphens, starting "
            f"with a letter; such as {better or 'my-gan'}."
        )
    module = name.replace("-", "_")
    owners = [f"the plugin {plugin}" for plugin in zoo.plugins if plugin.name == name]
    owners += [f"a recipe of {entry.origin}" for entry in zoo.entries() if entry.name == name]
    parts = [part for kind in PARTS for part in zoo.parts(kind) if part.name == name]
    owners += [f"the {KINDS[part.kind].word} of the plugin {part.plugin}" for part in parts]
    if name in BUILTIN_COMMANDS:
        owners.append(f"the command 'ganzoo {name}'")
    problems = [f"taken by {owner}" for owner in owners]
    if keyword.iskeyword(module):
        problems.append("a Python keyword")
    elif find_spec(module) is not None:
        problems.append(f"taken by the module {module!r}, which is installed")
    if problems:
        raise UsageError(f"The name {name!r} is {problems[0]}. Give another, such as {_other(name)}.")
    return module


def render(places: dict[str, str], name: str, module: str) -> dict[str, str]:
    """Return the files of a new plugin: path -> text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return {
        place.format(module=module, short=module.removeprefix("ganzoo_")): environment.get_template(source).render(
            name=name, module=module
        )
        for source, place in places.items()
    }


def _other(name: str) -> str:
    return f"my-{name}" if not name.startswith("my-") else f"{name}-2"
