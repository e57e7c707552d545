"""`odekit bench aligner`: the aligner's points and score on held-out faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def aligner(
    data: Annotated[Path, typer.Argument(help="Folder, tar or npz of aligned faces with their split.")],
    weights: Annotated[
        str, typer.Option(help="Registered weights, or a folder (with a slash) of a training.")
    ] = "aligner",
    split: Annotated[Literal["val", "test"], typer.Option(help="Which faces; look at test last.")] = "val",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How far off the points are that two looks find in boxes that are off, on clean and on damaged faces.

    Example: odekit bench aligner faces128.tar
    """
    from benchmarks.aligner import measure
    from benchmarks.commands.solvers import show
    from benchmarks.table import Goal, Table
    from odekit.errors import InputError
    from odekit.images import face_sets
    from odekit.parts.faces.aligner import Aligner
    from odekit.testing import PlainTools

    found = face_sets.read(data, 128)
    faces = found.images[found.split == split]
    if not len(faces):
        raise InputError(f"{data}: no {split} faces; choose another --split, or mend that of the data")
    rows = [vars(row) for row in measure(Aligner(weights, PlainTools()), faces)]
    columns = {
        "kind": "faces", "count": "count", "error": "median error", "error_90": "90 %", "found": "score >= 0.6",
        "false": "and no face", "milliseconds": "ms",
    }  # fmt: skip
    goals = [
        Goal("median error, clean", 100 * rows[0]["error"], most=2.5, unit="%"),
        Goal("median error, damaged (severity 4)", 100 * rows[1]["error"], most=4, unit="%"),
    ]
    show(
        Table(
            "aligner",
            f"{weights}; {len(faces)} {split} faces, boxes off by up to 15 % and 20 degrees",
            columns,
            rows,
            goals,
        ),
        as_json,
        None,
    )
