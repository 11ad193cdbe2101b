"""Reading TOML of strangers: within limits, so that the rest of the program can print and copy what it finds."""

import tomllib
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError

DEPTH = 20
"""Tables and lists may be nested as deep as this."""


def read(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"Cannot read {path}: {reason}.") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is an impossible date
        raise UsageError(f"{path} is not valid TOML: {error}.") from error


def parse_value(text: str) -> Any:
    """Return the value of ``text`` as TOML.

    Raises:
        ValueError: it is not TOML.
        UsageError: it is beyond the limits.
    """
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except RecursionError:
        raise UsageError(f"{text[:40]}... is nested too deeply.") from None
    except ValueError as error:
        if "integer string conversion" in str(error):  # Python's own limit on the number of digits
            raise UsageError(f"{text[:40]}... has too many digits.") from None
        raise
    check(value, f"{text[:40]}...")
    return value


def check(value: Any, where: str, depth: int = 0) -> None:
    """Check that integers fit into 64 bits, as TOML promises no more, and that nothing is nested too deeply.

    Raises:
        UsageError: it is not so; ``where`` begins the message.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UsageError(f"{where} has an integer that does not fit into 64 bits.")
    if isinstance(value, dict | list):
        if depth == DEPTH:
            raise UsageError(f"{where} is nested too deeply: more than {DEPTH} levels.")
        for inner in value.values() if isinstance(value, dict) else value:
            check(inner, where, depth + 1)
