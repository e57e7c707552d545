"""`python -m benchmarks NAME`: the measurements of this project, run from a checkout.

The command NAME is the function `command` of the module `benchmarks.NAME`.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

PANELS = {
    "Solvers": ("order", "roundtrip", "nfe", "edit", "sides"),
    "Speed and memory": (
        "speed", "latency", "busy", "first-call", "profile", "start", "memory", "overhead", "scale", "jobs", "rates",
    ),
    "Restoration": ("strength", "colour", "blur", "knobs", "enhancers", "mend", "cracks", "noise"),
    "Networks and detectors": ("prior", "upsampler", "detail", "aligner", "photo", "video"),
    "Documentation and releases": ("figures", "page", "before-after", "strength-gallery", "licences", "digests"),
}  # fmt: skip


class Benchmarks(TyperGroup):
    """The commands by name. A command's module is imported when the command is used, so that none loads the others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, panel by panel."""
        return [name for names in PANELS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None where there is none."""
        panel = next((panel for panel, names in PANELS.items() if cmd_name in names), None)
        if panel is None:
            return None
        module = importlib.import_module(f"benchmarks.{cmd_name.replace('-', '_')}")
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        single.command(cmd_name, rich_help_panel=panel)(module.command)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Benchmarks,
    help="Measurements of odekit. Each prints its figures next to the target figures.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def top() -> None:
    """Measurements of odekit. Each prints its figures next to the target figures."""


def main() -> None:
    """Run a benchmark; errors of odekit are one line on stderr and exit code 2."""
    from odekit.cli import one_line_warnings
    from odekit.errors import OdekitError

    with warnings.catch_warnings():
        warnings.showwarning = one_line_warnings(warnings.showwarning)
        try:
            app(prog_name="python -m benchmarks")
        except OdekitError as error:
            sys.stderr.write(f"benchmarks: {' '.join(str(error).split())}\n")
            raise SystemExit(2) from None


if __name__ == "__main__":
    main()
