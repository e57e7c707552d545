"""`odekit eval`: restored pictures against clean ones."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from odekit.evaluation.results import Results

HELP = """Measure restored pictures against the clean ones.

[bold]Examples[/bold]

odekit eval out/ --reference faces/

odekit eval out/ --reference faces/ --damaged damaged/ --metrics psnr,ssim,swd -o measured/

Pictures pair by the path below the folder, endings aside; the manifest of `odekit degrade`, where there is one, says
the damage, by which results are grouped. With -o: results.json (all), rows.csv (every picture), summary.csv.
Exit code: 0 when every picture was measured, 3 when some were missing, left over or failed, 2 for a wrong call."""


def eval(
    restored: Annotated[Path, typer.Argument(help="Folder of restored pictures, or one picture.")],
    reference: Annotated[Path, typer.Option("--reference", help="Folder of the clean pictures, or one.")],
    damaged: Annotated[
        Path | None, typer.Option("--damaged", help="Folder of the damaged pictures: measured beside the restored.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="manifest.jsonl of odekit degrade; that of --damaged.")
    ] = None,
    metrics: Annotated[str, typer.Option("--metrics", help="Names, with commas between.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for results.json, rows.csv.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write OUT/report.html; needs -o.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="Bring pictures of another size to the reference's.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    processes: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; by the number of files.")] = None,
    device: Annotated[str, typer.Option(help="For metrics with networks: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results document.")] = False,
) -> None:
    """See HELP."""
    from odekit.cli.show import print_json
    from odekit.errors import ConfigError
    from odekit.evaluation.evaluate import evaluate

    if report and out is None:
        raise ConfigError("--report writes OUT/report.html; name the folder with -o")
    results = evaluate(
        restored, reference, damaged, manifest, metrics, out, fit, seed, processes, device,
        command=shlex.join(["odekit", *sys.argv[1:]]),
    )  # fmt: skip
    if report and out is not None:
        from odekit.evaluation.report import write_report

        write_report(results, out)
    if as_json:
        print_json(results.tree())
    else:
        show(results)
    for problem in results.problems:
        sys.stderr.write(f"odekit: {problem}\n")
    raise typer.Exit(3 if results.problems else 0)


eval.__doc__ = HELP


def show(results: Results) -> None:
    """The tables on the terminal."""
    from odekit.cli.show import print_table, say
    from odekit.evaluation import tables

    print_table("", tables.headings(results), tables.table(results))
    for metric in results.metrics[:2]:  # the files have the rest
        head, lines = tables.by_damage(results, metric.name)
        if len(lines) > 1:
            print_table(f"\n{metric.label} by damage", head, lines)
    if results.differences:
        print_table("\nDifferences, picture by picture", *tables.differences(results))
    for note in results.notes:
        say(note)
    say(f"{results.seconds:.1f} s")
