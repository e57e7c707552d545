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
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from odekit.errors import InputError
from odekit.runs import process_limits
from odekit.runs.faults import WorkerStartError
from odekit.runs.worker_pipe import Channel
from odekit.runs.worker_process import Answer, Call, WorkerDied, WorkerProcess

T = TypeVar("T")
CALL_TIME_LIMIT = 300.0
"""Time limit for one call, in seconds; a picture of 100 megapixels takes a few seconds."""
GROUP_SECONDS = 0.02
"""Seconds of work that are sent to a worker in one message: this keeps the overhead of small files low, and large
files are sent one by one."""
MAX_WORKERS = 64
"""Largest number of processes of a run: more would wait for the disk, the network and each other."""


class WorkerPool:
    """A pool of `count` worker processes that runs calls in order of submission.

    Args:
        count: number of processes, at most `MAX_WORKERS`, started as calls come; 0 runs every call at once in the
            calling thread, unless it is to be isolated.
        seconds: time limit for one call.
    """

    def __init__(self, count: int, seconds: float = CALL_TIME_LIMIT) -> None:
        self.count = min(count, MAX_WORKERS)
        self.seconds = seconds
        self.queue: queue.SimpleQueue[tuple[Call, Future[Any]] | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self.all: list[WorkerProcess] = []
        self.threads: list[threading.Thread] = []
        self.given_up: set[Future[Any]] = set()
        """Calls whose results nobody wants any more."""
        self.isolated: WorkerPool | None = None
        """For calls that are to be isolated although `count` is 0; started when the first one is submitted."""

    def limit(self, files: int) -> None:
        """Use at most as many processes as there are files; call it before the first `submit`."""
        self.count = min(self.count, files)

    def submit(self, function: Callable[..., T], *args: Any, isolate: bool = False) -> Future[T]:
        """Schedule `function(*args)`; the function must be importable, the arguments picklable.

        Args:
            function: to be called.
            *args: its arguments.
            isolate: run it in a process even if `count` is 0.

        Raises:
            WorkerStartError: the system starts no thread for the first worker.
        """
        if isolate and not self.count:
            self.isolated = self.isolated or WorkerPool(1, self.seconds)
            return self.isolated.submit(function, *args)
        future: Future[T] = Future()
        if self.count:
            self._grow()
            self.queue.put(((function, args), future))
        else:
            _resolve(future, _attempt((function, args)))
        return future

    def _grow(self) -> None:
        """Start another worker, up to `count`, or as many as the system allows."""
        if len(self.threads) >= self.count:
            return
        worker = WorkerProcess(self.closed)
        thread = threading.Thread(target=self._feed, args=(worker,), daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self.threads:
                raise WorkerStartError(error) from error
            self.count = len(self.threads)
            return
        self.all.append(worker)
        self.threads.append(thread)

    def _feed(self, worker: WorkerProcess) -> None:
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

    def _answers(self, worker: WorkerProcess, group: Sequence[tuple[Call, Future[Any]]]) -> list[Answer]:
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

    def _retry(self, worker: WorkerProcess, call: Call, times: int, error: Exception) -> Answer:
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
