"""`odekit new-plugin`: generate a plugin project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the project, such as odekit-my-solver.")],
    folder: Annotated[Path, typer.Option("--folder", "-o", help="Folder to create the project in.")] = Path(),
    kind: Annotated[
        str,
        typer.Option(help="Kinds of parts, with commas: solver, upsampler, inverter, enhancer, stage, metric, prior."),
    ] = "solver,upsampler",
    author: Annotated[str, typer.Option(help="For the licence and the metadata.")] = "Your Name",
) -> None:
    """Generate a plugin project: parts that work, tests that pass, metadata, a licence, a CI file, how to publish.

    Names that exist are refused: of packages, projects and parts.

    Examples: odekit new-plugin odekit-my-solver

    odekit new-plugin odekit-midpoint --kind solver
    """
    from odekit.cli.show import print_line
    from odekit.parts.installed import catalog
    from odekit.plugins.scaffold.write import write_plugin

    kinds = [word.strip() for word in kind.split(",") if word.strip()]
    project = write_plugin(name, folder, catalog(), kinds or ["solver"], author)
    print_line(f"{project}: pip install --no-deps -e {project} && pytest {project}")
