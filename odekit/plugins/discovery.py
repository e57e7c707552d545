"""Find installed plugins by their entry points, and build a catalogue from them.

Reading the entry points does not import the plugins, so that `odekit --help` is fast.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from odekit.core.interrupts import stray_interrupts
from odekit.errors import PLUGIN_FAULTS, OdekitWarning, fault_text

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
    from odekit.plugins.catalog import BUILT_IN, Catalog, PluginCatalog

    catalog, manager = Catalog(), pluggy.PluginManager("odekit")
    manager.add_hookspecs(hooks)
    catalog.stage_done = functools.partial(stage_done, manager, set())
    for dist, plugin in plugins:
        try:
            with stray_interrupts(), catalog.all_or_nothing():
                module = plugin.load() if hasattr(plugin, "load") else plugin
                register = getattr(module, "odekit_parts", None)
                if register is not None:
                    register(catalog=PluginCatalog(catalog, dist))
                manager.register(module, name=f"{dist}:{getattr(plugin, 'name', dist)}")
        except PLUGIN_FAULTS as error:  # the other plugins stay usable
            if dist == BUILT_IN:
                raise
            catalog.broken[dist] = fault_text(error)
    return catalog, manager


def stage_done(manager: pluggy.PluginManager, told: set[str], **arguments: Any) -> None:
    """Call the hook `odekit_stage_done` of each plugin; one that fails is named in a warning, and the rest goes on.

    Args:
        manager: of the plugins.
        told: the warnings given so far; the same one is not repeated for every batch.
        arguments: of the hook.
    """
    plugins = {implementation.plugin_name for implementation in manager.hook.odekit_stage_done.get_hookimpls()}
    for name, plugin in manager.list_name_plugin():
        if name not in plugins:
            continue
        others = [other for _, other in manager.list_name_plugin() if other is not plugin]
        try:
            with stray_interrupts():
                manager.subset_hook_caller("odekit_stage_done", others)(**arguments)
        except PLUGIN_FAULTS as error:
            reason = f"the hook odekit_stage_done of the plugin {name.partition(':')[0]} failed ({fault_text(error)})"
            if reason not in told:
                told.add(reason)
                warnings.warn(f"{reason}; the run goes on", OdekitWarning, stacklevel=2)
