"""`odekit records`: the records of an output folder as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def records(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.")],
    to: Annotated[Path, typer.Option("--to", help="The table: a file .parquet (needs pyarrow) or .jsonl.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one row for each record of an output folder into one file: paths, digests, findings, calls, seconds.

    Example: odekit records out/ --to records.jsonl
    """
    from odekit.cli.show import print_json, print_line
    from odekit.runs.index import write_index
    from odekit.runs.stores import Folder

    count = write_index(Folder(out), to)
    if as_json:
        print_json({"file": str(to), "records": count})
    else:
        print_line(f"{to}: {count} record{'' if count == 1 else 's'}")
