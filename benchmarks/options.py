"""Command line options that several benchmarks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="Draw a plot into this file (png, svg or pdf); needs matplotlib.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16, float16 or int8.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of damage and noise.")]
PriorName = Annotated[str, typer.Option("--prior", help="A prior by name, as a YAML mapping, or its folder.")]
Faces = Annotated[
    Path | None,
    typer.Option("--data", help="Aligned faces: folder, tar or npz with a split; default: a checkout's test faces."),
]
Side = Annotated[int, typer.Option(min=16, help="Side of the prior's images.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="A kind of damage, repeatable; default: all.")]
Keep = Annotated[Path | None, typer.Option(help="A folder for finished results; nothing in it is computed again.")]
Rounds = Annotated[int, typer.Option(min=1, help="Counted rounds; the fastest one is shown.")]
