"""`odekit run`: restore files with a chain."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from odekit.cli.completion import complete_chain
from odekit.cli.progress import MAX_LINES, ProgressBar, closing_terminal

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.runs.summary import RunOptions, RunSummary

HELP = """Restore images with a chain.

[bold]Examples[/bold]

odekit run photo family.jpg -o out/

odekit run photo family.jpg -o restored.jpg

odekit run photo - -o - < family.jpg > restored.jpg

odekit run odedit-plus face.png -o out/

odekit run odedit faces/ -o out/ --set restore.enhancer.iterations=heavy --keep-stages

odekit run my-chain.yaml "scans/*.tif" -o out/ --resume

[bold]Exit codes[/bold]

0: every input was restored.
2: invalid command.
3: some inputs failed, or, with --require-change, nothing was done in some;
they are listed in OUT/failures.json.
4: stopped early: time limit, or output folder not writable.
130: stopped by Ctrl-C. 143: stopped by SIGTERM. 129: its terminal was closed.
0 or 3 as well if the stop came when nothing was left to do.

--resume continues a run in each case. The first Ctrl-C stops at the next network
call and keeps finished results; the second stops at once."""

EXIT_CODES = {"interrupted": 130, "terminated": 143, "terminal closed": 129}
STOPPED_EXIT_CODE = 4
"""Exit code of a run that stopped early for another reason."""
MAX_FAILURES_PRINTED = 20
"""Maximum number of failures printed; a corrupt disk may cause thousands."""


def run(
    chain: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a shipped chain.", autocompletion=complete_chain)
    ],
    inputs: Annotated[
        list[str], typer.Argument(help="Files, folders, globs; - for standard input.", metavar="INPUT...")
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Output folder; for one input also a file, or - for standard output.")
    ],
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")] = None,
    strength: Annotated[
        str, typer.Option(help="auto (measured for each face), or for every face: none, light, medium, heavy.")
    ] = "auto",
    side: Annotated[
        int | None, typer.Option(help="Side of restored faces in pixels (aligned faces only); default: by the input.")
    ] = None,
    max_identity_shift: Annotated[
        float | None,
        typer.Option(help="Largest face distance between a face and its result; beyond it, the face changes less."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the noise; default: the chain's seed.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16, float16 or int8.")] = "auto",
    batch_size: Annotated[
        str | None,
        typer.Option(help="Images per network call; default: 8, at most all inputs; auto: the best value, measured."),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(help="Threads of the networks; default: all cores; free: as many as no other program uses now."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip inputs that are done, according to records.")] = False,
    changed: Annotated[
        str,
        typer.Option(help="With --resume, if weights, files or plugins of the chain have changed: refuse, or redo."),
    ] = "refuse",
    verify: Annotated[
        bool, typer.Option("--verify", help="With --resume: compare the SHA-256 of all inputs and results.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    keep_stages: Annotated[
        bool, typer.Option("--keep-stages", help="Write the output of every stage, and a contact sheet.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--report", help="Write OUT/report.html: images before and after, their faces, and records.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Maximum number of inputs.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: process the i-th of n parts of the inputs, divided by name.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="tree: results lie as the inputs do; hashed: in 4,096 folders; default: as in OUT, or tree."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be done; write nothing.")] = False,
    commercial_only: Annotated[bool, typer.Option("--commercial-only", help="Refuse non-commercial parts.")] = False,
    require_face: Annotated[
        bool, typer.Option("--require-face", help="Treat a photograph without a face as a failure.")
    ] = False,
    require_change: Annotated[
        bool, typer.Option("--require-change", help="List images in which nothing was done as failures.")
    ] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Restore the part of truncated JPEG and PNG files that can be read.")
    ] = False,
    max_megapixels: Annotated[
        float, typer.Option(help="Refuse larger images, and images whose results would be larger.")
    ] = 100.0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that read and write files, at most 64 and one a file; 0: none; default: automatic.",
        ),
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(help="Stop before a batch that would end after this time: 90s, 30m, 2h.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="With a file as output: write the record of the result here.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help=f"Print a line for every image, not only for the first {MAX_LINES}.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error, as ODEKIT_DEBUG=1 does.")
    ] = False,
) -> None:
    """See HELP."""
    from odekit.chains.chain import Chain
    from odekit.chains.tuning.batch_size import parse_batch_size
    from odekit.cli.show import print_message
    from odekit.cli.single import refuse_for_file, run_single
    from odekit.core.debug import VARIABLE
    from odekit.core.processors import parse_threads
    from odekit.errors import ConfigError
    from odekit.runs.output_target import STREAM, check_stream_inputs, is_folder
    from odekit.runs.stop import parse_duration
    from odekit.runs.summary import RunOptions
    from odekit.runs.workers import MAX_WORKERS

    if debug:
        os.environ[VARIABLE] = "1"
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; choose one")
    if changed not in ("refuse", "redo"):
        raise ConfigError(f"--changed {changed}: write refuse or redo")
    for option, given in (("--changed redo", changed == "redo"), ("--verify", verify)):
        if given and not resume:
            raise ConfigError(f"{option} needs --resume")
    in_folder = is_folder(out, inputs)
    check_stream_inputs(inputs, in_folder)
    if in_folder and record is not None:
        raise ConfigError("--record is for a file as output; in a folder, every result has its record beside it")
    if not in_folder:
        for_folders = {"--resume": resume, "--report": page, "--keep-stages": keep_stages, "--shard": shard is not None}
        refuse_for_file(out, for_folders | ({"--json": as_json} if out == STREAM else {}))
    if workers is not None and workers > MAX_WORKERS:
        print_message(f"--workers {workers}: {MAX_WORKERS} processes are used, the largest number")
    folder = Path(out)
    loaded = Chain.load(chain, [*(settings or []), *(["faces.require_face=true"] if require_face else [])])
    loaded = loaded.adjusted(strength, side, max_identity_shift)
    if commercial_only:
        refuse_non_commercial(loaded)
    options = RunOptions(
        folder, seed, device, precision, parse_batch_size(batch_size), resume, overwrite, keep_stages, limit, shard,
        max_megapixels, workers, None if time_limit is None else parse_duration(time_limit), salvage=salvage,
        require_change=require_change, changed=cast('Literal["refuse", "redo"]', changed), verify=verify,
        layout=cast('Literal["tree", "hashed"] | None', layout), threads=parse_threads(threads),
    )  # fmt: skip
    bar = ProgressBar(quiet=as_json, max_lines=sys.maxsize if verbose else MAX_LINES)
    if not in_folder:
        done = run_single(
            loaded, options, inputs, out, record, dry_run, as_json, bar, lambda summary: print_summary(summary, as_json)
        )
        raise typer.Exit(0 if done is None else exit_code(done))
    if dry_run:
        print_jobs(loaded, options, inputs, as_json)
        return
    summary = run_with_progress(loaded, options, inputs, bar)
    with closing_terminal():
        print_summary(summary, as_json)
    if page:
        from odekit.runs.report.run_report import write_run_report

        print_message(f"report: {write_run_report(folder, inputs, max_megapixels)}")
    raise typer.Exit(exit_code(summary))


run.__doc__ = HELP


def exit_code(summary: RunSummary) -> int:
    """Exit code of a run; see HELP."""
    if summary.stopped:
        return EXIT_CODES.get(summary.stopped, STOPPED_EXIT_CODE)
    return 3 if summary.failed else 0


def refuse_non_commercial(chain: Chain) -> None:
    """Raise ConfigError if the licence of a part forbids commercial use."""
    from odekit.errors import ConfigError

    refused = chain.plan().not_commercial
    if refused:
        names = ", ".join(f"{part.kind} '{part.name}' ({part.forbids})" for part in refused)
        raise ConfigError(f"--commercial-only refuses {names}; choose another part")


def print_jobs(chain: Chain, options: RunOptions, inputs: list[str], as_json: bool) -> None:
    """Print the jobs of a run, one line per file; nothing is written."""
    from odekit.cli.chains import format_calls
    from odekit.cli.show import print_json, print_line
    from odekit.runs.runner import Runner

    runner = Runner(chain, options, ProgressBar(quiet=True))
    jobs, calls = runner.pending(inputs), chain.plan().calls
    done = len(runner.summary.skipped)
    if as_json:
        rows = [{"input": str(job.source), "output": str(options.out / job.target)} for job in jobs]
        print_json({"jobs": rows, "done": done, "calls_per_image": calls})
        return
    for job in jobs:
        print_line(f"{job.source} -> {options.out / job.target}" + (f"  ({job.error})" if job.error else ""))
    done_text = f", {done} more already done" if done else ""
    print_line(f"{len(jobs)} picture(s), {format_calls(chain.plan())}{done_text}")


def run_with_progress(chain: Chain, options: RunOptions, inputs: list[str], bar: ProgressBar) -> RunSummary:
    """Run with progress. The bar begins before the modules of the runner are loaded, which takes seconds."""
    with bar:
        from odekit.runs.runner import Runner

        return Runner(chain, options, bar).run(inputs)


def print_summary(summary: RunSummary, as_json: bool) -> None:
    """Print the summary as a table or as JSON, and one line per failure on stderr."""
    try:
        print_results(summary, as_json)
    finally:  # also where standard output takes no more
        print_failures(summary)


def print_results(summary: RunSummary, as_json: bool) -> None:
    """Print the summary on stdout."""
    from odekit.cli.show import print_json, print_table

    if as_json:
        print_json(summary.tree())
        return
    done, same = summary.calls.pictures, len(summary.restored) - summary.changed
    chain_time = f"{summary.busy / summary.seconds:.0%} of the time, batches {summary.fill:.0%} full"
    rows = [
        ("restored", str(summary.changed)),
        *([("nothing was done", str(same))] if same else []),
        ("already done", str(len(summary.skipped))),
        ("failed", str(len(summary.failed))),
        *([("not read", str(len(summary.unread)))] if summary.unread else []),
        *([("remaining", str(summary.left))] if summary.left else []),
        *summary.found.rows(),
        *([("network calls per image", str(summary.calls))] if done else []),
        ("seconds", f"{summary.seconds:.1f}" + (f" ({summary.seconds / done:.2f} per image)" if done else "")),
        *([("in the chain", chain_time)] if done else []),
        ("output file", str(summary.file)) if summary.file else ("output folder", str(summary.out)),
    ]
    print_table("", ("", ""), rows)


def print_failures(summary: RunSummary) -> None:
    """Print one line per failure on stderr, and why the run stopped."""
    from odekit.cli.show import print_message

    for failure in summary.failed[:MAX_FAILURES_PRINTED]:
        print_message(failure["error"])
    if len(summary.failed) > MAX_FAILURES_PRINTED:
        print_message(f"and {len(summary.failed) - MAX_FAILURES_PRINTED} more, listed in {summary.out}/failures.json")
    if summary.stopped and summary.file is None:
        rest = f"{summary.left} remaining; continue with --resume" if summary.left else "nothing remains to be done"
        print_message(f"{summary.stopped}; finished results are in {summary.out}, {rest}")
