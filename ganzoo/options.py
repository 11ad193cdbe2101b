"""Options: what a user can set on a part, read from the part's constructor.

The options of a part are the keyword-only arguments of its constructor, annotated with a type and, through ``Option``,
with a meaning and limits. The command line, recipes and ``ganzoo show`` all use the functions here, so a new keyword
argument is automatically a checked and documented option.
"""

import inspect
import json
import math
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from ganzoo.errors import UsageError, unknown


def Option(meaning: str, **limits: Any) -> Any:  # noqa: N802 - reads as a type annotation, like pydantic's Field
    """Describe one option: ``latent_dim: Annotated[int, Option("Dimension of the latent z", ge=1)] = 100``.

    Args:
        meaning: what it means, for ``ganzoo show``.
        limits: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, ``max_length``, ``pattern``, as in pydantic.
    """
    return pydantic.Field(description=meaning, **limits)


@dataclass(frozen=True)
class OptionInfo:
    """One option as ``ganzoo show`` prints it. ``default`` is None if the option is required."""

    name: str
    type: str
    default: Any
    required: bool
    help: str


def options_of(part: Callable[..., Any]) -> list[OptionInfo]:
    """Return the options of a part, in the order of its constructor's arguments."""
    return [
        OptionInfo(name, _type_name(field), field.default, field.is_required(), field.description or "")
        for name, field in _schema(part).model_fields.items()
    ]


def check(part: Callable[..., Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return ``values`` completed with the part's defaults, each checked against its type and limits.

    Args:
        part: the class or function whose keyword-only arguments are the options.
        values: what the user set, as TOML values.
        where: the path of these settings for messages, such as ``model``.

    Raises:
        UsageError: an unknown name, or values that do not fit, all of them in one message.
    """
    schema = _schema(part)
    for name, value in values.items():
        if name not in schema.model_fields:
            raise unknown("setting", f"{where}.{name}", [f"{where}.{known}" for known in schema.model_fields])
        if value is None:
            raise UsageError(f"{where}.{name} = None cannot be written in a recipe; leave it out instead.")
    values = dict(values)
    try:
        try:
            checked = _validated(schema, values)
        except pydantic.ValidationError as error:  # the folder 2024, typed as data.path=2024, is text
            bare = {str(e["loc"][0]) for e in error.errors() if e["type"] == "string_type" and len(e["loc"]) == 1}
            texts = {name: json.dumps(values[name]) for name in bare if isinstance(values[name], int)}
            if not texts:
                raise
            checked = _validated(schema, values | texts)
    except pydantic.ValidationError as error:
        raise UsageError("\n".join(_complaint(where, e) for e in error.errors())) from None
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"{where}: {_shortened(dict(values))} contains a value of an unsupported type.") from None
    return {name: getattr(checked, name) for name in schema.model_fields}


def _validated(schema: type[pydantic.BaseModel], values: Mapping[str, Any]) -> pydantic.BaseModel:
    text = json.dumps(values, default=_json_value)  # strict JSON mode takes lists for tuples, and no more
    return schema.model_validate_json(text, strict=True)


def plain(part: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked values as TOML values: tuples become lists, and None is left out."""
    schema = _schema(part)
    try:  # called on the class: an option may be named like a method
        return pydantic.BaseModel.model_dump(schema.model_construct(**values), mode="json", exclude_none=True)
    except (ValueError, pydantic.errors.PydanticUserError) as error:
        raise UsageError(
            f"An option of {schema.__name__} has a value that cannot be written in a recipe: {error}."
        ) from error


@cache
def _schema(part: Callable[..., Any]) -> type[pydantic.BaseModel]:
    """Return the options as a pydantic model. Only annotations of keyword-only arguments are read."""
    name = f"{part.__module__}.{getattr(part, '__qualname__', repr(part))}"
    function: Any = inspect.unwrap(part.__init__ if inspect.isclass(part) else part)
    options = [p for p in inspect.signature(part).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option.annotation is option.empty:
            raise UsageError(f"The option {option.name!r} of {name} has no type annotation; its author must add one.")
        if isinstance(option.default, float) and not math.isfinite(option.default):
            raise UsageError(
                f"The option {option.name!r} of {name} has a default that is not finite. Use None instead."
            )
        if option.name == "name" or (option.name == "player" and hasattr(part, "player")):
            raise UsageError(
                f"{name} has an option called {option.name!r}, which a recipe uses for the {option.name} of the part. "
                "Rename it."
            )
    written = types.SimpleNamespace(__annotations__={option.name: option.annotation for option in options})
    config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())
    try:
        hints = typing.get_type_hints(written, getattr(function, "__globals__", {}), include_extras=True)
        defaults = {p.name: ... if p.default is p.empty else p.default for p in options}
        fields: dict[str, Any] = {key: (hints[key], default) for key, default in defaults.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an option may be named like a method of pydantic
            return pydantic.create_model(name, __config__=config, **fields)
    except (pydantic.errors.PydanticUserError, NameError, TypeError, ValueError) as error:
        raise UsageError(f"The options of {name} cannot be read: {str(error).splitlines()[0]}") from error


def _type_name(field: FieldInfo) -> str:
    text = _plain_type(field.annotation)
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    for limit in field.metadata:
        for attribute, sign in signs.items():
            if (bound := getattr(limit, attribute, None)) is not None:
                text += f" {sign} {bound}"
    return text


def _plain_type(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _plain_type(inner[0])
    if origin is typing.Literal:
        return "|".join(map(str, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return f"[{_plain_type(inner[0])}, ...]"
    if origin is tuple:
        return f"[{', '.join(map(_plain_type, inner))}]"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_plain_type(choice) for choice in inner if choice is not type(None))
    return kind.__name__ if isinstance(kind, type) and not inner else str(kind).replace("typing.", "")


def _json_value(value: Any) -> Any:
    """Return a JSON value for one that JSON does not know: a NumPy or torch number, a path, a device, a date."""
    return value.item() if hasattr(value, "item") else str(value)


def _complaint(where: str, error: Any) -> str:
    path = ".".join([where, *(str(step) for step in error["loc"])])
    message = error["msg"][0].lower() + error["msg"][1:]
    if error["type"] == "missing":
        return f"{path} is required."
    return f"{path} = {_shortened(error['input'])}: {message}."


def _shortened(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nesting without end
        text = f"a value of the type {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
