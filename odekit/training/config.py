"""Training options from a YAML file. Errors name the file, line and column, and the nearest valid option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from odekit.chains import document
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.training.options.base import RunOptions

R = TypeVar("R", bound=RunOptions)


def load_options(model: type[R], path: Path | None, overrides: Mapping[str, Any]) -> R:
    """Options of type `model`, read from a YAML file.

    Args:
        model: the option model of the task.
        path: the file; None takes the defaults. A relative `init` in it is relative to the folder of the file.
        overrides: top-level options that replace those of the file; None values are ignored.

    Raises:
        ConfigError: a missing file, no YAML mapping, an unknown option, a wrong type or an invalid value.
    """
    parsed = document.parse_yaml(_read(path), str(path)) if path else document.Document({}, "options", {})
    data = {} if parsed.data is None else parsed.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1:1: a configuration is a mapping of names to values, not {type(data).__name__}")
    if path and isinstance(data.get("init"), str):
        data = {**data, "init": str(path.parent / data["init"])}
    try:
        return model.model_validate({**data, **{k: v for k, v in overrides.items() if v is not None}})
    except ValidationError as error:
        first = error.errors()[0]
        location = tuple(first["loc"])
        raise ConfigError(f"{parsed.where(location)}: {_reason(model, location, first)}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error}); check --config") from error


def _reason(model: type[BaseModel], location: tuple[Any, ...], error: Any) -> str:
    """Pydantic's message, or the nearest valid name for an unknown option."""
    if error["type"] != "extra_forbidden":
        return str(error["msg"]).removeprefix("Value error, ")
    parent: type[BaseModel] = model
    for key in location[:-1]:
        parent = parent.model_fields[str(key)].annotation  # type: ignore[assignment]
    return f"no such option{nearest(str(location[-1]), parent.model_fields)}"
