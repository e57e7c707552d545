"""Conformance checks of a registered part, for `odekit check --conformance KIND:NAME`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from odekit.chains.document import Document, parse_value
from odekit.chains.resolve import Resolver
from odekit.core.options import Part
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.parts.installed import catalog
from odekit.testing.conformance import (
    Figures,
    StandaloneTools,
    check_corruption,
    check_detector,
    check_enhancer,
    check_inverter,
    check_mask,
    check_metric,
    check_prior,
    check_solver,
    check_stage,
    check_upsampler,
)

CHECKS: dict[str, Callable[[Part], Figures]] = {
    "solver": lambda part: check_solver(lambda: StandaloneTools().make(part)),
    "inverter": lambda part: check_inverter(lambda prior: StandaloneTools(prior=prior).make(part)),
    "enhancer": lambda part: check_enhancer(lambda: StandaloneTools().make(part)),
    "upsampler": lambda part: check_upsampler(lambda: StandaloneTools().make(part)),
    "detector": lambda part: check_detector(lambda: StandaloneTools().make(part)),
    "mask": lambda part: check_mask(lambda: StandaloneTools().make(part)),
    "prior": lambda part: check_prior(lambda: StandaloneTools().make(part)),
    "corruption": lambda part: check_corruption(lambda: StandaloneTools().make(part)),
    "metric": lambda part: check_metric(lambda: StandaloneTools().make(part)),
    "stage": lambda part: check_stage(part),
}
"""The check of each kind that has one."""


def find_part(text: str, settings: Iterable[str] = ()) -> Part:
    """The part that `KIND:NAME` (or `KIND:DISTRIBUTION:NAME`) names, with `option=value` settings.

    Raises:
        ConfigError: a kind without checks, an unknown part, or an option that the part refuses.
    """
    kind, colon, name = text.partition(":")
    if kind not in CHECKS or not colon:
        hint = nearest(kind, CHECKS)
        raise ConfigError(f"--conformance {text}: write KIND:NAME with one of the kinds {', '.join(CHECKS)}{hint}")
    document = Document({"use": name}, "", {})
    for setting in settings:
        path, equals, text_value = setting.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {setting}: write it as option=value, such as order=2")
        set_option(document.data, path.split("."), parse_value(text_value))
        document.overridden[tuple(path.split("."))] = f"--set {setting}"
    return Resolver(catalog(), document).part(kind, document.data, ())


def set_option(options: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set an option, or one of a part inside it: `solver.at` of {use: ode, solver: ralston}."""
    *outer, last = keys
    for key in outer:
        inner = options.get(key)
        options[key] = inner if isinstance(inner, dict) else {} if inner is None else {"use": inner}
        options = options[key]
    options[last] = value


def check_part(part: Part) -> Figures:
    """Run the checks of the part's kind and return the measured values.

    Raises:
        AssertionError: the first rule that the part breaks.
    """
    return CHECKS[part.kind](part)
