"""Commands that plugins add through the entry-point group `odekit.commands`.

```toml
[project.entry-points."odekit.commands"]
my-command = "my_plugin.cli:app"
```

The target is a Typer app or a function. It is imported only when the command is called; `odekit --help` lists names.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PANEL = "Commands of plugins"
"""Heading in `odekit --help`."""


class CommandsWithPlugins(TyperGroup):
    """The commands of odekit, followed by those of plugins.

    A plugin's command with the name of a built-in one is called as `distribution:name`; a warning says so.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        self.add_plugin_commands()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name; plugins are searched only if odekit has no command of this name."""
        if cmd_name not in self.commands:
            self.add_plugin_commands()
        return super().get_command(ctx, cmd_name)

    def add_plugin_commands(self) -> None:
        """Add a placeholder for each command of a plugin."""
        from odekit.errors import OdekitWarning
        from odekit.plugins.discovery import discover_commands

        own = {name for name, command in self.commands.items() if not isinstance(command, PluginCommand)}
        entry_points = discover_commands()
        for dist, point in entry_points:
            if point.name in own:
                full_name = f"{dist}:{point.name}"
                if full_name not in self.commands:
                    self.add_command(PluginCommand(full_name, [(dist, point)]))
                    warnings.warn(
                        f"the command '{point.name}' of {dist} has the name of a command of odekit; call it as "
                        f"'odekit {full_name}'",
                        OdekitWarning,
                        stacklevel=2,
                    )
                continue
            candidates = [entry for entry in entry_points if entry[1].name == point.name]
            if point.name not in self.commands:
                self.add_command(PluginCommand(point.name, candidates))
            if len(candidates) > 1 and f"{dist}:{point.name}" not in self.commands:
                self.add_command(PluginCommand(f"{dist}:{point.name}", [(dist, point)]))


class PluginCommand(TyperCommand):
    """Placeholder for a command of a plugin; loads the command when it is called."""

    def __init__(self, name: str, offers: list[tuple[str, EntryPoint]]) -> None:
        """`offers`: (distribution, entry point) of every plugin that has a command of this name."""
        super().__init__(name, help=f"From {offers[0][0]}.", rich_help_panel=PANEL, hidden=len(offers) > 1)
        self.offers = offers

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Load the command and create its context.

        Raises:
            PluginError: several plugins offer the command, or it cannot be loaded.
        """
        from odekit.errors import PluginError

        if len(self.offers) > 1:
            dists = [dist for dist, _ in self.offers]
            raise PluginError(
                f"{len(dists)} plugins offer the command '{self.name}': {', '.join(dists)}; "
                f"write '{dists[0]}:{self.name}' to choose one"
            )
        return load_command(*self.offers[0]).make_context(info_name, args, parent=parent, **extra)


def load_command(dist: str, point: EntryPoint) -> Any:
    """Load the command of an entry point.

    Raises:
        PluginError: it cannot be imported, or is neither a Typer app nor a function.
    """
    from odekit.cli.show import reserved_stdout
    from odekit.errors import PluginError

    try:
        with reserved_stdout():  # the command may print JSON
            target = point.load()
        return to_command(point.name, target)
    except (Exception, SystemExit) as error:  # the import of a plugin may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"the command '{point.name}' of {dist} cannot be loaded: {reason}") from error


def to_command(name: str, target: Any) -> Any:
    """Convert a Typer app or a function to a command. A Typer app with one command and no callback is that command.

    Raises:
        TypeError: `target` is neither.
    """
    app = typer.Typer(add_completion=False)
    if not isinstance(target, typer.Typer):
        if not callable(target):
            raise TypeError(f"{target!r} is neither a Typer app nor a function")
        app.command(name)(target)
    elif target.registered_callback or target.registered_groups or len(target.registered_commands) != 1:
        return typer.main.get_group(target)
    else:
        app.registered_commands.append(target.registered_commands[0])
    return typer.main.get_command(app)
