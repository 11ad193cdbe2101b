"""Options: what a part lets its user set, read from its constructor.

A part's options are the keyword-only arguments of its constructor, annotated with a type and, through ``Option``, with
a meaning and limits. The command line, recipes and ``ganzoo show`` all go through the functions here, so a new
keyword argument is at once a checked, documented setting.
"""

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pydantic
from pydantic.fields import FieldInfo

from ganzoo.errors import UsageError, unknown


def Option(meaning: str, **limits: Any) -> Any:  # noqa: N802 - reads as a type annotation, like pydantic's Field
    """Describe one option: ``latent_dim: Annotated[int, Option("Numbers in z", ge=1)] = 100``.

    Args:
        meaning: what it means, for ``ganzoo show``.
        limits: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, ``max_length``, ``pattern``, as in pydantic.
    """
    return pydantic.Field(description=meaning, **limits)


@dataclass(frozen=True)
class Setting:
    """One option as ``ganzoo show`` prints it. ``default`` is None where a value must be given."""

    name: str
    type: str
    default: Any
    required: bool
    help: str


def settings_of(part: Callable[..., Any]) -> list[Setting]:
    """Return the options of a part in the order of its constructor's arguments."""
    return [
        Setting(name, _type_name(field), field.default, field.is_required(), field.description or "")
        for name, field in _schema(part).model_fields.items()
    ]


def check(part: Callable[..., Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return ``values`` completed with the part's defaults, each of its annotated type and within its limits.

    Args:
        part: the class or function whose keyword-only arguments are the options.
        values: what the user set, as plain TOML values.
        where: the path of these settings for messages, such as ``model``.

    Raises:
        UsageError: a name the part does not have, or a value that does not fit, all of them in one message.
    """
    schema = _schema(part)
    for name in values:
        if name not in schema.model_fields:
            raise unknown("setting", f"{where}.{name}", [f"{where}.{known}" for known in schema.model_fields])
    try:
        text = json.dumps(dict(values), allow_nan=True)  # strict JSON mode takes lists for tuples and nothing else
        checked = schema.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise UsageError("\n".join(_complaint(where, e) for e in error.errors())) from None
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"{where}: {_short(dict(values))} has a value of a type that no setting takes.") from None
    return {name: getattr(checked, name) for name in schema.model_fields}


def plain(part: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked values as a recipe file holds them: lists for tuples, nothing for None."""
    model = _schema(part).model_construct(**values)
    return model.model_dump(mode="json", exclude_none=True)


@cache
def _schema(part: Callable[..., Any]) -> type[pydantic.BaseModel]:
    name = getattr(part, "__qualname__", repr(part))
    hints = typing.get_type_hints(part.__init__ if inspect.isclass(part) else part, include_extras=True)
    fields: dict[str, Any] = {}
    for option in inspect.signature(part).parameters.values():
        if option.kind is not option.KEYWORD_ONLY:
            continue
        if option.name not in hints:
            raise UsageError(f"The option {option.name!r} of {name} has no type annotation; its author must add one.")
        fields[option.name] = (hints[option.name], ... if option.default is option.empty else option.default)
    config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=(), validate_default=True)
    try:
        return pydantic.create_model(name, __config__=config, **fields)
    except (pydantic.errors.PydanticUserError, NameError, TypeError) as error:
        raise UsageError(f"The options of {name} cannot be read: {str(error).splitlines()[0]}") from error


def _type_name(field: FieldInfo) -> str:
    kind = field.annotation
    if typing.get_origin(kind) is typing.Literal:
        text = "|".join(str(value) for value in typing.get_args(kind))
    elif isinstance(kind, type) and not typing.get_args(kind):
        text = kind.__name__
    else:
        text = str(kind).replace("typing.", "")
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    for limit in field.metadata:
        for attribute, sign in signs.items():
            if (bound := getattr(limit, attribute, None)) is not None:
                text += f" {sign} {bound}"
    return text


def _complaint(where: str, error: Any) -> str:
    path = ".".join([where, *(str(step) for step in error["loc"])])
    message = error["msg"][0].lower() + error["msg"][1:]
    if error["type"] == "missing":
        return f"{path} must be given."
    return f"{path} = {_short(error['input'])}: {message}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
