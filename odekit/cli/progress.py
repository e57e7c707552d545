"""Progress of a run: bars on a terminal, a line now and then elsewhere, and one line for each finished picture."""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from odekit.cli import startup
from odekit.cli.show import print_message, results, write_results
from odekit.cli.streams import output_errors
from odekit.core.text import visible_line
from odekit.errors import OutputError

LINE_INTERVAL = 30.0
"""Seconds between the lines that are written where stderr is no terminal."""
MAX_LINES = 200
"""Pictures of which a line is printed by default."""
REFRESH_INTERVAL = 0.1
"""Seconds between updates of the bars."""
STARTING = "starting"


@contextlib.contextmanager
def closing_terminal() -> Iterator[None]:
    """Ignore that the terminal was closed: the signal that says so arrives later, and ends the run in good order."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


class ProgressBar:
    """Progress of a run on stderr: on a terminal a bar for the pictures and one for the current phase, else lines.

    Args:
        quiet: show no progress and no lines, only messages.
        max_lines: number of finished pictures of which a line is printed.
        stream: where these lines go; None: stdout.
    """

    def __init__(self, quiet: bool = False, max_lines: int = 0, stream: TextIO | None = None) -> None:
        from odekit.runs.remaining import RemainingTime

        self.quiet = quiet
        self.max_lines = 0 if quiet else max_lines
        self.stream = stream
        self.terminal = sys.stderr.isatty()
        self.progress: Any = None
        self.time = RemainingTime()
        self.lines = 0
        """Lines printed so far."""
        self.refreshed = 0.0
        """Time of the last update of the bars."""
        self.shown = ""
        """Name of the phase in the bar."""
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def __enter__(self) -> ProgressBar:
        if self.quiet:
            return self
        if not self.terminal:
            self.thread = threading.Thread(target=self._write_lines, daemon=True)
            self.thread.start()
            return self
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20),
            TextColumn("{task.fields[count]}"), TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
        )  # fmt: skip
        # stdout is left alone: it may be a file, while the bar is on a terminal.
        self.progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
        self.picture_task = self.progress.add_task("pictures", total=None, count="", left="")
        self.phase_task = self.progress.add_task(STARTING, total=None, count="", left="")
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        if self.thread is not None:
            self.thread.join()
        if self.progress is not None:
            self._refresh(force=True)
            with closing_terminal():
                self.progress.stop()

    def begin(self, images: int, calls: int | None) -> None:
        """Set the totals."""
        self.time.begin(images, calls)
        self._refresh()

    def phase(self, name: str, done: float, total: int) -> None:
        """Show the current phase."""
        changed = name != self.time.name
        self.time.add_phase(name, done, total)
        self._refresh(force=changed)  # it may be long until the next callback

    def calls(self, count: int) -> None:
        """Count network calls; the first one ends the start-up, and with it the pause of garbage collection."""
        startup.resume_gc()
        self.time.add_calls(count)
        self._refresh()

    def images(self, count: int) -> None:
        """Count finished images."""
        startup.resume_gc()
        self.time.add_pictures(count)
        self._refresh()

    def picture(self, name: str, text: str) -> None:
        """Print the line of a finished picture, unless `max_lines` are printed already."""
        if self.lines < self.max_lines:
            self._print(f"{name}: {text}")
        elif self.lines == self.max_lines > 0:
            self._print("no lines for further pictures; --verbose prints all")
        self.lines += 1

    def message(self, text: str) -> None:
        """Print a line on stderr, above the bar if it is shown."""
        with closing_terminal():
            if self.progress is not None:
                self.progress.console.print(f"odekit: {visible_line(text)}", highlight=False, markup=False)
            else:
                print_message(text)

    def _print(self, line: str) -> None:
        """Print a line of a picture. Where they cannot be printed any more, none is: the run is worth more."""
        try:
            with closing_terminal():
                self._print_line(visible_line(line))
        except OutputError:
            self.max_lines = -1

    def _print_line(self, line: str) -> None:
        stream = results() if self.stream is None else self.stream
        if self.progress is not None and stream is not None and stream.isatty():
            # the terminal of the bar: print above it
            self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
        elif self.stream is None:
            write_results(line + "\n", flush=True)
        else:
            with output_errors():
                self.stream.write(line + "\n")
                self.stream.flush()

    def _refresh(self, force: bool = False) -> None:
        """Show the current numbers; at most every `REFRESH_INTERVAL` seconds, as there may be thousands of calls."""
        now = time.monotonic()
        if self.progress is None or not (force or now >= self.refreshed + REFRESH_INTERVAL):
            return
        self.refreshed = now
        with closing_terminal():
            self._update_bars()

    def _update_bars(self) -> None:
        state = self.time
        if state.total:
            done = f"{state.finished}/{state.total}"
            self.progress.update(
                self.picture_task, completed=state.finished, total=state.total, count=done, left=state.text_of_run()
            )  # fmt: skip
        if state.name:
            if state.name != self.shown:
                self.progress.reset(self.phase_task)
            self.shown = state.name
            unknown = state.phase_total <= 1 and state.done <= 0  # a bar that moves to and fro
            self.progress.update(
                self.phase_task, description=visible_line(state.name), completed=state.done,
                total=None if unknown else state.phase_total, count=self._phase_count(), left=state.text_of_phase(),
            )  # fmt: skip

    def _phase_count(self) -> str:
        """Such as `12/41, 380 calls` (of networks)."""
        count = f"{int(self.time.done)}/{self.time.phase_total}"
        return f"{count}, {self.time.calls} calls" if self.time.calls else count

    def _write_lines(self) -> None:
        """Thread that writes a line every `LINE_INTERVAL` seconds, so that a log shows that the run is alive."""
        while not self.ended.wait(LINE_INTERVAL):
            state, left = self.time, self.time.text_of_run() or self.time.text_of_phase()
            done = f"{state.finished} of {state.total} pictures done, " if state.total else ""
            phase = f"{state.name} {self._phase_count()}" if state.name else STARTING
            print_message(f"{done}{phase}{f'; {left}' if left else ''}")
            sys.stderr.flush()
