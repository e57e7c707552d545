"""The process-wide catalogue: built-in parts, then installed plugins."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pluggy

from odekit.core.options import Options
from odekit.errors import OdekitWarning
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.plugins.discovery import build, discover
from odekit.plugins.session import add_part


@functools.cache
def installed_parts() -> tuple[Catalog, pluggy.PluginManager]:
    """The process-wide catalogue and plugin manager: built-in parts first, then installed plugins.

    A warning names each plugin that failed.
    """
    from odekit.parts import builtin

    catalog, manager = build([(BUILT_IN, builtin), *discover()])
    for dist, reason in catalog.broken.items():
        text = f"the plugin {dist} failed and is left out ({reason})"
        warnings.warn(f"{text}; without it: ODEKIT_PLUGINS, or pip uninstall {dist}", OdekitWarning, stacklevel=2)
    return catalog, manager


def catalog() -> Catalog:
    """The process-wide catalogue."""
    return installed_parts()[0]


def register(
    kind: str,
    name: str,
    factory: Callable[..., Any],
    *,
    options: type[Options] | None = None,
    replace: bool = False,
) -> None:
    """Register a part for this Python session, such as a solver that is written in a notebook.

    ```python
    odekit.register("solver", "midpoint", Midpoint, replace=True)
    chain = odekit.Chain.load("odedit", ["restore.inverter.solver=midpoint"])
    ```

    Chains, `--set` paths and YAML then know it by its name. Other processes do not: for them, and for others, make it a
    plugin (`odekit new-plugin`).

    Args:
        kind: prior, inverter, solver, enhancer, upsampler, detector, mask, corruption, metric or stage.
        name: of the part in chains.
        factory: the class, or a function that makes the part. Its parameters with a number, a text or a truth value as
            default become options; `tools` (`odekit.plugins.Tools`) and `prior` are given. If its first parameter has
            an option model as its type, it gets the options as a whole.
        options: the option model, where it is not the type of the first parameter.
        replace: replace a part of this name that the session has registered, so that a cell can run twice.

    Raises:
        ConfigError: another kind; a name that a distribution has, or that is taken and not to be replaced; a parameter
            without a default.
    """
    add_part(catalog(), kind, name, factory, options, replace)
