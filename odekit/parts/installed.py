"""The process-wide catalogue: built-in parts, then installed plugins."""

from __future__ import annotations

import functools
import warnings

import pluggy

from odekit.errors import OdekitWarning
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.plugins.discovery import build, discover


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
