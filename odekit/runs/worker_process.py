"""One worker process as the run sees it: started on first use and again after its death, and killed when it hangs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from odekit.runs.faults import PROCESS_ERRORS, WorkerStartError
from odekit.runs.worker_pipe import Channel, shared_memory

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, and its arguments."""
Answer = tuple[bool, Any]
"""(True, return value) or (False, exception)."""
EXIT_SECONDS = 2.0
"""Longest wait for a killed process."""


class WorkerDied(Exception):
    """A worker died during a call, or was killed because the call exceeded its time limit."""

    def __init__(self, reason: str, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class WorkerProcess:
    """One process, started on first use and again after its death."""

    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel
        self.running: list[Future[Any]] = []
        """Calls in progress."""

    def call(self, calls: Sequence[Call], seconds: float) -> list[Answer]:
        """Run calls in the process, within `seconds` in total. Raises WorkerDied, WorkerStartError."""
        if self.closed.is_set():
            raise WorkerDied("the run ended")
        if self.process is None or self.process.poll() is not None:
            try:
                self.process, self.channel = _start(self.closed.is_set)
            except (OSError, MemoryError) as error:
                if isinstance(error, OSError) and error.errno in PROCESS_ERRORS:
                    raise
                raise WorkerStartError(error) from error
        deadline = time.monotonic() + seconds
        try:
            self.channel.send(calls, deadline)
            answers: list[Answer] = self.channel.receive(deadline)
            return answers
        except TimeoutError:
            self.kill()
            raise WorkerDied(f"takes longer than {seconds:g} s", timed_out=True) from None
        except (OSError, EOFError, ValueError):
            self.kill()
            raise WorkerDied("its worker process died") from None

    def interrupt(self) -> None:
        """Kill the process; the thread that uses it then sees the end of its pipe, and cleans up."""
        process = self.process
        if process is not None:
            process.kill()

    def kill(self) -> None:
        """Kill the process and close its pipes; a process that cannot be killed is left behind after a while."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(EXIT_SECONDS)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _start(stopped: Callable[[], bool]) -> tuple[subprocess.Popen[bytes], Channel]:
    # In a new session, because Ctrl-C reaches the process group of the terminal, and only the run handles it.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    memory = shared_memory()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "odekit.runs.workers", *([] if memory is None else [str(memory)])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True, bufsize=0,
            pass_fds=() if memory is None else (memory,),
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        return process, Channel(process.stdout.fileno(), process.stdin.fileno(), memory, stopped=stopped)
    finally:
        if memory is not None:
            os.close(memory)
