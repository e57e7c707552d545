"""`odekit eval`: measure restored images against the clean ones."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from odekit.cli.show import print_message

if TYPE_CHECKING:
    from odekit.evaluation.results import Results

HELP = """Measure restored images against the clean ones.

[bold]Examples[/bold]

odekit eval out/ --reference faces/

odekit eval out/ --reference faces/ --damaged damaged/ --metrics psnr,ssim,swd -o measured/

Images are paired by their path below the folder, without suffix. If there
is a manifest of `odekit degrade`, results are grouped by the damage in it.
With -o: results.json (all results), rows.csv (one row per image), summary.csv.

[bold]Exit codes[/bold]

0: every image was measured.
2: invalid command.
3: some images were missing, had no counterpart, or failed."""


def eval(
    restored: Annotated[Path, typer.Argument(help="Folder of restored images, or one image.")],
    reference: Annotated[Path, typer.Option("--reference", help="Folder of clean images, or one image.")],
    damaged: Annotated[
        Path | None, typer.Option("--damaged", help="Folder of damaged images, measured for comparison.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="manifest.jsonl of odekit degrade; default: in --damaged.")
    ] = None,
    metrics: Annotated[str, typer.Option("--metrics", help="Names, separated by commas.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for results.json, rows.csv.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write OUT/report.html; needs -o.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="Resize images of another size to that of the reference.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    processes: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Number of processes; default: by the number of files.")
    ] = None,
    device: Annotated[str, typer.Option(help="For metrics with networks: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results document.")] = False,
) -> None:
    """See HELP."""
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
    print_and_exit(results, as_json)


eval.__doc__ = HELP


def print_and_exit(results: Results, as_json: bool) -> NoReturn:
    """Print the results and their problems; exit with 3 if there are problems, else with 0."""
    from odekit.cli.show import print_json

    if as_json:
        print_json(results.tree())
    else:
        print_tables(results)
    for problem in results.problems:
        print_message(problem)
    raise typer.Exit(3 if results.problems else 0)


def print_tables(results: Results) -> None:
    """Print the tables of results."""
    from odekit.cli.show import print_line, print_table
    from odekit.evaluation import tables

    print_table("", tables.headings(results), tables.table(results))
    for metric in results.metrics[:2]:  # the output files contain all metrics
        head, lines = tables.by_damage(results, metric.name)
        if len(lines) > 1:
            print_line()
            print_table(f"{metric.label} by damage", head, lines)
    if results.differences:
        print_line()
        print_table("Paired differences", *tables.differences(results))
    for note in results.notes:
        print_line(note)
    print_line(f"{results.seconds:.1f} s")
    for quote in results.quotes:
        print_line()
        print_table(f"{quote.source}: on other data, for orientation", *tables.printed(quote.rows))
