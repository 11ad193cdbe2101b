"""The text of a CSV file: encoding, delimiter, header and rows. What the columns mean is found out in columns.py."""

import csv
import io
import os
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ganzoo import UsageError, warn

DELIMITERS = ",;\t|"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SNIFFED = 64  # rows


@dataclass(frozen=True)
class Text:
    """A table as it is written.

    Attributes:
        title: what messages call it.
        names: of the columns; all differ.
        columns: the values of each column, without spaces around them.
        delimiter: the character between two values.
    """

    title: str
    names: list[str]
    columns: list[list[str]]
    delimiter: str = ","


def read(path: str, *, delimiter: str | None = None, encoding: str | None = None, header: bool = True) -> Text:
    """Return the table in a CSV file.

    Args:
        path: the file.
        delimiter: between values; found out if None.
        encoding: of the text; if None, that of its byte order mark, UTF-8, or else Windows-1252, with a warning.
        header: whether the first line names the columns.

    Raises:
        UsageError: it cannot be read, is not text, is empty, or its rows are not a table.
    """
    where = Path(path).expanduser()
    try:
        content = where.read_bytes()
    except OSError as error:
        raise UsageError(f"data.path = {path!r}: {os.strerror(error.errno) if error.errno else error}.") from error
    return parse(_decoded(content, where.name, encoding), where.name, delimiter, header)


def parse(text: str, title: str, delimiter: str | None = None, header: bool = True) -> Text:
    """Return the table in the text of a CSV file; see ``read``."""
    if "\0" in text:
        raise UsageError(f"{title} is not a CSV file: it contains zero bytes.")
    delimiter = delimiter or _delimiter(text)
    rows = _rows(text, title, delimiter)
    if not rows:
        raise UsageError(f"{title} is empty: it has no rows.")
    width = len(rows[0][1])
    if ragged := [(line, len(row)) for line, row in rows if len(row) != width]:
        line, found = ragged[0]
        more = f", and {len(ragged) - 1:,} more such lines" if len(ragged) > 1 else ""
        raise UsageError(
            f"{title}, line {line} has {found} value{'s'[: found != 1]}, but the first line has {width}{more}. The "
            f"delimiter is {delimiter!r}; if that is wrong, set data.delimiter."
        )
    values = [row for _, row in rows]
    names = _names(values.pop(0), title) if header else [f"column-{n + 1}" for n in range(width)]
    if not values:
        raise UsageError(f"{title} has a line of column names, but no rows below it.")
    return Text(title, names, [[value.strip() for value in column] for column in zip(*values, strict=True)], delimiter)


def _decoded(content: bytes, title: str, encoding: str | None) -> str:
    mark = next((name for start, name in _MARKS.items() if content.startswith(start)), None)
    chosen = encoding or mark or "utf-8"
    try:
        return content.decode(chosen)
    except LookupError as error:
        raise UsageError(f"data.encoding = {encoding!r}: there is no such encoding; try utf-8 or cp1252.") from error
    except UnicodeDecodeError as error:
        if encoding or mark or b"\0" in content:
            raise UsageError(f"{title} is not text in {chosen}: byte {error.start} does not fit.") from error
    warn(f"{title} is not UTF-8; it is read as Windows-1252. If letters are wrong, set data.encoding.")
    return content.decode("cp1252", errors="replace")


def _rows(text: str, title: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return (line, values) of all rows; empty lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        start = 1
        for row in reader:
            if any(value.strip() for value in row) or len(row) > 1:
                rows.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{title}, line {reader.line_num} is not CSV: {error}.") from error
    return rows


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts most of the first rows into the same number of values, more than one."""
    best, delimiter = (0.0, 0), ","
    for candidate in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=candidate)
        try:
            lengths = Counter(len(row) for row in islice(reader, _SNIFFED) if row)
        except csv.Error:
            continue
        if not lengths:
            continue
        width, count = lengths.most_common(1)[0]
        if width > 1 and (found := (count / lengths.total(), width)) > best:
            best, delimiter = found, candidate
    return delimiter


def _names(first: list[str], title: str) -> list[str]:
    names = [name.strip() or f"column-{n + 1}" for n, name in enumerate(first)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{title} has {names.count(twice[0])} columns called {twice[0]!r}. Rename all but one.")
    if all(NUMBER.fullmatch(name) for name in names):
        raise UsageError(
            f"The first line of {title} has numbers where the names of the columns should be: "
            f"{', '.join(names)[:60]}. If it has no names, set data.header=false."
        )
    return names
