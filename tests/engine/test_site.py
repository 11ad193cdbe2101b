"""The site: it shows every public name with a docstring, builds strictly, and loads nothing from another host."""

import importlib
import inspect
import pydoc
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = (
    "ganzoo",
    "ganzoo.cli.options",
    "ganzoo.cli.tables",
    "ganzoo.distributed",
    "ganzoo.errors",
    "ganzoo.evaluation.draw",
    "ganzoo.evaluation.extractors",
    "ganzoo.events",
    "ganzoo.files",
    "ganzoo.flat",
    "ganzoo.hookspecs",
    "ganzoo.images",
    "ganzoo.randomness",
    "ganzoo.runs.directory",
    "ganzoo.runs.records",
    "ganzoo.testing",
)
"""The modules that plugins may import from; see docs/api/index.md."""
TOOLS = ("latex2mathml", "material", "mkdocs", "mkdocs_awesome_nav", "mkdocstrings_handlers")
needs_tools = pytest.mark.skipif(
    not all(map(find_spec, TOOLS)), reason="the docs tools are not installed: pip install -e '.[docs]'"
)


def names(module: str) -> list[str]:
    """The public names of a module: its ``__all__``, or else the functions and classes that it defines."""
    found = importlib.import_module(module)
    defined = [name for name, value in vars(found).items() if getattr(value, "__module__", "") == module]
    public = getattr(found, "__all__", [name for name in defined if not name.startswith("_")])
    return [name for name in public if name != "__version__"]


NAMES = [f"{module}.{name}" for module in PUBLIC for name in names(module)]


@pytest.fixture(scope="module")
def shown() -> list[object]:
    """What the pages show; a module is shown with all that is in it."""
    text = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/api").glob("*.md")))
    found = []
    for path in re.findall(r"^::: (\S+)$", text, re.M):
        thing = pydoc.locate(path)
        assert thing is not None, f"there is no {path}"
        found += [getattr(thing, name) for name in names(path)] if inspect.ismodule(thing) else [thing]
    return found


@pytest.mark.parametrize("path", NAMES)
def test_every_public_name_is_on_the_site(path, shown):
    thing = pydoc.locate(path)
    assert any(thing is other for other in shown), f"docs/api/ has no '::: {path}'"


@needs_tools
@pytest.mark.parametrize("path", NAMES)
def test_every_public_name_has_a_docstring(path, source):
    assert source[path.removeprefix("ganzoo.")].has_docstring


@pytest.fixture(scope="module")
def source():
    """The package as the site reads it, without importing it."""
    import griffe

    return griffe.load("ganzoo", search_paths=[ROOT])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return folder


@needs_tools
def test_pages_are_pages_and_nothing_else_is(site):
    docs = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    for path in docs:
        page = site / (path.parent if path.stem == "index" else path.with_suffix("")) / "index.html"
        assert page.exists() != (path.parts[0] in ("evidence", "examples")), path
    assert not list(site.rglob("*.py"))


class Loaded(HTMLParser):
    """The addresses that a browser loads to show a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        if tag == "link" and not {"canonical", "next", "prev"} & set(values.get("rel", "").split()):
            self.addresses.append(values.get("href", ""))
        if tag != "a":
            self.addresses += [values[name] for name in ("src", "srcset", "data", "poster") if name in values]


@needs_tools
def test_nothing_is_loaded_from_another_host(site):
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert pages
    assert styles
    loaded = {(page, address) for page in pages for address in Loaded(page).addresses}
    url = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')]+)")
    loaded |= {(page, address) for page in pages + styles for address in url.findall(page.read_text(encoding="utf-8"))}
    assert {address for _, address in loaded if "main" in address}, "this test reads the pages wrongly"
    assert not [(page.name, address) for page, address in loaded if re.match(r"(\w+:)?//", address)]
