"""Make docs/zoo.md, the page of the zoo, from registry.toml. The pictures are of the runs behind the evidence: samples,
and whatever else a model shows while it trains, such as a row for each class:

ganzoo reproduce NAME --out RUNS
ganzoo sample RUNS/seed-0 -o docs/images/zoo/NAME.png          # -n 2000 for points in the plane
cp RUNS/seed-0/samples/WHAT-STEP.png docs/images/zoo/NAME.WHAT.png
python docs/make_zoo.py
"""

from pathlib import Path

from ganzoo import registry
from ganzoo.cli.reproduce import with_spread
from ganzoo.errors import UsageError
from ganzoo.registry import Recipe

DOCS = Path(__file__).parent
HEAD = """# The zoo

Every recipe of ganzoo, with the numbers that `ganzoo reproduce NAME` gets again, on a CPU. This page is made from
[registry.toml](../registry.toml) by [make_zoo.py](make_zoo.py). What the numbers mean: [Evaluation](evaluation.md).
*Last* is the end of training, *best* the checkpoint that was measured best on the way; ± is the standard deviation over
the seeds. *CPU minutes* are those of one run, all threads together: two busy cores spend two in a minute.
"""


def page() -> str:
    """Return the text of the page."""
    found = [recipe for _, recipe in registry.read(DOCS.parent / "registry.toml")]
    recipes = [recipe for recipe in found if not isinstance(recipe, UsageError)]
    return "\n".join([HEAD, *overview(recipes), *map(section, recipes)])


def overview(recipes: list[Recipe]) -> list[str]:
    """Return a table with a row for each recipe."""
    rows = [
        f"| [{recipe.name}](#{recipe.name}) | {recipe.title} | {recipe.evidence.get('result', '-')} | "
        f"{recipe.evidence.get('cpu_minutes', '-')} |"
        for recipe in recipes
    ]
    return ["| recipe | | last | CPU minutes |", "|---|---|---|---|", *rows, ""]


def section(recipe: Recipe) -> str:
    """Return what the page says of one recipe."""
    paper, evidence = recipe.paper, recipe.evidence
    lines = [f"## {recipe.name}", "", f"**{recipe.title}.** {recipe.summary} `{recipe.equation}`", ""]
    if paper:
        lines += [f"{paper['authors']}, [{paper['title']}]({paper['url']}), {paper['year']}.", ""]
    for picture in sorted((DOCS / "images" / "zoo").glob(f"{recipe.name}.*png"), key=lambda path: path.stem):
        what = picture.stem.removeprefix(recipe.name).lstrip(".")
        lines += [f"`{what}` at the end of a run:", ""] if what else []
        lines += [f"![{what or 'Samples'} of {recipe.name}](images/zoo/{picture.name})", ""]
    if "last" not in evidence:
        return "\n".join([*lines, "No evidence yet.", ""])
    best = evidence.get("best", {})
    lines += ["| metric | last | best |", "|---|---|---|"]
    for name, value in evidence["last"].items():
        lines.append(f"| {name} | {with_spread(value)} | {with_spread(best.get(name, {}))} |")
    versions, seeds = evidence["versions"], evidence["seeds"]
    minutes = f"{evidence['cpu_minutes']:.1f} CPU minutes a run, " if "cpu_minutes" in evidence else ""
    lines += [
        "",
        f"`{evidence['command']}` with the seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))}, "
        f"{evidence['samples']} samples; {minutes}{evidence['machine']}; {evidence['measured']}, commit "
        f"{evidence['commit']}, ganzoo {versions['ganzoo']}, torch {versions['torch']}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "zoo.md").write_text(page(), encoding="utf-8")
