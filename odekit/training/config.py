"""Options of a run from a YAML file: every complaint with file, line and column, and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from odekit.chains import document as yamldoc
from odekit.errors import ConfigError
from odekit.training.options.base import Run

R = TypeVar("R", bound=Run)


def options(model: type[R], path: Path | None, overrides: Mapping[str, Any]) -> R:
    """Options of a run from a file (defaults where None), with top-level overrides (None values do not count).

    A relative `init` in the file is meant from the file's folder.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key, a wrong type or an impossible value.
    """
    document = yamldoc.parse(_text(path), str(path)) if path else yamldoc.Document({}, "options", {})
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1:1: a configuration is a mapping of names to values, not {type(data).__name__}")
    if path and isinstance(data.get("init"), str):
        data = {**data, "init": str(path.parent / data["init"])}
    try:
        return model.model_validate({**data, **{k: v for k, v in overrides.items() if v is not None}})
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(first["loc"])
        raise ConfigError(f"{document.where(where)}: {_say(model, where, first)}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error}); check --config") from error


def _say(model: type[BaseModel], where: tuple[Any, ...], error: Any) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"]).removeprefix("Value error, ")
    known: type[BaseModel] = model
    for part in where[:-1]:
        known = known.model_fields[str(part)].annotation  # type: ignore[assignment]
    near = difflib.get_close_matches(str(where[-1]), known.model_fields, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known.model_fields)}"
    return f"no such option; {hint}"
