"""`odekit new-plugin`: generate a plugin project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the project, such as odekit-my-solver.")],
    folder: Annotated[Path, typer.Option("--folder", "-o", help="Folder to create the project in.")] = Path(),
) -> None:
    """Generate a plugin project with a solver, an upsampler, tests that pass, and a README.

    Example: odekit new-plugin odekit-my-solver
    """
    from odekit.cli.show import print_line
    from odekit.plugins.scaffold.write import write_plugin

    project = write_plugin(name, folder)
    print_line(f"{project}: pip install --no-deps -e {project} && pytest {project}")
