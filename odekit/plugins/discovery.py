"""Finds installed plugins by their entry points and builds a catalogue from them.

Reading the entry points imports no plugin and no catalogue, so that `odekit --help` is quick.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pluggy

    from odekit.plugins.catalog import Catalog

PARTS, COMMANDS = "odekit", "odekit.commands"
"""Groups of entry points: modules that register parts, and commands beside those of `odekit` itself."""


def discover() -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of installed plugins that ODEKIT_PLUGINS ("none" or "a,b") does not leave out."""
    names = wanted_names()
    return [(dist, point) for dist, point in entry_points(PARTS) if names is None or {dist, point.name} & names]


def discover_commands() -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of the commands of plugins that ODEKIT_PLUGINS does not leave out.

    A plugin is named there by its distribution or by the name of its parts' entry point; a command by its own name too.
    """
    names = wanted_names()
    if names is None:
        return entry_points(COMMANDS)
    plugins = {dist for dist, _ in discover()} | names
    return [(dist, point) for dist, point in entry_points(COMMANDS) if dist in plugins or point.name in names]


def wanted_names() -> set[str] | None:
    """What ODEKIT_PLUGINS names; None where it is not set."""
    wanted = os.environ.get("ODEKIT_PLUGINS")
    return None if wanted is None else {w.strip() for w in wanted.split(",") if w.strip() not in ("", "none")}


def entry_points(group: str) -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of all installed distributions, sorted; nothing is imported."""
    found = [(p.dist.name if p.dist is not None else p.name, p) for p in importlib.metadata.entry_points(group=group)]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def build(plugins: Iterable[tuple[str, Any]]) -> tuple[Catalog, pluggy.PluginManager]:
    """A catalogue and a manager from (distribution, module) pairs; entry points are loaded, failures noted by name."""
    import pluggy

    from odekit.plugins import hooks
    from odekit.plugins.catalog import Catalog, PluginCatalog

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
