"""Worker processes that decode and encode files in parallel with the network.

They use the other processor cores, and a damaged file that crashes or hangs a decoder ends a worker but not the run.
Each worker runs `python -m odekit.runs.workers` and communicates over pipes, so the calling program is not imported
again. A worker ends when its pipe closes; where the run was killed, the kernel kills it at once (Linux), even in the
middle of a call, so none outlives the run.

A call that exceeds its time limit, or needs too much memory to read a picture, costs this picture only. The run does
not wait for the process of such a call to die, because one that waits for a dead network disk cannot be killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from odekit.errors import InputError
from odekit.runs import process_limits
from odekit.runs.worker_pipe import Channel, shared_memory

T = TypeVar("T")
Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module, and its arguments."""
Answer = tuple[bool, Any]
"""(True, return value) or (False, exception)."""

CALL_TIME_LIMIT = 300.0
"""Time limit for one call, in seconds; a picture of 100 megapixels takes a few seconds."""
GROUP_SECONDS = 0.02
"""Seconds of work that are sent to a worker in one message: this keeps the overhead of small files low, and large
files are sent one by one."""
EXIT_SECONDS = 2.0
"""Longest wait for a killed process."""


class WorkerDied(Exception):
    """A worker died during a call, or was killed because the call exceeded its time limit."""

    def __init__(self, reason: str, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class WorkerPool:
    """A pool of `count` worker processes that runs calls in order of submission.

    Args:
        count: number of processes; 0 runs every call at once in the calling thread, unless it is to be isolated.
        seconds: time limit for one call.
    """

    def __init__(self, count: int, seconds: float = CALL_TIME_LIMIT) -> None:
        self.count = count
        self.seconds = seconds
        self.queue: queue.SimpleQueue[tuple[Call, Future[Any]] | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self.all: list[_Worker] = [_Worker(self.closed) for _ in range(count)]
        self.threads = [threading.Thread(target=self._feed, args=(worker,), daemon=True) for worker in self.all]
        self.given_up: set[Future[Any]] = set()
        """Calls whose results nobody wants any more."""
        self.isolated: WorkerPool | None = None
        """For calls that are to be isolated although `count` is 0; started when the first one is submitted."""
        for thread in self.threads:
            thread.start()

    def submit(self, function: Callable[..., T], *args: Any, isolate: bool = False) -> Future[T]:
        """Schedule `function(*args)`; the function must be importable, the arguments picklable.

        Args:
            function: to be called.
            *args: its arguments.
            isolate: run it in a process even if `count` is 0.
        """
        if isolate and not self.count:
            self.isolated = self.isolated or WorkerPool(1, self.seconds)
            return self.isolated.submit(function, *args)
        future: Future[T] = Future()
        if self.count:
            self.queue.put(((function, args), future))
        else:
            _resolve(future, _attempt((function, args)))
        return future

    def _feed(self, worker: _Worker) -> None:
        """Thread of one worker: send it calls and resolve their futures, until the pool closes."""
        seconds_per_call = self.seconds  # of the latest group
        while group := self._next_group(GROUP_SECONDS / seconds_per_call):
            worker.running = [future for _, future in group]
            group = [(call, future) for call, future in group if future.set_running_or_notify_cancel()]
            started = time.perf_counter()
            answers = self._answers(worker, group) if group else []
            worker.running = []
            for (_, future), answer in zip(group, answers, strict=True):
                _resolve(future, answer)
            seconds_per_call = max(1e-6, (time.perf_counter() - started) / max(1, len(group)))
        worker.kill()

    def _next_group(self, limit: float) -> list[tuple[Call, Future[Any]]]:
        """At most `limit` queued calls and at most one worker's share of them, but at least one; [] after closing."""
        first = self.queue.get()
        if first is None:
            return []
        group = [first]
        with contextlib.suppress(queue.Empty):
            while len(group) < min(limit, 1 + self.queue.qsize() / self.count):
                item = self.queue.get_nowait()
                if item is None:
                    self.queue.put(None)
                    break
                group.append(item)
        return group

    def _answers(self, worker: _Worker, group: Sequence[tuple[Call, Future[Any]]]) -> list[Answer]:
        """Run calls in a worker; after its death, retry them one by one, unless they were given up."""
        calls = [call for call, _ in group]
        try:
            return worker.call(calls, self.seconds)
        except WorkerDied as error:
            times = 1 if len(calls) == 1 else 2
            return [
                (False, error) if future in self.given_up else self._retry(worker, call, times, error)
                for call, future in group
            ]
        except Exception as error:  # a call that cannot be pickled
            return [(False, error)] * len(calls)

    def _retry(self, worker: _Worker, call: Call, times: int, error: Exception) -> Answer:
        """Run one call alone in a new process: another call or an outside signal may have killed the previous one.

        A call that took too long by itself is not repeated.
        """
        for attempt in range(times):
            is_repetition = attempt == times - 1
            if is_repetition and isinstance(error, WorkerDied) and error.timed_out:
                break
            try:
                return worker.call([call], self.seconds)[0]
            except WorkerDied as latest_error:
                error = latest_error
        return False, InputError(f"{call[1][0]}: {error}; the file may be damaged")

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        """Cancel calls, also those in progress, whose processes are killed; other calls go on."""
        self.given_up.update(futures)
        for future in futures:
            future.cancel()
        for worker in self.all:
            if any(future in self.given_up for future in worker.running):
                worker.interrupt()
        if self.isolated is not None:
            self.isolated.give_up(futures)

    def close(self) -> None:
        """End all processes; calls in progress are lost, queued calls are cancelled."""
        if self.isolated is not None:
            self.isolated.close()
        self.closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                item = self.queue.get_nowait()
                if item is not None:
                    item[1].cancel()
        for worker in self.all:
            self.queue.put(None)
            worker.interrupt()
        for thread in self.threads:
            thread.join()


class _Worker:
    """One process, started on first use and again after its death."""

    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel
        self.running: list[Future[Any]] = []
        """Calls in progress."""

    def call(self, calls: Sequence[Call], seconds: float) -> list[Answer]:
        """Run calls in the process, within `seconds` in total. Raises WorkerDied."""
        if self.closed.is_set():
            raise WorkerDied("the run ended")
        if self.process is None or self.process.poll() is not None:
            self.process, self.channel = _start(self.closed.is_set)
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


def _resolve(future: Future[Any], answer: Answer) -> None:
    succeeded, result = answer
    if succeeded:
        future.set_result(result)
    else:
        future.set_exception(result)


def _attempt(call: Call) -> Answer:
    function, args = call
    try:
        return True, function(*args)
    except Exception as error:
        return False, error


def serve() -> None:
    """Main loop of a worker process: run calls until the pipe closes."""
    process_limits.die_with_parent()
    parent, memory = os.getppid(), int(sys.argv[1]) if len(sys.argv) > 1 else None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it may be ignored or blocked where the run was started
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    process_limits.enable_memory_limit()
    channel = Channel(os.dup(0), os.dup(1), memory, child=True)
    if memory is not None:
        os.close(memory)
    os.dup2(2, 1)  # keep the output of libraries out of the messages
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            answers = []
            for call in channel.receive():
                if os.getppid() != parent:  # the run was killed: leave the remaining files to the next run
                    return
                answers.append(_sendable(call, _attempt(call)))
            channel.send(answers)


def _sendable(call: Call, answer: Answer) -> Answer:
    """The answer; an exception that cannot be pickled and unpickled becomes an InputError with its text."""
    succeeded, result = answer
    if not succeeded:
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:
            return False, InputError(f"{call[1][0]}: {type(result).__name__}: {result}")
    return answer


if __name__ == "__main__":
    serve()
