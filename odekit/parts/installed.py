"""The process-wide catalogue: built-in parts, then installed plugins."""

from __future__ import annotations

import functools

import pluggy

from odekit.plugins.catalog import Catalog
from odekit.plugins.discovery import build, discover


@functools.cache
def installed_parts() -> tuple[Catalog, pluggy.PluginManager]:
    """The process-wide catalogue and plugin manager: built-in parts first, then installed plugins."""
    from odekit.parts import builtin

    return build([("odekit", builtin), *discover()])


def catalog() -> Catalog:
    """The process-wide catalogue."""
    return installed_parts()[0]
