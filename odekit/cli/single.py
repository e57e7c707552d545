"""`odekit run` with one picture and a file, or standard output, as output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.runs.single import Single
    from odekit.runs.summary import RunOptions


def refuse_for_file(out: str, given: Mapping[str, bool]) -> None:
    """Raise ConfigError if an option is given (True) that needs an output folder, or stdout for itself."""
    from odekit.errors import ConfigError

    for option, is_given in given.items():
        if is_given:
            advice = "omit it, or name a file" if option == "--json" else "omit it, or name a folder"
            raise ConfigError(f"{option} cannot be used with -o {out}; {advice}")


def run_single(
    chain: Chain, options: RunOptions, inputs: list[str], out: str, record: Path | None, dry_run: bool, as_json: bool
) -> int:
    """Restore the only input into the file `out`, or to stdout for `-`; returns the exit code.

    With `-`, everything else that is printed goes to stderr.
    """
    from odekit.errors import ConfigError
    from odekit.runs.output_target import STREAM, only_file
    from odekit.runs.single import Single

    source = only_file(inputs, out)
    if source == STREAM and sys.stdin.isatty():
        raise ConfigError("'-' reads a picture from standard input, which is a terminal; pipe a picture into odekit")
    stdout = sys.stdout.buffer
    if out != STREAM:
        return _run(chain, options, Single(source, Path(out), record), stdout, dry_run, as_json)
    if sys.stdout.isatty() and not dry_run:
        raise ConfigError("-o - writes a picture to standard output, which is a terminal; redirect it: > result.png")
    with contextlib.redirect_stdout(sys.stderr):
        return _run(chain, options, Single(source, None, record), stdout, dry_run, as_json)


def _run(chain: Chain, options: RunOptions, single: Single, stdout: BinaryIO, dry_run: bool, as_json: bool) -> int:
    from odekit.cli.run import ProgressBar, exit_code, print_summary
    from odekit.cli.show import print_json, print_line, print_message
    from odekit.runs.single import restore_single

    if dry_run:
        single.check(options.overwrite)
        calls = chain.plan().calls
        name = str(single.target or "-")
        if as_json:
            print_json({"jobs": [{"input": single.source, "output": name}], "done": 0, "calls_per_image": calls})
        else:
            print_line(f"{single.source} -> {name}")
        return 0
    with ProgressBar(quiet=as_json) as bar:
        summary = restore_single(chain, options, single, bar, stdout=stdout)
    if single.target is not None and not as_json:
        print_summary(replace(summary, stopped=""), as_json)
    else:
        if as_json:
            print_json(summary.tree())
        for failure in summary.failed:
            print_message(failure["error"])
    if summary.stopped:
        print_message(f"{summary.stopped}; nothing was written")
    return exit_code(summary)
