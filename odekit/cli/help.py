"""`odekit help`, and what `odekit` alone prints."""

from __future__ import annotations

from typing import Annotated

import typer

START = """\
odekit restores faces in photographs.

  odekit run photo family.jpg -o out/            a photograph; out/family.jpg is the result
  odekit run photo family.jpg -o restored.jpg    the same into a file
  odekit run photo scans/ -o out/ --report       a folder, with a page to compare before and after
  odekit run odedit-plus face.png -o out/        an aligned face
  odekit faces family.jpg                        draw the faces that are found

odekit help lists all commands, odekit help run the options of a run.
odekit --install-completion lets the shell complete commands, options and chains.
"""


def help(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(help="A command, such as run, or weights pull.")] = None,
) -> None:
    """Show the help of odekit or of a command.

    Example: odekit help run
    """
    root = context.find_root()
    root.command.main(args=[*(command or []), "--help"], prog_name=root.info_name)
