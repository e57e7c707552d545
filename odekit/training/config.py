"""Training options from a YAML file. Errors name the file, line and column, and the nearest valid option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from odekit.chains import document
from odekit.chains.resolve import validated
from odekit.errors import ConfigError
from odekit.parts.builtin import chain_folder
from odekit.training.options.base import RunOptions

R = TypeVar("R", bound=RunOptions)


def load_options(model: type[R], path: Path | None, overrides: Mapping[str, Any]) -> R:
    """Options of type `model`, read from a YAML file.

    Args:
        model: the option model of the task.
        path: the file, or the name of a shipped one (`find_config`); None takes the defaults. A relative `init` in it
            is relative to the folder of the file.
        overrides: top-level options that replace those of the file; None values are ignored.

    Raises:
        ConfigError: a missing file, no YAML mapping, an unknown option, a wrong type or an invalid value.
    """
    path = None if path is None else find_config(path)
    parsed = document.parse_yaml(_read(path), str(path)) if path else document.Document({}, "options", {})
    data = {} if parsed.data is None else parsed.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1:1: a configuration is a mapping of names to values, not {type(data).__name__}")
    if path and isinstance(data.get("init"), str):
        data = {**data, "init": str(path.parent / data["init"])}
    values = {**data, **{key: value for key, value in overrides.items() if value is not None}}
    return validated(model, values, "the configuration", parsed)


def find_config(path: Path) -> Path:
    """The file itself, or the shipped configuration of this name, with or without `.yaml`: `celeba64-paper`."""
    shipped = chain_folder() / "train" / f"{path.name.removesuffix('.yaml')}.yaml"
    return shipped if not path.exists() and path.name == str(path) and shipped.is_file() else path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error}); check --config") from error
