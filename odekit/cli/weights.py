"""`odekit weights`: what weights there are and where they lie; conversion of other programs' checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Weights: list, path, convert.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List named weights with their licence and whether they are here.

    Example: odekit weights list
    """
    from odekit.cli.show import print_json, print_table
    from odekit.registry import catalog

    stores = [store for _, store in sorted(catalog().stores.items())]
    rows = [
        {
            "name": s.name, "from": s.dist, "licence": s.licence, "commercial_use": s.commercial_use, "sha256": s.sha256,
            "here": s.path is not None and s.path.exists(), "summary": s.summary,
        }
        for s in stores
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    table = [(str(r["name"]), str(r["from"]), str(r["licence"]), "yes" if r["here"] else "no", str(r["summary"])) for r in rows]
    print_table("", ("name", "from", "licence", "here", "what it is"), table)


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="Name of the weights.")]) -> None:
    """Print where named weights lie on this machine, after checking them.

    Example: odekit weights path face64
    """
    from odekit.cli.show import say
    from odekit.registry import catalog
    from odekit.weights import path_of

    say(str(path_of(name, catalog())))
