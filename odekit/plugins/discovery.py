"""Finds installed plugins by their entry points and builds a catalogue from them."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Iterable
from typing import Any

import pluggy

from odekit.plugins import hooks
from odekit.plugins.catalog import Catalog, PluginCatalog


def discover() -> list[tuple[str, Any]]:
    """(distribution, entry point) of installed plugins that ODEKIT_PLUGINS ("none" or "a,b") does not leave out."""
    wanted = os.environ.get("ODEKIT_PLUGINS")
    names = None if wanted is None else {w.strip() for w in wanted.split(",") if w.strip() not in ("", "none")}
    found = []
    for point in importlib.metadata.entry_points(group="odekit"):
        dist = point.dist.name if point.dist is not None else point.name
        if names is None or dist in names or point.name in names:
            found.append((dist, point))
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def build(plugins: Iterable[tuple[str, Any]]) -> tuple[Catalog, pluggy.PluginManager]:
    """A catalogue and a manager from (distribution, module) pairs; entry points are loaded, failures noted by name."""
    catalog, manager = Catalog(), pluggy.PluginManager("odekit")
    manager.add_hookspecs(hooks)
    catalog.stage_done = manager.hook.odekit_stage_done
    for dist, plugin in plugins:
        try:
            module = plugin.load() if hasattr(plugin, "load") else plugin
            manager.register(module, name=f"{dist}:{getattr(plugin, 'name', dist)}")
            register = getattr(module, "odekit_parts", None)
            if register is not None:
                register(catalog=PluginCatalog(catalog, dist))
        except Exception as error:  # a stranger's import may raise anything; it must not break the others
            if dist == "odekit":
                raise
            catalog.broken[dist] = f"{type(error).__name__}: {error}".splitlines()[0]
    return catalog, manager
