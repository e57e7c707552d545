"""Dataclasses to plain data that JSON can hold, and back."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Dataclasses as mappings, NaN as null, infinities as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def read(kind: Any, data: Any) -> Any:
    """Data as what a type hint says: the way back. Keys that are not known are passed over."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else read(inner[0], data)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = {item.name for item in dataclasses.fields(kind)}
        made: Any = kind
        return made(**{key: read(hints[key], value) for key, value in data.items() if key in known})
    if origin is tuple:
        return tuple(read(inner[0], item) for item in data)
    if kind is float or kind == "float":
        return math.nan if data is None else float(data)
    if origin is not None and inner and isinstance(data, dict):
        return {key: read(inner[1], item) for key, item in data.items()}
    return data
