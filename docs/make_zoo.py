"""Make the pages of the zoo: docs/zoo/index.md and one page per recipe.

    python docs/make_zoo.py

``ganzoo reproduce NAME`` writes the page of one recipe and the index. Run this after a change of a recipe or of code
that a page shows.
"""

from pathlib import Path

from ganzoo import pages
from ganzoo.zoo import Zoo

if __name__ == "__main__":
    for path, text in pages.all_pages(Zoo(), Path(__file__).parent.parent / "registry.toml").items():
        path.write_text(text, encoding="utf-8")
