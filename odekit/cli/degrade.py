"""`odekit degrade`: known damage for experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

HELP = """Damage images in a known way, and write what was done to OUT/manifest.jsonl.

[bold]Examples[/bold]

odekit degrade faces/ -o damaged/ --kind fog --severity 4

odekit degrade faces/ -o damaged/ --kind all --seed 1

odekit degrade faces/ -o damaged/ --kind mask_lines --set fraction=0.5 --set colour=one

odekit degrade faces/ -o damaged/ --kind old.yaml

The damage of an image depends only on the seed and the image. Exit code: 0 when every input was
damaged, 3 when some failed (listed in OUT/failures.json), 2 for a wrong call."""


def degrade(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs.", metavar="INPUT...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")],
    kind: Annotated[
        str, typer.Option(help="A corruption; random; paper (one of the paper's 20); all; or a YAML list of kinds.")
    ],
    severity: Annotated[int, typer.Option(help="1 (mild) to 5 (severe).")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    table: Annotated[str, typer.Option(help="Published parameters: auto (64 up to 64 pixels), 64 or 224.")] = "auto",
    settings: Annotated[list[str] | None, typer.Option("--set", help="An option of the kind: name=value.")] = None,
    format: Annotated[str, typer.Option(help="png, or same (JPEG adds its own damage).")] = "png",
    processes: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Number of processes; default: chosen automatically.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip the inputs that the manifest lists.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again in a used folder.")] = False,
    limit: Annotated[int | None, typer.Option(help="At most this many inputs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """See HELP."""
    from odekit.cli.show import print_json, say
    from odekit.errors import ConfigError
    from odekit.evaluation.degrade.files import Settings, degrade_files

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; choose one")
    chosen = Settings(kind, severity, seed, table, options_text(settings or []), format)
    summary = degrade_files(
        inputs, out, chosen, processes=processes, resume=resume, overwrite=overwrite, limit=limit
    )  # fmt: skip
    if as_json:
        print_json(summary.tree())
    else:
        rest = f", {summary.skipped} done before" if summary.skipped else ""
        say(f"{summary.written} written, {len(summary.failed)} failed{rest}, {summary.seconds:.1f} s: {out}")
    for failure in summary.failed:
        sys.stderr.write(f"odekit: {failure['error']}\n")
    raise typer.Exit(3 if summary.failed else 0)


degrade.__doc__ = HELP


def options_text(settings: list[str]) -> str:
    """`name=value` settings as one YAML mapping. Raises ConfigError where there is no '='."""
    from odekit.errors import ConfigError

    lines = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {setting}: write name=value, such as fraction=0.5")
        lines.append(f"{name.strip()}: {value.strip()}")
    return "\n".join(lines)
