"""`odekit status`: how far a run is, whether it lives, and what failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how far the runs of an output folder are: running or not, restored, failed, left, and when they will end.

    Example: odekit status out/
    """
    from odekit.cli.show import print_json, print_table
    from odekit.runs.status import runs

    found = runs(out)
    if as_json:
        print_json([run.tree() for run in found])
        return
    table = [
        (
            run.name, run.state, f"{run.done} of {run.inputs}", str(run.failed), str(run.left),
            "" if run.rate is None else f"{run.rate * 60:.1f} a minute", run.ends, run.last,
        )
        for run in found
    ]  # fmt: skip
    columns = ("run", "state", "done", "failed", "left", "rate", "ends", "last sign of life")
    print_table("", columns, table)
