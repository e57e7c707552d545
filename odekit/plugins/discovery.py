"""Find installed plugins by their entry points, and build a catalogue from them.

Reading the entry points does not import the plugins, so that `odekit --help` is fast.
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
"""Groups of entry points: modules that register parts, and additional commands."""


def discover() -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of the installed plugins that ODEKIT_PLUGINS ("none" or "a,b") selects."""
    names = selected_names()
    return [(dist, point) for dist, point in entry_points(PARTS) if names is None or {dist, point.name} & names]


def discover_commands() -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of the commands that ODEKIT_PLUGINS selects.

    ODEKIT_PLUGINS lists distributions, names of entry points of parts, or names of commands.
    """
    names = selected_names()
    if names is None:
        return entry_points(COMMANDS)
    plugins = {dist for dist, _ in discover()} | names
    return [(dist, point) for dist, point in entry_points(COMMANDS) if dist in plugins or point.name in names]


def selected_names() -> set[str] | None:
    """The names in ODEKIT_PLUGINS; None if it is not set."""
    setting = os.environ.get("ODEKIT_PLUGINS")
    return (
        None if setting is None else {name.strip() for name in setting.split(",") if name.strip() not in ("", "none")}
    )


def entry_points(group: str) -> list[tuple[str, EntryPoint]]:
    """(distribution, entry point) of all installed distributions, sorted; imports no plugin."""
    points = [(p.dist.name if p.dist is not None else p.name, p) for p in importlib.metadata.entry_points(group=group)]
    return sorted(points, key=lambda pair: (pair[0], pair[1].name))


def build(plugins: Iterable[tuple[str, Any]]) -> tuple[Catalog, pluggy.PluginManager]:
    """A catalogue and a plugin manager from (distribution, module or entry point) pairs.

    Entry points are loaded. `Catalog.broken` lists the plugins that fail.
    """
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
        except Exception as error:  # importing a plugin may raise any exception; the other plugins stay usable
            if dist == "odekit":
                raise
            catalog.broken[dist] = f"{type(error).__name__}: {error}".splitlines()[0]
    return catalog, manager
