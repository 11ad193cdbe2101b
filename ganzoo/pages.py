"""The pages of the zoo: one per recipe, made from its registry table, its evidence, its pictures and its code; and an
index for those of a checkout of ganzoo.

Called by ``ganzoo reproduce`` for one recipe, and by docs/make_zoo.py for all of ours.
"""

from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

from ganzoo import evidence, recipes
from ganzoo.errors import GanzooError
from ganzoo.evidence import Evidence, with_spread
from ganzoo.files import make_folder, write_atomically
from ganzoo.recipes import Recipe
from ganzoo.source import source_of, text_of
from ganzoo.zoo import Zoo


@dataclass(frozen=True)
class Places:
    """Where the page and the pictures of a recipe are: in ``docs/zoo`` and ``docs/images/zoo`` of a checkout of ganzoo,
    otherwise beside the evidence."""

    page: Path
    pictures: Path

    @classmethod
    def of(cls, registry: Path, name: str) -> "Places":
        """Return the places for a recipe of a registry file."""
        folder = evidence.docs_folder(registry)
        if folder == registry.parent:
            return cls(folder / "evidence" / f"{name}.md", folder / "evidence")
        return cls(folder / "zoo" / f"{name}.md", folder / "images" / "zoo")


INDEX = """# The zoo

Every recipe in ganzoo, with its main metric as measured on a CPU by `ganzoo reproduce NAME`. The page of a recipe shows
its samples, its evidence and its code. [Evaluation](../evaluation.md) explains what the numbers mean.

*Last* is the final checkpoint of the command that the page shows under Evidence, which may be shorter than the recipe.
± is the standard deviation over the seeds. *CPU minutes* are per run, summed over all cores: two busy cores use two CPU
minutes each minute.

| recipe | | task | last | CPU minutes |
|---|---|---|---|---|
"""

LEGEND = (
    "*Last* is the final checkpoint of the command below. *Best* is the best checkpoint by the first metric in "
    "`train.metrics` (by default, the dataset's first metric)."
)


def write_pages(zoo: Zoo, registry: Path, name: str) -> list[Path]:
    """Write the page of a recipe, and the index if there is one. Return their paths.

    Raises:
        OSError: they cannot be written.
    """
    found = all_pages(zoo, registry)
    wanted = [path for path in found if path.stem in (name, "index")]
    for path in wanted:
        make_folder(path.parent)
        write_atomically(path, found[path].encode())
    return wanted


def all_pages(zoo: Zoo, registry: Path) -> dict[Path, str]:
    """Return the pages of all recipes of a registry file: path -> text."""
    pages, rows = {}, []
    for name, recipe in sorted(recipes.read(registry)):
        if isinstance(recipe, Recipe):
            measured = evidence.read(registry, name)
            pages[Places.of(registry, name).page] = page(zoo, registry, recipe, measured)
            numbers = f"{measured.get('result', '-')} | {measured.get('cpu_minutes', '-')}"
            rows.append(f"| [{name}]({name}.md) | {recipe.title} | {recipe.task} | {numbers} |\n")
    if evidence.docs_folder(registry) != registry.parent:
        pages[evidence.docs_folder(registry) / "zoo" / "index.md"] = INDEX + "".join(rows)
    return pages


def page(zoo: Zoo, registry: Path, recipe: Recipe, measured: Evidence) -> str:
    """Return the text of a recipe's page, as Markdown."""
    place, paper = Places.of(registry, recipe.name), recipe.paper
    lines = [f"# {recipe.name}", "", f"**{recipe.title}.** {recipe.summary}", "", f"`{recipe.equation}`", ""]
    if paper:
        lines += [f"{paper['authors']}, [{paper['title']}]({paper['url']}), {paper['year']}.", ""]
    lines += ["```", f"ganzoo run {recipe.name}", "```", "", *_pictures(recipe.name, place)]
    lines += _evidence(recipe, measured)
    try:
        source = source_of(zoo, recipe)
    except GanzooError as error:
        return "\n".join([*lines, f"The code cannot be shown: {error}", ""])
    lines += ["## The recipe", "", "```toml", text_of(registry, recipe.name), "```", ""]
    lines += ["## The code", "", "One step, turn by turn:", "", *source.turns, ""]
    for title, code in source.files:
        lines += [f"`{title}`:", "", "```python", code.rstrip(), "```", ""]
    return "\n".join(lines)


def _pictures(name: str, place: Places) -> list[str]:
    lines = []
    for picture in sorted(place.pictures.glob(f"{name}.*png"), key=lambda path: path.stem):
        what = picture.stem.removeprefix(name).lstrip(".")
        link = Path(relpath(picture, place.page.parent)).as_posix()
        lines += [f"`{what}` at the end of a run:", ""] if what else []
        lines += [f"![{what or 'Samples'} of {name}]({link})", ""]
    return lines


def _evidence(recipe: Recipe, measured: Evidence) -> list[str]:
    lines = ["## Evidence", ""]
    if "last" not in measured:
        return [*lines, "None yet.", ""]
    best, versions, seeds = measured.get("best", {}), measured["versions"], measured["seeds"]
    rows = [
        f"| {name} | {with_spread(value)} | {with_spread(best.get(name, {}))} | {recipe.expect.get(name, '')} |"
        for name, value in measured["last"].items()
    ]
    minutes = f"{measured['cpu_minutes']:.1f} CPU minutes per run, " if "cpu_minutes" in measured else ""
    commit = f"commit {measured['commit']}, " if "commit" in measured else ""
    source = (
        f"`{measured['command']}` with seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))}; "
        f"{measured['samples']:,} samples; {minutes}{measured['machine']}; {measured['measured']}, {commit}"
        f"ganzoo {versions['ganzoo']}, torch {versions['torch']}. Reproduce it: `ganzoo reproduce {recipe.name}`."
    )
    return [*lines, "| metric | last | best | must reach |", "|---|---|---|---|", *rows, "", LEGEND, "", source, ""]
