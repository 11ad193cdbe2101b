"""What kind of column it is: numbers, dates, categories, one value throughout, or nothing that can be learned."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import torch
from torch import Tensor

from ganzoo_tables import modes
from ganzoo_tables.columns import EPOCH, Category, Column, Constant, Number, histogram, one_hot
from ganzoo_tables.text import NUMBER

MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "?"}
"""What counts as missing among numbers and dates, in lowercase. Among categories only the empty text does."""
DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M",
)
"""Formats of dates. The first that fits all values of a column is taken."""
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_LARGEST = 1e100
_FEW = 10  # different whole numbers that are categories
_EXACT = 6  # digits after the point; more may be rounding errors
_MOSTLY = 0.8  # share of numbers from which on other texts are probably mistakes


@dataclass(frozen=True)
class Rules:
    """The options that decide about columns; see ``Table``."""

    categorical: Collection[str] = ()
    max_categories: int = 100
    max_modes: int = 10
    missing: Collection[str] = ()
    thousands: bool = False  # commas are between thousands: in a file with commas between its columns


_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?")


@dataclass
class Found:
    """A column that was found, or the reason why it is left out.

    Attributes:
        column: None if it is left out.
        units: its values as numbers for networks, float32 (n, units).
        reason: why it is left out.
        missing: how many values are missing.
        unusable: how many of these are infinite or too large.
    """

    column: Column | None
    units: Tensor = field(default_factory=lambda: torch.empty(0))
    reason: str = ""
    missing: int = 0
    unusable: int = 0


def find(name: str, texts: list[str], rules: Rules) -> Found:
    """Return what a column is."""
    own = {text.lower() for text in rules.missing}
    texts = ["" if text.lower() in own else text for text in texts]
    if rules.thousands and all(_THOUSANDS.fullmatch(text) or "," not in text for text in texts):
        texts = [text.replace(",", "") if _THOUSANDS.fullmatch(text) else text for text in texts]
    present = [text for text in texts if text.lower() not in MISSING]
    if len(set(texts)) == 1 or not present:
        return Found(Constant(name, texts[0] if present else ""), torch.empty(len(texts), 0))
    if name not in rules.categorical:
        if numbers := _numbers(present):
            return _of_numbers(name, texts, *numbers, rules)
        if date := next((known for known in DATES if _dates(present, known)), ""):
            return _number(name, texts, _dates(present, date), rules, format=date)
    counts = Counter(texts)
    if name not in rules.categorical and max(Counter(present).values()) == 1:
        return Found(None, reason="an identifier: no text occurs twice")
    if len(counts) > rules.max_categories:
        return Found(None, reason=f"{len(counts):,} different texts; {_advice(present, rules)}")
    return _category(name, texts, sorted(counts))


def _of_numbers(name: str, texts: list[str], numbers: list[float], comma: bool, rules: Rules) -> Found:
    whole = not comma and not any(re.search("[.,eE]", text) for text in texts if NUMBER.fullmatch(text))
    different = sorted(set(numbers))
    if whole and len(different) == len(texts) == different[-1] - different[0] + 1:
        return Found(None, reason="an identifier: it counts the rows")
    if whole and len(different) <= _FEW and len(different) <= len(texts) / 5:
        plain = ["" if text.lower() in MISSING else text for text in texts]
        written = sorted(set(plain), key=lambda text: float(text or "-inf"))
        if len(written) <= len(different) + 1:  # not 1 and +1
            return _category(name, plain, written)
    return _number(name, texts, numbers, rules, comma=comma)


def _category(name: str, texts: list[str], categories: list[str]) -> Found:
    numbers = {text: number for number, text in enumerate(categories)}
    index = np.array([numbers[text] for text in texts], np.int64)
    counts = np.bincount(index, minlength=len(categories))
    column = Category(name, categories, [round(float(count) / len(texts), 6) for count in counts])
    return Found(column, one_hot(index, len(categories)), missing=texts.count(""))


def _number(
    name: str,
    texts: list[str],
    numbers: list[float],
    rules: Rules,
    *,
    comma: bool = False,
    format: str = "",  # noqa: A002
) -> Found:
    values = np.full(len(texts), np.nan)
    values[[text.lower() not in MISSING for text in texts]] = numbers
    unusable = np.abs(values) > _LARGEST
    values[unusable] = np.nan
    there = np.isfinite(values)
    missing = int((~there).sum())
    if missing == len(values):
        return Found(None, reason="all its numbers are infinite or beyond 1e100")
    found = modes.find(values[there], rules.max_modes)
    low, high = float(values[there].min()), float(values[there].max())
    shown = [float(q) for q in np.quantile(values[there], [0.01, 0.99])]
    digits = [_decimals(text) for text in texts if NUMBER.fullmatch(text.replace(",", "."))]
    exponent, known = None in digits, [d for d in digits if d is not None]
    column = Number(
        name,
        found.means.tolist(),
        found.scales.tolist(),
        bool(missing),
        low,
        high,
        shown,
        histogram(values[there], shown).round(6).tolist(),
        decimals=None if exponent else max(known, default=0),
        fixed=len(set(known)) <= 1,
        comma=comma,
        format=format,
    )
    mode, alpha = np.full(len(values), len(found.means)), np.zeros(len(values))
    mode[there], alpha[there] = found.mode, found.alpha
    units = torch.cat([torch.from_numpy(alpha)[:, None].float(), one_hot(mode, column.choices)], 1)
    return Found(column, units, missing=missing, unusable=int(unusable.sum()))


def _decimals(text: str) -> int | None:
    """Return the digits after the point; None if there is an exponent. 43.82799999999999 counts as 43.828."""
    if "e" in text.lower():
        return None
    digits = len(text.replace(",", ".").partition(".")[2])
    if digits > _EXACT:
        text = f"{float(text.replace(',', '.')):.9g}"
        return _EXACT if "e" in text else len(text.partition(".")[2])
    return digits


def _numbers(texts: list[str]) -> tuple[list[float], bool] | None:
    """Return texts as numbers, and whether they have decimal commas; None if some are no numbers. Texts such as 007 are
    codes."""
    if any(re.fullmatch(r"0\d+", text) for text in texts):
        return None
    if all(NUMBER.fullmatch(text) or _INFINITE.fullmatch(text) for text in texts):
        return ([float(text) for text in texts], False) if not all(map(_INFINITE.fullmatch, texts)) else None
    if all(re.fullmatch(r"[+-]?\d+(,\d+)?", text, re.ASCII) for text in texts):
        return [float(text.replace(",", ".")) for text in texts], True
    return None


def _dates(texts: list[str], format: str) -> list[float]:  # noqa: A002
    """Return dates as days since 1970, or as seconds if they have a time; an empty list if some are no such dates."""
    with suppress(ValueError):
        return list(_since(texts, format))
    return []


def _since(texts: list[str], format: str) -> Iterator[float]:  # noqa: A002
    unit = 1 if "%H" in format else 86400
    for text in texts:
        yield math.floor((datetime.strptime(text, format) - EPOCH).total_seconds()) / unit


def _advice(texts: list[str], rules: Rules) -> str:
    """Return what to do about a column with too many texts."""
    others = [text for text in texts if not NUMBER.fullmatch(text)]
    if 0 < len(others) <= (1 - _MOSTLY) * len(texts):
        return (
            f"{len(others):,} of {len(texts):,} values are no numbers, such as {others[0][:40]!r}: if these are "
            "missing values, name them in data.missing"
        )
    return f"data.max_categories = {rules.max_categories}"
