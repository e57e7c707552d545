"""`odekit degrade`: apply known damage to images, for experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Apply known damage to images, and list it in OUT/manifest.jsonl.

[bold]Examples[/bold]

odekit degrade faces/ -o damaged/ --kind fog --severity 4

odekit degrade faces/ -o damaged/ --kind all --seed 1

odekit degrade faces/ -o damaged/ --kind mask_lines --set fraction=0.5 --set colour=one

odekit degrade faces/ -o damaged/ --kind old.yaml

The damage of an image depends on the seed and on the image, not on other
inputs.

[bold]Exit codes[/bold]

0: every input was damaged.
2: invalid command.
3: some inputs failed; they are listed in OUT/failures.json."""


def degrade(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, globs.", metavar="INPUT...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")],
    kind: Annotated[
        str, typer.Option(help="A corruption; random; paper (one of the paper's 20); all; or a YAML list of kinds.")
    ],
    severity: Annotated[int, typer.Option(help="1 (mild) to 5 (severe).")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    table: Annotated[
        str, typer.Option(help="Published parameters: 64, 224, or auto (64 for images up to 64 pixels).")
    ] = "auto",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Option of the corruption: name=value.")] = None,
    format: Annotated[str, typer.Option(help="png, or same as the input (JPEG adds compression damage).")] = "png",
    processes: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Number of processes; default: by the number of files.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip inputs that are in the manifest.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again in a used folder.")] = False,
    limit: Annotated[int | None, typer.Option(help="Maximum number of inputs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """See HELP."""
    from odekit.cli.show import print_json, print_line, print_message
    from odekit.errors import ConfigError
    from odekit.evaluation.degrade.files import Settings, degrade_files

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; choose one")
    chosen = Settings(kind, severity, seed, table, settings_yaml(settings or []), format)
    summary = degrade_files(
        inputs, out, chosen, processes=processes, resume=resume, overwrite=overwrite, limit=limit,
        note=print_message,
    )  # fmt: skip
    if as_json:
        print_json(summary.tree())
    else:
        skipped = f", {summary.skipped} already done" if summary.skipped else ""
        print_line(f"{summary.written} written, {len(summary.failed)} failed{skipped}, {summary.seconds:.1f} s: {out}")
    for failure in summary.failed:
        print_message(failure["error"])
    raise typer.Exit(3 if summary.failed else 0)


degrade.__doc__ = HELP


def settings_yaml(settings: list[str]) -> str:
    """`name=value` settings as one YAML mapping. Raises ConfigError for a setting without '='."""
    from odekit.errors import ConfigError

    lines = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {setting}: write name=value, such as fraction=0.5")
        lines.append(f"{name.strip()}: {value.strip()}")
    return "\n".join(lines)
