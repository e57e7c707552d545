"""Options from a YAML file: plain data, every complaint with file, line and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from odekit.errors import ConfigError
from odekit.train.options import Run

R = TypeVar("R", bound=Run)


def options(model: type[R], path: Path | None, overrides: Mapping[str, Any]) -> R:
    """Options of a run from a file (defaults where None), with top-level overrides (None values do not count).

    A relative `init` in the file is meant from the file's folder.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key, a wrong type or an impossible value.
    """
    data = _yaml(path) if path else {}
    if path and isinstance(data.get("init"), str):
        data["init"] = str(path.parent / data["init"])
    marks = data.lc if hasattr(data, "lc") else None
    plain = {**_plain(data), **{k: v for k, v in overrides.items() if v is not None}}
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = [p for p in first["loc"]]
        where = f"{path}:{_line(data, place)}" if path and marks is not None else (str(path) if path else "options")
        raise ConfigError(f"{where}: {_say(model, place, first)}") from error


def _yaml(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error})") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: a configuration is a mapping of names to values, not {type(data).__name__}")
    return data


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(k): _plain(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_plain(v) for v in data]
    for kind in (bool, int, float, str):
        if isinstance(data, kind):
            return kind(data)
    return data


def _line(data: Any, place: list[str | int]) -> int:
    line = 0
    for name in place:
        if not hasattr(data, "lc") or name not in (data if isinstance(data, dict) else range(len(data))):
            break
        line = data.lc.data[name][0]
        data = data[name]
    return line + 1


def _say(model: type[BaseModel], place: list[str | int], error: Any) -> str:
    name = ".".join(str(p) for p in place)
    if error["type"] != "extra_forbidden":
        text = str(error["msg"]).removeprefix("Value error, ")
        return f"{name}: {text}" if name else text
    known: type[BaseModel] = model
    for part in place[:-1]:
        known = known.model_fields[str(part)].annotation  # type: ignore[assignment]
    near = difflib.get_close_matches(str(place[-1]), known.model_fields, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known.model_fields)}"
    return f"{name}: no such option{hint}"
