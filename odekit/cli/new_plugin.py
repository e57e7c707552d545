"""`odekit new-plugin`: a plugin project to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the project, such as odekit-my-solver.")],
    folder: Annotated[Path, typer.Option("--folder", "-o", help="Where to make it.")] = Path(),
) -> None:
    """Write a plugin project with a solver, an upsampler, tests and a README; its tests pass as generated.

    Example: odekit new-plugin odekit-my-solver
    """
    from odekit.cli.show import say
    from odekit.plugins.scaffold.write import write_plugin

    made = write_plugin(name, folder)
    say(f"{made}: pip install --no-deps -e {made} && pytest {made}")
