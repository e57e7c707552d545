"""Output of commands: JSON, tables and lines of text. Nothing else in `odekit.cli` writes to the terminal.

Names of files come from anywhere, so control characters in them are shown as escapes (`odekit.core.text`).
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

import typer

from odekit.cli.streams import output_errors
from odekit.core.text import visible, visible_json, visible_line
from odekit.errors import OdekitError, OutputError

_results: list[TextIO] = []
"""Where results are printed if not on `sys.stdout`, innermost last."""


def results() -> TextIO | None:
    """The stream of a command's results: stdout, also while `reserved_stdout` keeps others from it; None: closed."""
    return _results[-1] if _results else sys.stdout


def write_results(text: str, flush: bool = False) -> None:
    """Write to `results`, if it is open.

    Raises:
        OutputError: it takes no more.
    """
    stream = results()
    if stream is not None:
        with output_errors():
            stream.write(text)
            if flush:
                stream.flush()


@contextlib.contextmanager
def reserved_stdout() -> Iterator[None]:
    """Reserve stdout for `results`: what plugins and libraries print meanwhile goes to stderr.

    That includes what is written to the file descriptor, by C code or by other processes of this one. Nested use and
    closed streams change nothing.
    """
    stdout = sys.stdout
    if _results or stdout is None or sys.stderr is None:
        yield
        return
    with output_errors():
        stdout.flush()
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(_own_descriptor(stdout)) if _is_descriptor(stdout, 1) else stdout
        stack.enter_context(results_on(own))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


@contextlib.contextmanager
def results_on(stream: TextIO) -> Iterator[None]:
    """Print results to another stream until the block ends."""
    _results.append(stream)
    try:
        yield
    finally:
        _results.pop()


@contextlib.contextmanager
def _own_descriptor(stdout: TextIO) -> Iterator[TextIO]:
    """A stream to where `stdout` leads; until the block ends, file descriptor 1 leads to stderr."""
    descriptor = os.dup(1)
    own = open(  # noqa: PTH123, SIM115 (a descriptor, not a path; closed below)
        descriptor, "w", encoding=stdout.encoding, errors=stdout.errors, buffering=1 if stdout.isatty() else -1
    )
    failed = False
    try:
        os.dup2(2, 1)
        yield own
    except OdekitError:  # it says what is wrong, also where standard output takes no more
        failed = True
        raise
    finally:
        os.dup2(descriptor, 1)
        try:
            with output_errors():
                own.close()  # writes what is buffered
        except OutputError:
            if not failed:
                raise
        except OSError:  # a terminal that was closed
            pass


def _is_descriptor(stream: TextIO, number: int) -> bool:
    """Whether a stream writes to a file descriptor; not so where a test or a notebook replaced it."""
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def reserve_stdout(app: typer.Typer) -> None:
    """Run every command of an app, and of the apps in it, with `reserved_stdout`."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _reserving(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            reserve_stdout(group.typer_instance)


def _reserving(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        with reserved_stdout():
            return command(*args, **options)

    return run


def print_json(data: Any) -> None:
    """Print JSON on stdout."""
    write_results(visible_json(json.dumps(data, indent=1, ensure_ascii=False)) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; on a pipe it is 200 characters wide."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = results()
    if stream is None:
        return
    terminal, text = stream.isatty(), io.StringIO()  # rich ends the program where a stream is closed
    console = Console(file=text, force_terminal=terminal, width=None if terminal else 200)
    heading = Text(visible_line(title)) if title else None
    table = Table(title=heading, title_justify="left", header_style="bold", show_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(Text(visible_line(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible_line(cell)) for cell in row))
    console.print(table)
    write_results(text.getvalue())


def print_line(text: str = "") -> None:
    """Print one line on stdout."""
    write_results(visible_line(text) + "\n")


def print_text(text: str) -> None:
    """Print lines that odekit composed on stdout; line feeds in them stay."""
    write_results(visible(text) + "\n")


def print_message(text: str) -> None:
    """Print a line for the user on stderr."""
    print_stderr(f"odekit: {text}")


def print_stderr(text: str) -> None:
    """Print one line on stderr, without odekit's name before it."""
    sys.stderr.write(visible_line(text) + "\n")
