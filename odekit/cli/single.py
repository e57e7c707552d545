"""`odekit run` with one picture and a file, or standard output, as output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.runs.single import Single
    from odekit.runs.summary import Progress, RunOptions, RunSummary


def refuse_for_file(out: str, given: Mapping[str, bool]) -> None:
    """Raise ConfigError if an option is given (True) that needs an output folder, or stdout for itself."""
    from odekit.errors import ConfigError

    for option, is_given in given.items():
        if is_given:
            advice = "omit it, or name a file" if option == "--json" else "omit it, or name a folder"
            raise ConfigError(f"{option} cannot be used with -o {out}; {advice}")


def run_single(
    chain: Chain, options: RunOptions, inputs: list[str], out: str, record: Path | None, dry_run: bool, as_json: bool,
    bar: AbstractContextManager[Progress], show: Callable[[RunSummary], None],
) -> RunSummary | None:  # fmt: skip
    """Restore the only input into the file `out`, or to stdout for `-`; None for a dry run.

    With `-`, everything else that is printed goes to stderr, and `show`, which prints a summary, is not called.
    """
    from odekit.cli.show import results, results_on
    from odekit.errors import ConfigError
    from odekit.runs.output_target import STREAM, only_file
    from odekit.runs.single import Single

    source = only_file(inputs, out)
    if source == STREAM and (sys.stdin is None or sys.stdin.isatty()):  # None: closed by the calling program
        what = "is closed" if sys.stdin is None else "is a terminal"
        raise ConfigError(f"'-' reads a picture from standard input, which {what}; pipe a picture into odekit")
    if out != STREAM:
        return _run(chain, options, Single(source, Path(out), record), None, dry_run, as_json, bar, show)
    stream = results()
    if stream is None or (stream.isatty() and not dry_run):
        what = "is closed" if stream is None else "is a terminal"
        raise ConfigError(f"-o - writes a picture to standard output, which {what}; redirect it: > result.png")
    stdout = stream.buffer
    with results_on(sys.stderr):
        return _run(chain, options, Single(source, None, record), stdout, dry_run, as_json, bar, show)


def _run(
    chain: Chain, options: RunOptions, single: Single, stdout: BinaryIO | None, dry_run: bool, as_json: bool,
    bar: AbstractContextManager[Progress], show: Callable[[RunSummary], None],
) -> RunSummary | None:  # fmt: skip
    from odekit.cli.show import print_json, print_line, print_message
    from odekit.runs.single import restore_single

    if dry_run:
        single.check(options.overwrite)
        name = str(single.target or "-")
        if as_json:
            jobs = [{"input": single.source, "output": name}]
            print_json({"jobs": jobs, "done": 0, "calls_per_image": chain.plan().calls})
        else:
            print_line(f"{single.source} -> {name}")
        return None
    with bar as progress:
        summary = restore_single(chain, options, single, progress, stdout=stdout)
    if single.target is not None:
        show(summary)
    else:
        for failure in summary.failed:
            print_message(failure["error"])
    if summary.stopped:
        print_message(f"{summary.stopped}; nothing was written")
    return summary
