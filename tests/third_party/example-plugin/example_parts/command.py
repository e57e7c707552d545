"""The command `odekit sizes`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

import odekit


def sizes(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print width and height of pictures.

    Example: odekit sizes face.png
    """
    sizes_by_path = {str(path): (image.width, image.height) for path in pictures for image in [odekit.read(path)]}
    if as_json:
        typer.echo(json.dumps(sizes_by_path))
        return
    for path, (width, height) in sizes_by_path.items():
        typer.echo(f"{path}: {width}x{height}")
