"""Commands that plugins add by the entry-point group `odekit.commands`.

```toml
[project.entry-points."odekit.commands"]
my-command = "my_plugin.cli:app"
```

The target is a Typer app or a function. It is imported when the command is called; `odekit --help` reads names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PANEL = "Commands of plugins"


class CommandsWithPlugins(TyperGroup):
    """The commands of `odekit`, then those of plugins. Where both have a name, it is odekit's own command."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names."""
        self.add_plugin_commands()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name; plugins are looked for where odekit has none of this name."""
        if cmd_name not in self.commands:
            self.add_plugin_commands()
        return super().get_command(ctx, cmd_name)

    def add_plugin_commands(self) -> None:
        """Put a placeholder for each command of a plugin beside odekit's own."""
        from odekit.plugins.discovery import discover_commands

        found = discover_commands()
        for dist, point in found:
            rivals = [one for one in found if one[1].name == point.name]
            if point.name not in self.commands:
                self.add_command(PluginCommand(point.name, rivals))
            if len(rivals) > 1 and f"{dist}:{point.name}" not in self.commands:
                self.add_command(PluginCommand(f"{dist}:{point.name}", [(dist, point)]))


class PluginCommand(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, offers: list[tuple[str, EntryPoint]]) -> None:
        """`offers`: (distribution, entry point) of every plugin that has a command of this name."""
        super().__init__(name, help=f"From {offers[0][0]}.", rich_help_panel=PANEL, hidden=len(offers) > 1)
        self.offers = offers

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Load the command and go on with it.

        Raises:
            PluginError: two plugins offer it, or it cannot be loaded.
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
    """The command that an entry point names.

    Raises:
        PluginError: it cannot be imported, or is neither a Typer app nor a function.
    """
    from odekit.errors import PluginError

    try:
        return command_of(point.name, point.load())
    except (Exception, SystemExit) as error:  # the import of a plugin may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"the command '{point.name}' of {dist} cannot be loaded: {reason}") from error


def command_of(name: str, target: Any) -> Any:
    """A Typer app or a function as a command. A Typer app with one command and no callback is that command."""
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
