"""`odekit status`: progress and state of the runs in an output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the state of the runs in an output folder: restored, failed and remaining files, rate, and estimated end.

    Example: odekit status out/
    """
    from odekit.cli.show import print_json, print_table
    from odekit.runs.status import find_runs

    latest_runs = find_runs(out)
    if as_json:
        print_json([run.tree() for run in latest_runs])
        return
    rows = [
        (
            run.name, run.state, f"{run.done} of {run.inputs}", str(run.failed), str(run.left),
            "" if run.rate is None else f"{run.rate * 60:.1f} per minute", run.ends, run.last,
        )
        for run in latest_runs
    ]  # fmt: skip
    columns = ("run", "state", "done", "failed", "remaining", "rate", "estimated end", "last event")
    print_table("", columns, rows)
