"""What the site needs besides Markdown, as hooks of mkdocs.

The pages are also read on GitHub. There a relative link may lead to any file of the repository, and math is written
between dollars. On the site, a link to a file that is not a page leads to the repository. Math becomes MathML, which
browsers draw without a script.
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$|(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\2(?!`)", re.M | re.S)
LINK = re.compile(r"(\]\(|^\[[^\]\n]+\]: +)(?!\w+:|/|#)([^\s)#]+)", re.M)
MATH = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.S)


def on_page_markdown(markdown, page, config, files):
    """Point links that leave the site to the repository. A link to a missing file stays, and fails the strict build."""
    folder = Path(page.file.abs_src_path).parent

    def retarget(match):
        before, target = match.groups()
        path = (folder / target).resolve()
        if not path.exists() or not path.is_relative_to(ROOT) or _on_site(path, config, files):
            return match[0]
        kind = "tree" if path.is_dir() else "blob"
        return f"{before}{config.repo_url.rstrip('/')}/{kind}/main/{path.relative_to(ROOT).as_posix()}"

    pieces, end = [], 0
    for code in CODE.finditer(markdown):  # code stays unchanged
        pieces += [LINK.sub(retarget, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, LINK.sub(retarget, markdown[end:])])


def on_page_content(content, page, config, files):
    """Turn LaTeX into MathML; an error in it fails the build."""

    def draw(match):
        math = convert(html.unescape(match[2]).strip(), display="block" if match[1] == "div" else "inline")
        math = re.sub(r"(<mi>[a-z]{2,}</mi>)(?=<mi>)", r'\1<mspace width="0.17em" />', math)  # log D, not logD
        return f'<div style="overflow-x: auto">{math}</div>' if match[1] == "div" else math

    return MATH.sub(draw, content)


def _on_site(path, config, files):
    docs = Path(config.docs_dir)
    file = files.get_file_from_path(path.relative_to(docs).as_posix()) if path.is_relative_to(docs) else None
    return file is not None and file.inclusion.is_included()
