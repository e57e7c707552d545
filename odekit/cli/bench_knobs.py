"""`odekit bench knobs`: fidelity, samples, and a fast chain."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class What(str, Enum):
    """What is measured."""

    fidelity = "fidelity"
    samples = "samples"
    fast = "fast"


def knobs(
    what: Annotated[What, typer.Argument(help="fidelity, samples or fast.")],
    chain: Annotated[str, typer.Option(help="The chain that is measured.")] = "odedit-fast",
    against: Annotated[str, typer.Option(help="For fast: the chain that it is compared with.")] = "odedit",
    data: Annotated[
        Path | None, typer.Option(help="Aligned faces: folder, tar or npz with a split; the checkout's test faces.")
    ] = None,
    side: Annotated[int, typer.Option(min=16, help="The prior's side.")] = 64,
    limit: Annotated[int, typer.Option(min=1, help="Faces.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of damage and noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this file (png, svg or pdf).")] = None,
) -> None:
    """Is fidelity monotone, does the spread of samples tell where they err, is a fast chain as good as a slow one?

    Example: odekit bench knobs fidelity --limit 8
    """
    from odekit.bench import knobs as bench
    from odekit.bench.faces import face_set
    from odekit.cli.bench_solvers import show

    faces = face_set(data, side)
    clean = (faces.test if len(faces.test) else faces.val)[:limit]
    if what is What.fast:
        table = bench.fast(chain, against, clean, seed)
    else:
        table = (bench.fidelity if what is What.fidelity else bench.samples)(chain, clean, seed)
    show(table, as_json, plot)
