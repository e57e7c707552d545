"""What is wrong with the values of an option model, in one line: for chain files and for Python alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, get_args, runtime_checkable

from pydantic import BaseModel, ValidationError

from odekit.core.spelling import nearest

INNER_MODEL = re.compile(r"Input should be a valid dictionary or instance of \w+")
"""Pydantic's message for a value of an inner option model, which names a class."""
KIND_SHOULD = re.compile(r"^(?:Input|List|Tuple|Set|String|Dictionary|Value) should( not)? ")
"""How pydantic's messages begin."""


@runtime_checkable
class NamedPart(Protocol):
    """A part of a chain, as messages show it: by its name."""

    kind: str
    name: str


def describe_error(
    error: ValidationError, model: type[BaseModel], values: dict[str, Any], label: str
) -> tuple[tuple[Any, ...], str]:
    """The path of the first wrong value, and what is wrong with it.

    Args:
        error: raised by `model` for `values`.
        model: of the options.
        values: as they were given.
        label: of the options in the message, such as "stage 'restore'"; an unknown option gets the nearest name.
    """
    errors = error.errors(include_url=False)
    first = errors[0]
    path, value = data_location(first["loc"], values)
    # pydantic reports one error per type of a union, all at the same location.
    reasons = list(dict.fromkeys(e["msg"] for e in errors if data_location(e["loc"], values)[0] == path))
    if first["type"] == "extra_forbidden":
        *outer, last = map(str, first["loc"])
        fields = model_at(model, outer).model_fields
        return path, f"unknown option of {label}{nearest(last, [info.alias or key for key, info in fields.items()])}"
    if first["type"] == "missing":
        return path, f"the option '{first['loc'][-1]}' of {label} is missing"
    reasons = [in_own_words(reason) for reason in reasons]
    choices = [reasons[0], *(reason.removeprefix("must be ") for reason in reasons[1:])]
    return path, f"{', or '.join(choices)} (given: {format_value(value)})".removeprefix("Value error, ")


def in_own_words(reason: str) -> str:
    """A reason of pydantic's as odekit words it: of a value, and without class names."""
    reason = INNER_MODEL.sub("must be a mapping of options", reason).replace(" after validation", "")
    return KIND_SHOULD.sub(r"must\1 ", reason)


def model_at(model: type[BaseModel], keys: Sequence[str]) -> type[BaseModel]:
    """The option model at a path of keys inside `model`, or the innermost one on the way."""
    for key in keys:
        info = model.model_fields.get(key)
        inner = [kind for kind in (info.annotation, *get_args(info.annotation)) if is_model(kind)] if info else []
        model = inner[0] if inner else model
    return model


def is_model(kind: Any) -> bool:
    """Whether a type is a class of options."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def format_value(value: Any) -> str:
    """A value as text for an error message; stages are shown by name."""
    if isinstance(value, tuple) and any(isinstance(item, NamedPart) for item in value):
        return ", ".join(item.name if isinstance(item, NamedPart) else repr(item) for item in value)
    return repr(value)


def data_location(loc: Sequence[Any], values: Any) -> tuple[tuple[Any, ...], Any]:
    """The part of a pydantic location that exists in `values`, and the value there; unions add names of their own."""
    path: list[Any] = []
    for key in loc:
        inside = isinstance(values, dict) and key in values
        inside = inside or (isinstance(values, (list, tuple)) and isinstance(key, int) and key < len(values))
        if not inside:
            break
        path.append(key)
        values = values[key]
    return tuple(path or loc[:1]), values
