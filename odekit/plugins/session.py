"""Parts that a notebook or a script registers: `odekit.register`. Its classes need no option model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import new_class
from typing import Any, get_type_hints

from pydantic import create_model

from odekit.core.objects import SESSION, code_of, origin
from odekit.core.options import Options
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.plugins.catalog import KINDS, Catalog, Entry
from odekit.plugins.entry import allows_commercial_use, licence_of

GIVEN = ("options", "tools", "prior")
"""Parameters of a factory that odekit gives; all others become options."""
PLAIN = (bool, int, float, str)


def add_part(
    catalog: Catalog, kind: str, name: str, factory: Callable[..., Any], options: type[Options] | None, replace: bool
) -> None:
    """Register a part of this session; see `odekit.register`."""
    if kind not in KINDS:
        raise ConfigError(f"there is no kind of part '{kind}'{nearest(kind, KINDS)}")
    if not isinstance(name, str) or not name or not all(c.isalnum() or c in "-_." for c in name):
        raise ConfigError(f"the name of a part has letters, digits and . _ -, unlike {name!r}")
    if not callable(factory):
        raise ConfigError(f"register a class or a function that makes the {kind}, not {factory!r}")
    for other in catalog.entries.get((kind, name), ()):
        if other.dist != SESSION:
            raise ConfigError(f"the {kind} '{name}' is one of {other.dist}; choose another name")
        if not replace:
            raise ConfigError(f"the {kind} '{name}' is registered already; replace=True replaces it")
    catalog.entries[kind, name] = [session_entry(kind, name, factory, options)]


def session_entry(kind: str, name: str, factory: Callable[..., Any], options: type[Options] | None) -> Entry:
    """The entry of a class or function. Raises ConfigError for a parameter that cannot be an option."""
    facts = origin(factory)
    parameters = _parameters(factory)
    model = options or _declared_options(factory) or options_of(factory, name)
    takes_model = options is not None or _declared_options(factory) is not None

    def make(values: Options, tools: Any = None) -> Any:
        """Call the factory with what it takes."""
        given = {"tools": tools} if "tools" in parameters else {}
        if "prior" in parameters:
            given["prior"] = tools.prior()
        if takes_model:
            return factory(values, **given)
        return factory(**{key: getattr(values, key) for key in type(values).model_fields}, **given)

    make.__qualname__, make.__module__ = facts["class"], facts["module"]
    summary = (inspect.getdoc(code_of(factory)) or "").partition("\n")[0]
    licence = licence_of(facts["distribution"])
    return Entry(
        kind, name, make, model, summary, SESSION, licence, allows_commercial_use(licence), version=facts["version"]
    )


def options_of(factory: Callable[..., Any], name: str) -> type[Options]:
    """An option model of the parameters of a factory: their names, types and defaults.

    Raises:
        ConfigError: a parameter without a default, or with one that a chain file cannot hold.
    """
    hints, label = _hints(factory), code_of(factory).__name__
    fields: dict[str, Any] = {}
    for key, parameter in _parameters(factory).items():
        if key in GIVEN or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        if default is parameter.empty or not isinstance(default, PLAIN):
            raise ConfigError(
                f"{label}: the parameter '{key}' has no default that is a number, a text or a truth value; "
                "give one, or an option model with options="
            )
        fields[key] = (hints.get(key, type(default)), default)
    base = new_class(f"{label}Base", (Options,), exec_body=lambda space: space.update(part=name))
    model: type[Options] = create_model(f"{label}Options", __base__=base, **fields)
    return model


def _declared_options(factory: Callable[..., Any]) -> type[Options] | None:
    """The option model that is the type of the first parameter."""
    hints = _hints(factory)
    first = next(iter(_parameters(factory)), "")
    kinds = [hints.get(first), *_members(hints.get(first))]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Options)), None)


def _members(hint: Any) -> tuple[Any, ...]:
    """The members of a union such as `MyOptions | None`; none for another type."""
    return tuple(hint.__args__) if "__args__" in dir(hint) else ()


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(factory).parameters)
    except (TypeError, ValueError):
        return {}


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    """Types of the parameters; none where they cannot be resolved."""
    try:
        return get_type_hints(vars(factory).get("__init__", factory) if isinstance(factory, type) else factory)
    except (NameError, TypeError, AttributeError):
        return {}
